-- +goose Up
INSERT INTO counter (name, value) VALUES ('distrust', 0);

-- Which keys are distrusted, from when on, and who said so. Rows are only added: of a key the newest counts, and one with
-- lifted = 1 says that the key is trusted again.
CREATE TABLE distrust (
    id       BIGINT  PRIMARY KEY,
    key_spki TEXT    NOT NULL,
    key_name TEXT    NOT NULL,
    from_at  BIGINT  NOT NULL,
    lifted   INTEGER NOT NULL,
    at       BIGINT  NOT NULL,
    by_whom  TEXT    NOT NULL,
    why      TEXT    NOT NULL
);

-- What a key has signed, and where it was promoted to.
CREATE INDEX signature_key ON signature (key_spki, subject);
CREATE INDEX promotion_item_subject ON promotion_item (subject);

-- +goose Down
DROP INDEX promotion_item_subject;
DROP INDEX signature_key;
DROP TABLE distrust;
DELETE FROM counter WHERE name = 'distrust';
