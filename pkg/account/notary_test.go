package account_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// What the service itself tells the log, with certificates, time-stamps and every kind of bundle, at once and over a death
// in the middle, leaves nothing to find, in the log alone and beside its ledger. Whoever uses the key past it is found.
func TestWhatTheNotaryTells(t *testing.T) {
	t.Parallel()
	cfg := ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), Replica: "one"}
	books := ledgertest.OpenConfig(t, cfg)
	view, err := ledger.OpenView(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, view.Close()) })
	k := sealtest.NewKey(t, "P-256", "release-2026")
	public, err := hsm.NewPublic(k.Name(), "release", k.Public())
	require.NoError(t, err)
	realm := notarytest.NewWith(t, notarytest.Config{Ledger: books, Keys: []hsm.Public{public}})
	digests := func(i int) seal.Digests { return seal.FromSHA256(sha256.Sum256(fmt.Append(nil, i))) }

	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			switch i % 3 {
			case 0:
				realm.Seal(k, digests(i), "sigstore", "raw", "sigstore-key")
			case 1:
				realm.Seal(k, digests(i), "raw")
			case 2:
				realm.Seal(k, digests(i), "cosign", "cosign-tag")
			}
		})
	}
	all.Wait()
	given := realm.Begin(k, digests(100).SHA256(), "sigstore") // the process dies before the key is used
	cut := realm.Begin(k, digests(101).SHA256(), "sigstore")   // and here after
	_, err = seal.SealAll(t.Context(), k, digests(101), notarytest.Formats(t, "sigstore"), cut.Context())
	require.NoError(t, err)
	for _, u := range []*notarytest.Use{given, cut} {
		require.NoError(t, books.Abandon(t.Context(), u.Intent.ID, "the process ended"))
	}
	realm.Restart(nil)
	realm.Seal(k, digests(200), "sigstore")
	realm.Close()

	keys, err := audit.ParseKeys(realm.TrustedRoot(), realm.Origin)
	require.NoError(t, err)
	compare := func() (*audit.Report, []audit.Finding) {
		log, err := audit.ReadDir(realm.Dir)
		require.NoError(t, err)
		defer func() { require.NoError(t, log.Close()) }()
		head, err := log.Head(t.Context(), keys)
		require.NoError(t, err)
		size, root, err := view.LastCheckpoint(t.Context(), realm.Origin)
		require.NoError(t, err)
		b := account.New(view, account.Config{Known: []string{realm.Origin}})
		l := b.Log(log, head)
		report, err := log.Replay(t.Context(), audit.Replay{
			Head: head, Kept: []audit.Kept{{Where: "the ledger", Size: size, Root: root}}, Leaf: func(i uint64, leaf audit.Leaf) error { l.Leaf(i, leaf); return nil },
			Closed: func(c audit.Closed) error { l.Closed(c); return nil },
		})
		require.NoError(t, err)
		l.Done(report)
		require.NoError(t, b.Ledger(t.Context(), time.Now().Add(time.Minute)))
		return report, b.All
	}
	report, found := compare()
	require.Empty(t, report.All)
	require.Empty(t, found)
	require.EqualValues(t, 21, report.Sealed)
	require.EqualValues(t, 2, report.Abandoned)

	in, err := books.Begin(t.Context(), ledger.Intent{GrantID: "g", Subject: digests(300).SHA256(), KeyName: k.Name(), KeySPKI: public.SPKI, Formats: []string{"raw"}})
	require.NoError(t, err)
	digest := digests(300).SHA256()
	signature, err := k.Sign(t.Context(), digest[:])
	require.NoError(t, err)
	require.NoError(t, books.Sealed(t.Context(), in.ID, []ledger.Signature{{Subject: digest, KeyName: k.Name(), KeySPKI: public.SPKI, Format: "raw", Content: signature}}))
	report, found = compare()
	require.Empty(t, report.All)
	require.Len(t, found, 2)
	require.Equal(t, reason.LogUseMissing, found[0].Code)
	require.Equal(t, reason.LedgerUnlogged, found[1].Code)
}
