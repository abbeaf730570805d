-- +goose Up
-- Whom certificates were issued for, and of which keys: verifiers are told for as long as what was signed has to be believed,
-- also when the policy that an identity is named after has gone. public_key is a SubjectPublicKeyInfo in DER.
CREATE TABLE certified (
    identity   TEXT   NOT NULL,
    key_spki   TEXT   NOT NULL,
    key_name   TEXT   NOT NULL,
    lane       TEXT   NOT NULL,
    public_key BYTEA  NOT NULL,
    first_at   BIGINT NOT NULL,
    PRIMARY KEY (identity, key_spki)
);

-- +goose Down
DROP TABLE certified;
