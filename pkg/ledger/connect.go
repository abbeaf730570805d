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
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// Dialect names a kind of database.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// PostgresConnections is how many connections one ledger, which is one replica, has open on PostgreSQL at most. The
// server's max_connections must hold that many for every replica.
const PostgresConnections = 16

// readers is how many reads run at once. Reads are rare and short beside writes.
const readers = 4

func (l *Ledger) connect(ctx context.Context) error {
	u, err := url.Parse(l.cfg.URL)
	if err != nil {
		return errors.New("url cannot be parsed")
	}
	if u.Scheme == "sqlite" {
		l.dialect = SQLite
		return l.connectSQLite(ctx, u.Path)
	}
	l.dialect = Postgres
	return l.connectPostgres(ctx)
}

// connectSQLite opens one connection for writing and a few for reading. WAL lets readers go on beside the writer;
// synchronous=FULL makes a commit survive the loss of power.
func (l *Ledger) connectSQLite(ctx context.Context, path string) (err error) {
	if err := touch(path); err != nil {
		return err
	}
	if l.unlock, err = lock(lockFile(path)); err != nil {
		return err
	}
	write := url.Values{"_txlock": {"immediate"}, "_time_format": {"sqlite"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)", "cache_size(-32000)", "temp_store(MEMORY)",
	}}
	read := url.Values{"_time_format": {"sqlite"}, "_pragma": {"busy_timeout(10000)", "query_only(1)"}}
	if l.write, err = openSQLite(path, write, 1); err != nil {
		return errors.Join(err, l.unlock())
	}
	if l.read, err = openSQLite(path, read, readers); err != nil {
		return errors.Join(err, l.write.Close(), l.unlock())
	}
	if err := l.write.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("connecting to SQLite: %w", err), l.disconnect())
	}
	return nil
}

// touch proves that the file can be written, and creates it when it is absent.
func touch(path string) error {
	err := openForWriting(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err = openForWriting(path, os.O_CREATE); err != nil {
			return creatingError(err)
		}
	}
	return openingError(err)
}

func openForWriting(path string, flag int) error {
	f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func creatingError(err error) error {
	return fmt.Errorf("creating the database file (its directory must exist and be writable): %w", err)
}

// openingError speaks of a file that is there; nil stays nil.
func openingError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("opening the database file for writing: %w; it and its directory must be writable by this user", err)
}

func openSQLite(path string, params url.Values, conns int) (*sql.DB, error) {
	dsn := (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: params.Encode()}).String()
	base, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("connecting to SQLite: %w", err)
	}
	db := sql.OpenDB(remembering{base})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// connectPostgres uses one pool for everything; pgx keeps prepared statements per connection by itself.
func (l *Ledger) connectPostgres(ctx context.Context) error {
	conf, err := pgx.ParseConfig(l.cfg.URL)
	if err != nil {
		return errors.New("url is not a PostgreSQL connection URL") // the parser's message may quote the password
	}
	password, err := l.cfg.Password.read()
	if err != nil {
		return err
	}
	if password != "" {
		conf.Password = password
	}
	conf.RuntimeParams["application_name"] = "hallmark"
	conf.RuntimeParams["synchronous_commit"] = "on"
	l.write = stdlib.OpenDB(*conf)
	l.write.SetMaxOpenConns(PostgresConnections)
	l.write.SetMaxIdleConns(8)
	l.write.SetConnMaxIdleTime(5 * time.Minute)
	l.read = l.write
	if err := l.write.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("connecting to PostgreSQL at %s:%d as %s: %w", conf.Host, conf.Port, conf.User, err), l.write.Close())
	}
	return nil
}
