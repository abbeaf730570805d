-- +goose Up
INSERT INTO counter (name, value) VALUES ('promotion', 0);

-- What somebody had promoted. state: running, done, incomplete.
CREATE TABLE promotion (
    id          BIGINT  PRIMARY KEY,
    instance    TEXT    NOT NULL,
    target_repo TEXT    NOT NULL,
    move        INTEGER NOT NULL,
    caller      TEXT    NOT NULL,
    policy_set  TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    started_at  BIGINT  NOT NULL,
    ended_at    BIGINT  NOT NULL
);

-- One artifact of a promotion. Of a pair of places the item of the newest promotion counts.
CREATE TABLE promotion_item (
    promotion_id BIGINT  NOT NULL,
    seq          INTEGER NOT NULL,
    instance     TEXT    NOT NULL,
    repo         TEXT    NOT NULL,
    path         TEXT    NOT NULL,
    target_repo  TEXT    NOT NULL,
    target_path  TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    files        TEXT    NOT NULL,
    rule         TEXT    NOT NULL,
    move         INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    reasons      TEXT    NOT NULL,
    at           BIGINT  NOT NULL,
    PRIMARY KEY (promotion_id, seq)
);
CREATE INDEX promotion_item_place ON promotion_item (repo, path, target_repo, promotion_id);
CREATE INDEX promotion_item_open ON promotion_item (repo, target_repo) WHERE state = 'copied';

-- +goose Down
DROP TABLE promotion_item;
DROP TABLE promotion;
DELETE FROM counter WHERE name = 'promotion';
