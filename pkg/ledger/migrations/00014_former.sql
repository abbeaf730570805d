-- +goose Up
-- Signatures whose place another one took, of the same bytes, key and format, that carries what they do not. They were made,
-- their files may stand somewhere still, and count there for what they are.
CREATE TABLE signature_former (
    subject        TEXT   NOT NULL,
    key_spki       TEXT   NOT NULL,
    format         TEXT   NOT NULL,
    key_name       TEXT   NOT NULL,
    content        BYTEA  NOT NULL,
    made_at        BIGINT NOT NULL,
    intent_id      BIGINT NOT NULL,
    content_sha256 TEXT   NOT NULL
);
CREATE UNIQUE INDEX signature_former_once ON signature_former (subject, key_spki, format, intent_id);
CREATE INDEX signature_former_content ON signature_former (content_sha256);
CREATE INDEX signature_former_key ON signature_former (key_spki, subject);

-- Every signature that was ever made.
CREATE VIEW signature_ever AS
    SELECT subject, key_spki, format, key_name, content, made_at, intent_id, content_sha256, 0 AS former FROM signature
    UNION ALL
    SELECT subject, key_spki, format, key_name, content, made_at, intent_id, content_sha256, 1 AS former FROM signature_former;

-- +goose Down
DROP VIEW signature_ever;
DROP TABLE signature_former;
