package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// View reads a ledger that a service may have open at the same time. It writes nothing, takes nothing from the service and
// changes no schema. Safe for concurrent use.
type View struct{ l *Ledger }

// OpenView opens the ledger for reading. It must be there, and as new as this program expects.
func OpenView(ctx context.Context, cfg Config) (*View, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("opening the ledger for reading: %w", err)
	}
	l := &Ledger{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	if err := l.connectView(ctx); err != nil {
		return nil, fmt.Errorf("opening the ledger for reading: %w", err)
	}
	v := &View{l}
	if _, err := v.LastIntent(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the ledger for reading: %w", err), v.Close())
	}
	return v, nil
}

func (l *Ledger) connectView(ctx context.Context) error {
	u, err := url.Parse(l.cfg.URL)
	if err != nil {
		return errors.New("url cannot be parsed")
	}
	if u.Scheme != "sqlite" {
		l.dialect = Postgres
		return l.connectPostgres(ctx)
	}
	l.dialect = SQLite
	if _, err := os.Stat(u.Path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no ledger at %s", u.Path)
		}
		return err
	}
	read := url.Values{"mode": {"ro"}, "_time_format": {"sqlite"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	if l.read, err = openSQLite(u.Path, read, readers); err != nil {
		return err
	}
	l.write = l.read
	return nil
}

// Close closes the connections.
func (v *View) Close() error { return v.l.write.Close() }

// LastCheckpoint is Ledger.LastCheckpoint.
func (v *View) LastCheckpoint(ctx context.Context, origin string) (size uint64, root []byte, err error) {
	return v.l.LastCheckpoint(ctx, origin)
}

// LastIntent is the greatest number that any intent has; 0 when there is none.
func (v *View) LastIntent(ctx context.Context) (int64, error) {
	var last sql.NullInt64
	if err := v.l.read.QueryRowContext(ctx, `SELECT max(id) FROM intent WHERE log_origin IS NOT NULL`).Scan(&last); err != nil {
		return 0, fmt.Errorf("reading the last intent: %w", err)
	}
	return last.Int64, nil
}

// SignaturesOf is Ledger.SignaturesOf.
func (v *View) SignaturesOf(ctx context.Context, subjects []artifact.Digest) (map[artifact.Digest][]Signature, error) {
	return v.l.SignaturesOf(ctx, subjects)
}

// Origins is Ledger.Origins.
func (v *View) Origins(ctx context.Context, at artifact.Ref, contents []artifact.Digest) (map[artifact.Digest]Origin, error) {
	return v.l.Origins(ctx, at, contents)
}

// Made is a signature of the ledger with the log that tells of its making.
type Made struct {
	Signature              // without content
	Ref       artifact.Ref // what it was first made for
	LogOrigin string       // "" for none
}

// EachMade hands over every signature that the log of this origin has to tell of: those whose intent names it and, from a
// moment on, those of the replicas whose intents name no log. The order is none. Memory does not grow with their number.
func (v *View) EachMade(ctx context.Context, origin string, replicas []string, from time.Time, each func(Made) error) error {
	of := map[string]bool{}
	for _, r := range replicas {
		of[r] = true
	}
	err := v.l.each(ctx, `SELECT s.subject, s.key_spki, s.format, s.key_name, s.made_at, s.intent_id, i.instance, i.repo, i.path, i.log_origin, i.replica
		FROM signature s JOIN intent i ON i.id = s.intent_id WHERE i.log_origin = $1 OR i.log_origin = '' AND s.made_at >= $2`,
		[]any{origin, micros(from)}, func(rows *sql.Rows) error {
			var m Made
			var subject, spki, replica string
			var made int64
			if err := rows.Scan(&subject, &spki, &m.Format, &m.KeyName, &made, &m.IntentID, &m.Ref.Instance, &m.Ref.Repo, &m.Ref.Path, &m.LogOrigin, &replica); err != nil {
				return err
			}
			if m.LogOrigin == "" && !of[replica] {
				return nil
			}
			var errs [2]error
			m.Subject, errs[0] = parseDigest(subject)
			m.KeySPKI, errs[1] = parseDigest(spki)
			m.MadeAt = fromMicros(made)
			if err := errors.Join(errs[:]...); err != nil {
				return err
			}
			return each(m)
		})
	if err != nil {
		return fmt.Errorf("reading the signatures that log %s has to tell of: %w", origin, err)
	}
	return nil
}
