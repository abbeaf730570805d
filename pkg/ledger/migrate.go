package ledger

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable holds which migrations ran.
const versionTable = "ledger_version"

// migrate brings the schema to this version of the program. One text serves both dialects. Replicas that start
// together wait for each other inside their transactions.
func migrate(ctx context.Context, db *sql.DB, d Dialect) error {
	p, err := provider(db, d)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the ledger's schema up to date: %w", err)
	}
	return nil
}

// pending counts the migrations that are still to run, and changes nothing: goose's own question creates its table.
func pending(ctx context.Context, db *sql.DB, d Dialect) (int, error) {
	p, err := provider(db, d)
	if err != nil {
		return 0, err
	}
	exists := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '` + versionTable + `'`
	if d == Postgres {
		exists = `SELECT count(to_regclass('` + versionTable + `'))`
	}
	var there int
	if err := db.QueryRowContext(ctx, exists).Scan(&there); err != nil {
		return 0, fmt.Errorf("reading the schema's version: %w", err)
	}
	missing := len(p.ListSources())
	if there == 0 {
		return missing, nil
	}
	for _, source := range p.ListSources() {
		var applied int
		if err := db.QueryRowContext(ctx, `SELECT count(*) FROM `+versionTable+` WHERE version_id = $1`, source.Version).Scan(&applied); err != nil {
			return 0, fmt.Errorf("reading the schema's version: %w", err)
		}
		if applied > 0 {
			missing--
		}
	}
	return missing, nil
}

func provider(db *sql.DB, d Dialect) (*goose.Provider, error) {
	dialect := goose.DialectSQLite3
	if d == Postgres {
		dialect = goose.DialectPostgres
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, sub, goose.WithTableName(versionTable))
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	return p, nil
}
