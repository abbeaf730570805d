package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Lane says what an event's work goes before and behind; the queue defines the values.
type Lane string

// Event is what an Artifactory instance announced. It says where to look and nothing else.
type Event struct {
	ID         int64     `json:"id"`       // set by the queue; also the number of the job. Duplicates bear the number of what they repeat
	Instance   string    `json:"instance"` // configured name
	Domain     string    `json:"domain"`
	Type       string    `json:"type"`
	Repo       string    `json:"repo"`
	Path       string    `json:"path"`
	SHA256     string    `json:"sha256,omitempty"` // as announced, may be empty, never believed
	Key        string    `json:"key"`              // idempotency key
	ReceivedAt time.Time `json:"receivedAt"`
	Lane       Lane      `json:"lane,omitempty"`    // empty is the lane of daily work
	Outcome    string    `json:"outcome,omitempty"` // set by the queue: EventAccepted or EventDuplicate
	Caller     string    `json:"caller,omitempty"`  // who asked by name; travels with the work, to its outcome
}

// What became of an event when it arrived.
const (
	EventAccepted  = "accepted"
	EventDuplicate = "duplicate"
)

// Numbers reserves n consecutive numbers of the named counter inside tx and returns the first. What a transaction that
// was rolled back had reserved is handed out again; nothing else ever is.
func Numbers(ctx context.Context, tx *sql.Tx, counter string, n int) (first int64, err error) {
	var last int64
	err = tx.QueryRowContext(ctx, `UPDATE counter SET value = value + $1 WHERE name = $2 RETURNING value`, n, counter).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("numbering %ss: %w", counter, err)
	}
	return last - int64(n) + 1, nil
}

// InsertEvent records an event inside the queue's transaction.
func InsertEvent(ctx context.Context, tx *sql.Tx, e *Event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO event (id, instance, domain, type, repo, path, sha256, key, received_at, lane, outcome)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, e.Instance, e.Domain, e.Type, e.Repo, e.Path, e.SHA256, e.Key, micros(e.ReceivedAt), e.Lane, e.Outcome)
	if err != nil {
		return fmt.Errorf("recording the event: %w", err)
	}
	return nil
}
