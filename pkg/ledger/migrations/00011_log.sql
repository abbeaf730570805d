-- +goose Up
-- The checkpoint that was signed last for each log, kept apart from the log's own directory: a log that was restored from an
-- older copy is found out by it. root is hexadecimal.
CREATE TABLE log_memory (
    origin TEXT   PRIMARY KEY,
    size   BIGINT NOT NULL,
    root   TEXT   NOT NULL
);

-- Configured certificates that stand in a log already.
CREATE TABLE log_certificate (
    origin    TEXT   NOT NULL,
    sha256    TEXT   NOT NULL,
    log_index BIGINT NOT NULL,
    PRIMARY KEY (origin, sha256)
);

-- Where the log accounts for an intent: the leaf that announced it is at log_from or later, at log_index once that was
-- noted; log_outcome is the leaf that tells how it ended, NULL as long as none does, -1 when nothing was ever announced. An
-- empty log_origin is an intent without a log.
ALTER TABLE intent ADD COLUMN log_origin  TEXT   NOT NULL DEFAULT '';
ALTER TABLE intent ADD COLUMN log_from    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE intent ADD COLUMN log_index   BIGINT;
ALTER TABLE intent ADD COLUMN log_outcome BIGINT;
CREATE INDEX intent_unaccounted ON intent (log_origin, id) WHERE log_outcome IS NULL AND log_origin <> '';

-- +goose Down
DROP INDEX intent_unaccounted;
ALTER TABLE intent DROP COLUMN log_outcome;
ALTER TABLE intent DROP COLUMN log_index;
ALTER TABLE intent DROP COLUMN log_from;
ALTER TABLE intent DROP COLUMN log_origin;
DROP TABLE log_certificate;
DROP TABLE log_memory;
