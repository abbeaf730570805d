-- +goose Up
-- SHA-256 of the content, to tell what a signature file in hand was made for. Empty in rows from before, and in those that
-- an older replica stores: such a file is told from any other only by what it says itself.
ALTER TABLE signature ADD COLUMN content_sha256 TEXT NOT NULL DEFAULT '';
CREATE INDEX signature_content ON signature (content_sha256);

-- +goose Down
DROP INDEX signature_content;
ALTER TABLE signature DROP COLUMN content_sha256;
