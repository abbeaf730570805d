-- +goose Up
-- Times are microseconds since 1970, UTC; digests are lowercase hexadecimal text; lists and reasons are JSON text.

-- Numbers are handed out here because the dialects disagree on how a column counts by itself.
CREATE TABLE counter (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('event', 0), ('intent', 0);

CREATE TABLE replica (
    name    TEXT   PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- What arrived. The number is also that of the job; a duplicate bears the number of the event it repeats.
CREATE TABLE event (
    id          BIGINT NOT NULL,
    instance    TEXT   NOT NULL,
    domain      TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    repo        TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    sha256      TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    outcome     TEXT   NOT NULL
);
CREATE INDEX event_place ON event (repo, path, instance, id);

-- What a key was about to be used for. state: 0 live, 1 sealed, 2 abandoned.
CREATE TABLE intent (
    id         BIGINT  PRIMARY KEY,
    grant_id   TEXT    NOT NULL,
    instance   TEXT    NOT NULL,
    repo       TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    key_name   TEXT    NOT NULL,
    key_spki   TEXT    NOT NULL,
    formats    TEXT    NOT NULL,
    policy     TEXT    NOT NULL,
    rule       TEXT    NOT NULL,
    policy_set TEXT    NOT NULL,
    event_id   BIGINT  NOT NULL,
    replica    TEXT    NOT NULL,
    started_at BIGINT  NOT NULL,
    held_at    BIGINT  NOT NULL, -- the lease runs from here
    state      INTEGER NOT NULL,
    ended_at   BIGINT  NOT NULL,
    why        TEXT    NOT NULL
);
CREATE UNIQUE INDEX intent_live ON intent (subject, key_spki) WHERE state = 0;

CREATE TABLE signature (
    subject   TEXT   NOT NULL,
    key_spki  TEXT   NOT NULL,
    format    TEXT   NOT NULL,
    key_name  TEXT   NOT NULL,
    content   BYTEA  NOT NULL,
    made_at   BIGINT NOT NULL,
    intent_id BIGINT NOT NULL
);
CREATE UNIQUE INDEX signature_once ON signature (subject, key_spki, format);

-- How work on an artifact ended, every time; the newest row of a place is its current state.
CREATE TABLE outcome (
    repo        TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    instance    TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    subject     TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    reasons     TEXT   NOT NULL,
    policy      TEXT   NOT NULL,
    rule        TEXT   NOT NULL,
    policy_set  TEXT   NOT NULL,
    event_id    BIGINT NOT NULL,
    keys        TEXT   NOT NULL,
    files       TEXT   NOT NULL,
    received_at BIGINT NOT NULL
);
CREATE INDEX outcome_place ON outcome (repo, path, instance, at);

CREATE TABLE verdict (
    repo            TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    instance        TEXT    NOT NULL,
    at              BIGINT  NOT NULL,
    target_instance TEXT    NOT NULL,
    target_repo     TEXT    NOT NULL,
    target_path     TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    allow           INTEGER NOT NULL,
    reasons         TEXT    NOT NULL,
    policy_set      TEXT    NOT NULL,
    caller          TEXT    NOT NULL
);
CREATE INDEX verdict_place ON verdict (repo, path, instance, at);

-- +goose Down
DROP TABLE verdict;
DROP TABLE outcome;
DROP TABLE signature;
DROP TABLE intent;
DROP TABLE event;
DROP TABLE replica;
DROP TABLE counter;
