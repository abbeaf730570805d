-- +goose Up
-- For how many parts of a build or bundle work was ordered. 0 for everything else, and in rows of an older replica.
ALTER TABLE outcome ADD COLUMN parts BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE outcome DROP COLUMN parts;
