-- +goose Up
-- What was promoted as one: kind is file, build, image or bundle; name is the build's, image's or bundle's.
ALTER TABLE promotion ADD COLUMN kind TEXT NOT NULL DEFAULT 'file';
ALTER TABLE promotion ADD COLUMN name TEXT NOT NULL DEFAULT '';
CREATE INDEX promotion_item_target ON promotion_item (target_repo, target_path, promotion_id);

-- +goose Down
DROP INDEX promotion_item_target;
ALTER TABLE promotion DROP COLUMN name;
ALTER TABLE promotion DROP COLUMN kind;
