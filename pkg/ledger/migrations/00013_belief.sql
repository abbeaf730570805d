-- +goose Up
INSERT INTO counter (name, value) VALUES ('belief', 0);

-- What verifiers must believe for ever: trusted roots of replicas, artifact keys, identities in certificates. Each row is a
-- statement that an issuing authority signed; the database is not believed. A later statement of the same authority about
-- the same subject takes the place of the earlier one, under a new number. content and signature are what was signed, and
-- the signature in base64.
CREATE TABLE belief (
    number    BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    subject   TEXT   NOT NULL,
    voucher   TEXT   NOT NULL,
    content   TEXT   NOT NULL,
    signature TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (kind, subject, voucher)
);

-- +goose Down
DROP TABLE belief;
DELETE FROM counter WHERE name = 'belief';
