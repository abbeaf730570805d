package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"time"
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
	var n int
	if err := l.read.QueryRowContext(ctx, `SELECT count(*) FROM intent WHERE id = 0 AND log_origin <> '' AND NOT EXISTS (SELECT 1 FROM signature_ever WHERE subject = '')`).Scan(&n); err != nil {
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

// NewestIntent is Ledger.NewestIntent.
func (v *View) NewestIntent(ctx context.Context) (time.Time, error) { return v.l.NewestIntent(ctx) }
