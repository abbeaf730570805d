-- +goose Up
-- What a decision was made with, so that another policy set can be asked the same question. facts is JSON text, empty in
-- rows from before and of an older replica; where it is the same as in an earlier row of the place, facts_at is that row's
-- time instead. moment is what time windows were held against.
ALTER TABLE outcome ADD COLUMN facts TEXT NOT NULL DEFAULT '';
ALTER TABLE outcome ADD COLUMN facts_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outcome ADD COLUMN moment BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outcome ADD COLUMN warnings TEXT NOT NULL DEFAULT '';
ALTER TABLE outcome ADD COLUMN caller TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN facts TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN facts_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN moment BIGINT NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN warnings TEXT NOT NULL DEFAULT '';
ALTER TABLE verdict ADD COLUMN rule TEXT NOT NULL DEFAULT '';

-- All decisions in the order of time.
CREATE INDEX outcome_time ON outcome (at);
CREATE INDEX verdict_time ON verdict (at);

-- +goose Down
DROP INDEX verdict_time;
DROP INDEX outcome_time;
ALTER TABLE verdict DROP COLUMN rule;
ALTER TABLE verdict DROP COLUMN warnings;
ALTER TABLE verdict DROP COLUMN moment;
ALTER TABLE verdict DROP COLUMN facts_at;
ALTER TABLE verdict DROP COLUMN facts;
ALTER TABLE outcome DROP COLUMN caller;
ALTER TABLE outcome DROP COLUMN warnings;
ALTER TABLE outcome DROP COLUMN moment;
ALTER TABLE outcome DROP COLUMN facts_at;
ALTER TABLE outcome DROP COLUMN facts;
