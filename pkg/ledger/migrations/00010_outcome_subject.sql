-- +goose Up
-- Where some bytes were seen.
CREATE INDEX outcome_subject ON outcome (subject, instance, repo);

-- +goose Down
DROP INDEX outcome_subject;
