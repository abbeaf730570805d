package ledgertest

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Forge changes the SQLite ledger at a URL as somebody does who can write its file.
func Forge(tb testing.TB, url, query string, args ...any) {
	tb.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(url, "sqlite://"))
	require.NoError(tb, err)
	_, err = db.ExecContext(tb.Context(), query, args...)
	require.NoError(tb, errors.Join(err, db.Close()))
}
