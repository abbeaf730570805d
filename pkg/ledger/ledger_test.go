package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func digest(s string) artifact.Digest { return sha256.Sum256([]byte(s)) }

func ref(t *testing.T, path string) artifact.Ref {
	t.Helper()
	r, err := artifact.NewRef("main", "libs-staging-local", path)
	require.NoError(t, err)
	return r
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  ledger.Config
		want string
	}{
		"no url":             {ledger.Config{}, `scheme "" is not sqlite or postgres`},
		"other database":     {ledger.Config{URL: "mysql://host/db"}, `scheme "mysql" is not sqlite or postgres`},
		"relative path":      {ledger.Config{URL: "sqlite://hallmark.db"}, "absolute path"},
		"negative lease":     {ledger.Config{URL: "sqlite:///x", Lease: -1}, "lease is -1ns"},
		"negative waiting":   {ledger.Config{URL: "sqlite:///x", MaxWaiting: -1}, "maxWaiting is -1"},
		"unreadable":         {ledger.Config{URL: "postgres://u:s3cret@h:port/x"}, "url cannot be parsed"},
		"password":           {ledger.Config{URL: "postgres://u:s3cret@h/x"}, "password: {file: ...}"},
		"password as option": {ledger.Config{URL: "postgres://u@h/x?password=s3cret"}, "password: {file: ...}"},
		"two things at once": {ledger.Config{URL: "x://", Lease: -1}, "lease is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.cfg.Validate()
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	require.NoError(t, ledger.Config{URL: "postgres://hallmark@db/hallmark"}.Validate())
}

func TestOpenExplainsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "not-a-database")
	require.NoError(t, os.WriteFile(file, []byte("this is a text file, and longer than the header of a database would be, by a good deal"), 0o600))
	for name, c := range map[string]struct{ url, want string }{
		"missing directory": {"sqlite://" + dir + "/missing/x.db", "its directory must exist and be writable"},
		"not a database":    {"sqlite://" + file, "not a database"},
		"nobody listens":    {"postgres://hallmark@127.0.0.1:1/x?sslmode=disable", "connecting to PostgreSQL at 127.0.0.1:1 as hallmark"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ledger.Open(context.Background(), ledger.Config{URL: c.url}, ledger.Options{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	t.Run("missing password file", func(t *testing.T) {
		t.Parallel()
		_, err := ledger.Open(context.Background(), ledger.Config{URL: "postgres://h/x", Password: ledger.PasswordFile{File: dir + "/none"}}, ledger.Options{})
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestSQLiteBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	cfg := ledger.Config{URL: ledgertest.URL(t, ledger.SQLite)}
	first, err := ledger.Open(t.Context(), cfg, ledger.Options{})
	require.NoError(t, err)
	_, err = ledger.Open(t.Context(), cfg, ledger.Options{})
	require.ErrorIs(t, err, ledger.ErrInUse)
	_, err = ledger.Check(t.Context(), cfg)
	require.ErrorIs(t, err, ledger.ErrInUse)
	require.NoError(t, first.Close())
	_, err = ledger.Check(t.Context(), cfg)
	require.NoError(t, err)
}

func TestPingFailsWhenNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	full := errors.New("disk is full")
	l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), CommitHook: func(ledger.CommitPhase) error { return full }})
	require.ErrorIs(t, l.Ping(t.Context()), full)
}

func TestReadOnlyDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	_, err := l.SQL().Exec("PRAGMA query_only = 1")
	require.NoError(t, err)
	require.ErrorContains(t, l.Ping(t.Context()), "writing to the ledger")
	require.Error(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "a.tgz"), State: ledger.Signed}))
}

func TestReaderCannotWriteOnSQLite(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	_, err := l.Reader().Exec("DELETE FROM event")
	require.Error(t, err)
}

func TestPingAndReopen(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		cfg := ledger.Config{URL: ledgertest.URL(t, d)}
		reg := prometheus.NewRegistry()
		l, err := ledger.Open(t.Context(), cfg, ledger.Options{Registerer: reg})
		require.NoError(t, err)
		require.Equal(t, d, l.Dialect())
		require.NotEmpty(t, l.Replica())
		require.NoError(t, l.Ping(t.Context()))
		require.NoError(t, l.Ping(t.Context()))
		require.NoError(t, l.Close())
		require.ErrorIs(t, l.Ping(t.Context()), ledger.ErrClosed)
		problems, err := testutil.GatherAndLint(reg)
		require.NoError(t, err)
		require.Empty(t, problems)

		again, err := ledger.Open(t.Context(), cfg, ledger.Options{})
		require.NoError(t, err)
		require.NoError(t, again.Ping(t.Context()))
		require.NoError(t, again.Close())
	})
}

func TestTimesSurviveToTheMicrosecond(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		at := time.Date(2026, 11, 21, 20, 4, 5, 123456789, time.FixedZone("x", 3600))
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "a.tgz"), State: ledger.Signed, At: at}))
		st, err := l.Status(t.Context(), ref(t, "a.tgz"))
		require.NoError(t, err)
		require.Equal(t, at.UTC().Truncate(time.Microsecond), st.Current.At)
		require.True(t, st.Current.ReceivedAt.IsZero())
	})
}
