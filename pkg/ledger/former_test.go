package ledger_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// replacing is the intent to make an earlier one's bundles anew, and the signatures that do.
func replacing(t *testing.T, l *ledger.Ledger, old ledger.Intent) (ledger.Intent, []ledger.Signature, error) {
	t.Helper()
	in := intent(t, "a", "release", "sigstore")
	in.Replaces = map[string]int64{"sigstore": old.ID}
	in, err := l.Begin(t.Context(), in)
	sigs := signatures(in, "new")
	for i := range sigs {
		sigs[i].Replaces = old.ID
	}
	return in, sigs, err
}

// A signature that takes another's place does so once; the other remains on record for whoever has its file.
func TestASignatureTakesAnothersPlace(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		old, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore", "raw"))
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), old.ID, signatures(old, "old")))

		anew, sigs, err := replacing(t, l, old)
		require.NoError(t, err, "it is to be made anew")
		require.NoError(t, l.Sealed(t.Context(), anew.ID, sigs))

		kept, err := l.Signatures(t.Context(), digest("a"))
		require.NoError(t, err)
		many, err := l.SignaturesOf(t.Context(), []artifact.Digest{digest("a")})
		require.NoError(t, err)
		require.ElementsMatch(t, kept, many[digest("a")])
		got := map[string]bool{}
		for _, s := range kept {
			got[string(s.Content)] = s.Former
		}
		require.Equal(t, map[string]bool{"sigstoreold": true, "sigstorenew": false, "rawold": false}, got)

		for _, content := range []string{"sigstoreold", "sigstorenew"} {
			file := artifact.Attachment{Content: []byte(content)}.SHA256()
			known, err := l.Origins(t.Context(), ref(t, "app/a"), []artifact.Digest{file})
			require.NoError(t, err)
			require.True(t, known[file].Here, content)
		}
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "app/a"), Subject: digest("a"), State: ledger.Signed}))
		st, err := l.Status(t.Context(), ref(t, "app/a"))
		require.NoError(t, err)
		require.Len(t, st.Signatures, 2, "those in force")

		_, _, err = replacing(t, l, old)
		require.ErrorIs(t, err, ledger.ErrSealed, "it was made anew")
		last, sigs, err := replacing(t, l, anew)
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), last.ID, sigs))
		kept, err = l.Signatures(t.Context(), digest("a"))
		require.NoError(t, err)
		require.Len(t, kept, 4)
	})
}

// Of several that want to take the same place, because leases ran out, one does, and the others learn of it.
func TestOneSignatureTakesAPlace(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		url := ledgertest.URL(t, d)
		replicas := []*ledger.Ledger{ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "one"})}
		l := replicas[0]
		if d == ledger.Postgres {
			replicas = append(replicas, ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "two"}))
		}
		old, err := l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), old.ID, signatures(old, "old")))
		const jobs = 16
		var ready, done sync.WaitGroup
		ready.Add(jobs)
		errs := make([]error, jobs)
		for i := range jobs {
			in, sigs, err := replacing(t, l, old)
			require.NoError(t, err)
			require.NoError(t, l.Abandon(t.Context(), in.ID, "the lease ran out"))
			done.Go(func() {
				ready.Done()
				ready.Wait() // for the last intent, or Begin would see what the first has done
				errs[i] = replicas[i%len(replicas)].Sealed(t.Context(), in.ID, sigs)
			})
		}
		done.Wait()
		won := 0
		for _, err := range errs {
			if errors.Is(err, ledger.ErrNotLive) { // stored nevertheless
				won++
				continue
			}
			require.ErrorIs(t, err, ledger.ErrSealed)
		}
		require.Equal(t, 1, won)
		kept, err := l.Signatures(t.Context(), digest("a"))
		require.NoError(t, err)
		require.Len(t, kept, 2, "the former and the one in force")
	})
}
