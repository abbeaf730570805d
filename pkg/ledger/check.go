package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Check proves that Open would find a database it can write, and changes nothing: no file is created, no migration
// runs, and what is written to prove it is rolled back or removed. It says what it found beside that, "" for nothing
// of note. A server that runs on the same SQLite file is reported as ErrInUse.
func Check(ctx context.Context, cfg Config) (found string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("checking ledger: %w", err)
		}
	}()
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return "", errors.New("url cannot be parsed")
	}
	if u.Scheme == "sqlite" {
		return checkSQLite(ctx, u.Path)
	}
	l := &Ledger{cfg: cfg, dialect: Postgres}
	if err := l.connectPostgres(ctx); err != nil {
		return "", err
	}
	found, err = checkWrite(ctx, l.write, Postgres)
	return found, errors.Join(err, l.disconnect())
}

func checkSQLite(ctx context.Context, path string) (found string, err error) {
	err = openForWriting(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := probe(filepath.Dir(path)); err != nil {
			return "", creatingError(err)
		}
		return "not there yet; the service creates it", nil
	}
	if err != nil {
		return "", openingError(err)
	}
	// A lock file that is absent is held by nobody. SQLite needs files of its own beside the database.
	if _, absent := os.Stat(lockFile(path)); absent == nil {
		unlock, busy := lock(lockFile(path))
		if busy != nil {
			return "", busy
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	if err := probe(filepath.Dir(path)); err != nil {
		return "", openingError(err)
	}
	// Neither created nor turned to WAL, as connectSQLite would.
	params := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := openSQLite(path, params, 1)
	if err != nil {
		return "", err
	}
	found, err = checkWrite(ctx, db, SQLite)
	return found, errors.Join(err, db.Close())
}

// probe proves that a directory takes new files, with some bytes that reach the disk, and leaves nothing behind.
func probe(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".hallmark-check-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, 1<<16)); err != nil {
		return err
	}
	return f.Sync()
}

// checkWrite writes and rolls back: a row, or, when the schema is still to be made or changed, a table.
func checkWrite(ctx context.Context, db *sql.DB, d Dialect) (found string, err error) {
	missing, err := pending(ctx, db, d)
	if err != nil {
		return "", err
	}
	statement := `INSERT INTO replica (name, seen_at) VALUES ('hallmark doctor', 0)`
	if missing > 0 {
		found = fmt.Sprintf("schema migrations pending: %d; the service applies them when it starts", missing)
		statement = `CREATE TABLE hallmark_doctor (x BIGINT)`
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("writing to the ledger: %w", err)
	}
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return "", errors.Join(fmt.Errorf("writing to the ledger: %w", err), tx.Rollback())
	}
	return found, tx.Rollback()
}
