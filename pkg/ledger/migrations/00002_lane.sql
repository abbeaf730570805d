-- +goose Up
-- The lane that an event asked for. Empty for those from before there were lanes, and those that an older replica stores.
ALTER TABLE event ADD COLUMN lane TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE event DROP COLUMN lane;
