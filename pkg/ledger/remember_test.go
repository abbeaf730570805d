package ledger

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A statement whose rows are still being read must not be restarted by the same text.
func TestRememberedStatementsDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	db, err := openSQLite(filepath.Join(t.TempDir(), "x.db"), nil, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec("CREATE TABLE n (n INTEGER)")
	require.NoError(t, err)
	for i := range 3 {
		_, err = db.Exec("INSERT INTO n (n) VALUES ($1)", i)
		require.NoError(t, err)
	}
	tx, err := db.Begin()
	require.NoError(t, err)
	const query = "SELECT n FROM n WHERE n >= $1 ORDER BY n"
	outer, err := tx.Query(query, 0)
	require.NoError(t, err)
	pairs := 0
	for outer.Next() {
		var n int
		require.NoError(t, outer.Scan(&n))
		inner, err := tx.Query(query, n)
		require.NoError(t, err)
		for inner.Next() {
			var m int
			require.NoError(t, inner.Scan(&m))
			require.GreaterOrEqual(t, m, n)
			pairs++
		}
		require.NoError(t, inner.Close())
	}
	require.NoError(t, outer.Err())
	require.NoError(t, outer.Close())
	require.NoError(t, tx.Commit())
	require.Equal(t, 6, pairs)
}

func TestRememberedStatementsSurviveErrorsAndAreBounded(t *testing.T) {
	t.Parallel()
	db, err := openSQLite(filepath.Join(t.TempDir(), "x.db"), nil, 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec("CREATE TABLE n (n INTEGER PRIMARY KEY)")
	require.NoError(t, err)
	const insert = "INSERT INTO n (n) VALUES ($1)"
	for range 3 {
		_, _ = db.Exec(insert, 1)
	}
	_, err = db.Exec(insert, 1)
	require.Error(t, err)
	_, err = db.Exec(insert, 2)
	require.NoError(t, err)
	_, err = db.Exec("this is no SQL")
	require.Error(t, err)
	for i := range rememberedMax + 10 {
		var n int
		require.NoError(t, db.QueryRow(fmt.Sprintf("SELECT n + %d FROM n WHERE n = 2", i)).Scan(&n))
		require.Equal(t, i+2, n)
	}
	_, err = db.Exec("ALTER TABLE n ADD COLUMN m INTEGER")
	require.NoError(t, err)
	_, err = db.Exec(insert, 3) // compiled before the table changed
	require.NoError(t, err)
}
