// Package ledgertest gives tests a real ledger on either database. PostgreSQL is started from the machine's own
// installation, once per test process, on a loopback port, with its data in a temporary directory and fsync on.
package ledgertest

import (
	"context"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Dialects is every database that the product runs on.
func Dialects() []ledger.Dialect { return []ledger.Dialect{ledger.SQLite, ledger.Postgres} }

// Each runs the test on every dialect, side by side.
func Each(t *testing.T, test func(t *testing.T, d ledger.Dialect)) {
	t.Helper()
	for _, d := range Dialects() {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
}

// URL is the address of a new, empty database that lives as long as the test.
func URL(tb testing.TB, d ledger.Dialect) string {
	tb.Helper()
	if d == ledger.Postgres {
		return postgres(tb).database(tb)
	}
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(tb.TempDir(), "ledger.db")}).String()
}

// Open opens a new ledger and closes it when the test ends.
func Open(tb testing.TB, d ledger.Dialect) *ledger.Ledger {
	tb.Helper()
	return OpenConfig(tb, ledger.Config{URL: URL(tb, d)})
}

// OpenConfig opens a ledger and closes it when the test ends.
func OpenConfig(tb testing.TB, cfg ledger.Config) *ledger.Ledger {
	tb.Helper()
	l, err := ledger.Open(context.Background(), cfg, ledger.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, l.Close()) })
	return l
}
