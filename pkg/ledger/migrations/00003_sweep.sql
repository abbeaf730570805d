-- +goose Up
-- One comparison of a repository with the ledger, by what started it; the newest of its kind. state: waiting, running,
-- done. What is zero or empty was not asked for.
CREATE TABLE sweep (
    id           BIGINT  NOT NULL,
    instance     TEXT    NOT NULL,
    repo         TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    caller       TEXT    NOT NULL,
    rate         BIGINT  NOT NULL, -- hints a second, 0 for no limit
    since        BIGINT  NOT NULL,
    until        BIGINT  NOT NULL,
    state        TEXT    NOT NULL,
    at           BIGINT  NOT NULL, -- position: what lies up to it has been compared
    path         TEXT    NOT NULL,
    seen_until   BIGINT  NOT NULL, -- of all runs of this kind: up to it everything has been compared
    requested_at BIGINT  NOT NULL,
    started_at   BIGINT  NOT NULL,
    finished_at  BIGINT  NOT NULL,
    items        BIGINT  NOT NULL,
    repaired     BIGINT  NOT NULL,
    lost         BIGINT  NOT NULL,
    findings     TEXT    NOT NULL,
    problem      TEXT    NOT NULL,
    PRIMARY KEY (instance, repo, prefix, kind)
);
CREATE UNIQUE INDEX sweep_id ON sweep (id);
INSERT INTO counter (name, value) VALUES ('sweep', 0);

CREATE TABLE finding (
    sweep_id BIGINT  NOT NULL,
    path     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    repaired INTEGER NOT NULL,
    reasons  TEXT    NOT NULL
);
CREATE INDEX finding_sweep ON finding (sweep_id);

-- Work that one replica at a time does.
CREATE TABLE turn (
    name    TEXT   PRIMARY KEY,
    replica TEXT   NOT NULL,
    held_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE turn;
DROP TABLE finding;
DROP TABLE sweep;
DELETE FROM counter WHERE name = 'sweep';
