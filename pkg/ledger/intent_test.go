package ledger_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

const (
	waitFor = 60 * time.Second
	tick    = 2 * time.Millisecond
)

func intent(t *testing.T, bytes, key string, formats ...string) ledger.Intent {
	t.Helper()
	return ledger.Intent{
		GrantID: "f00d", Ref: ref(t, "app/"+bytes), Subject: digest(bytes), KeyName: key, KeySPKI: digest(key), Formats: formats,
		Policy: "release-binaries", Rule: "release.yaml:14 (release-binaries)", PolicySet: digest("set"), EventID: 7,
	}
}

func signatures(in ledger.Intent, content string) []ledger.Signature {
	var sigs []ledger.Signature
	for _, f := range in.Formats {
		sigs = append(sigs, ledger.Signature{Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: f, Content: []byte(f + content)})
	}
	return sigs
}

func TestOneIntentPerBytesAndKey(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		first, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.NoError(t, err)
		require.NotZero(t, first.ID)
		require.False(t, first.StartedAt.IsZero())

		_, err = l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.ErrorIs(t, err, ledger.ErrBusy)
		other, err := l.Begin(t.Context(), intent(t, "a", "dev", "sigstore"))
		require.NoError(t, err, "another key is another signature")
		require.NotEqual(t, first.ID, other.ID)
		_, err = l.Begin(t.Context(), intent(t, "b", "release", "sigstore"))
		require.NoError(t, err, "other bytes are another signature")

		require.NoError(t, l.Abandon(t.Context(), first.ID, "the token went away"))
		require.NoError(t, l.Abandon(t.Context(), first.ID, "again"))
		second, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.NoError(t, err, "an abandoned lease is free")
		require.Greater(t, second.ID, first.ID)
	})
}

func TestConcurrentDuplicatesEndInOneIntent(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		var wg sync.WaitGroup
		results := make(chan error, 50)
		in := intent(t, "a", "release", "sigstore")
		for range cap(results) {
			wg.Go(func() {
				_, err := l.Begin(t.Context(), in)
				results <- err
			})
		}
		wg.Wait()
		close(results)
		won := 0
		for err := range results {
			if err == nil {
				won++
				continue
			}
			require.ErrorIs(t, err, ledger.ErrBusy)
		}
		require.Equal(t, 1, won)
	})
}

func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), Lease: time.Minute})
		old := intent(t, "a", "release", "sigstore")
		old.StartedAt = time.Now().Add(-2 * time.Minute)
		old, err := l.Begin(t.Context(), old)
		require.NoError(t, err)
		fresh, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.NoError(t, err)

		require.ErrorIs(t, l.Sealed(t.Context(), old.ID, signatures(old, "late")), ledger.ErrNotLive)
		require.ErrorIs(t, l.Sealed(t.Context(), fresh.ID, signatures(fresh, "twice")), ledger.ErrSealed)
		sigs, err := l.Signatures(t.Context(), old.Subject)
		require.NoError(t, err)
		require.Len(t, sigs, 1)
		require.Equal(t, "sigstorelate", string(sigs[0].Content), "what was stored first stays")
	})
}

func TestRestartReleasesOwnLeases(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		url := ledgertest.URL(t, d)
		before, err := ledger.Open(t.Context(), ledger.Config{URL: url, Replica: "a"}, ledger.Options{})
		require.NoError(t, err)
		in, err := before.Begin(t.Context(), intent(t, "x", "release", "sigstore"))
		require.NoError(t, err)
		require.NoError(t, before.Close())

		_, err = ledger.Check(t.Context(), ledger.Config{URL: url, Replica: "a"})
		require.NoError(t, err)
		other, err := ledger.Open(t.Context(), ledger.Config{URL: url, Replica: "b"}, ledger.Options{})
		require.NoError(t, err)
		_, err = other.Begin(t.Context(), in)
		require.ErrorIs(t, err, ledger.ErrBusy, "neither a check nor another replica releases it")
		require.NoError(t, other.Close())

		again := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "a"})
		_, err = again.Begin(t.Context(), in)
		require.NoError(t, err)
	})
}

func TestSealedIsKeptAndReused(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		in, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore", "raw"))
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), in.ID, signatures(in, "\x00\xff")))

		sigs, err := l.Signatures(t.Context(), in.Subject)
		require.NoError(t, err)
		require.Len(t, sigs, 2)
		require.Equal(t, []byte("raw\x00\xff"), sigs[0].Content)
		require.Equal(t, "raw", sigs[0].Format)
		require.Equal(t, "release", sigs[1].KeyName)
		require.Equal(t, digest("release"), sigs[1].KeySPKI)
		require.Equal(t, in.ID, sigs[1].IntentID)
		require.WithinDuration(t, time.Now(), sigs[1].MadeAt, time.Minute)

		_, err = l.Begin(t.Context(), intent(t, "a", "release", "raw"))
		require.ErrorIs(t, err, ledger.ErrSealed)
		more, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore", "other"))
		require.NoError(t, err, "a format is missing")
		require.ErrorIs(t, l.Sealed(t.Context(), more.ID, signatures(more, "new")), ledger.ErrSealed)
		sigs, err = l.Signatures(t.Context(), in.Subject)
		require.NoError(t, err)
		require.Len(t, sigs, 3)

		none, err := l.Signatures(t.Context(), digest("unsigned"))
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func TestIntentIsDurableBeforeItIsGranted(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	g := newGate()
	l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), CommitHook: g.hook})
	g.fail(ledger.BeforeCommit, broken)
	in, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
	require.ErrorIs(t, err, broken)
	require.Zero(t, in)
	g.fail(ledger.BeforeCommit, nil)
	in, err = l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
	require.NoError(t, err, "the failed one left no lease behind")
	g.fail(ledger.BeforeCommit, broken)
	require.ErrorIs(t, l.Sealed(t.Context(), in.ID, signatures(in, "")), broken)
	sigs, err := l.Signatures(t.Context(), in.Subject)
	require.NoError(t, err)
	require.Empty(t, sigs)
}
