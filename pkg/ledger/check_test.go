package ledger_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// contents reads every file of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		found[e.Name()] = string(content)
	}
	return found
}

func TestCheckChangesNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "hallmark.db")
	cfg := ledger.Config{URL: "sqlite://" + file}
	check := func() string {
		t.Helper()
		before := contents(t, dir)
		found, err := ledger.Check(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, before, contents(t, dir))
		return found
	}
	require.Contains(t, check(), "not there yet")
	require.NoFileExists(t, file)

	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Contains(t, check(), "pending")

	l, err := ledger.Open(t.Context(), cfg, ledger.Options{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.Empty(t, check())
	require.NoError(t, os.Remove(file+".lock"))
	require.Empty(t, check())

	_, err = ledger.Check(t.Context(), ledger.Config{URL: "sqlite://" + dir})
	require.ErrorContains(t, err, "opening the database file for writing")
}

func TestCheckMigratesNothing(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		address := ledgertest.URL(t, d)
		cfg := ledger.Config{URL: address}
		l, err := ledger.Open(t.Context(), cfg, ledger.Options{})
		require.NoError(t, err)
		_, err = l.SQL().Exec(`DELETE FROM ledger_version WHERE version_id = 5`)
		require.NoError(t, err)
		require.NoError(t, l.Close())

		found, err := ledger.Check(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, "schema migrations pending: 1; the service applies them when it starts", found)

		driver, source := "pgx", address
		if d == ledger.SQLite {
			u, err := url.Parse(address)
			require.NoError(t, err)
			driver, source = "sqlite", u.Path
		}
		db, err := sql.Open(driver, source)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		var rows int
		require.NoError(t, db.QueryRow(`SELECT (SELECT count(*) FROM ledger_version WHERE version_id = 5) + (SELECT count(*) FROM replica)`).Scan(&rows))
		require.Zero(t, rows)
	})
}
