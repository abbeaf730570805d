package notary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// crash is a realm whose process can die: what it leaves behind is a log and a ledger.
type crash struct {
	*notarytest.Realm
	t      *testing.T
	config ledger.Config
}

func crashing(t *testing.T, d ledger.Dialect) (*crash, *flaky) {
	t.Helper()
	c := &crash{t: t, config: ledger.Config{URL: ledgertest.URL(t, d), Replica: "one"}}
	r, f := realm(t, notarytest.Config{Ledger: c.open(), Keys: []hsm.Public{mustPublic(t, key(t))}})
	c.Realm = r
	t.Cleanup(func() { require.NoError(t, c.Ledger.Close()) })
	return c, f
}

func (c *crash) open() *ledger.Ledger {
	c.t.Helper()
	l, err := ledger.Open(c.t.Context(), c.config, ledger.Options{})
	require.NoError(c.t, err)
	return l
}

// die ends the process and begins the next one.
func (c *crash) die() {
	c.t.Helper()
	c.Realm.Close()
	require.NoError(c.t, c.Ledger.Close())
	c.Restart(c.open())
}

// Wherever a process died, the next one tells the log how each intent ended, once, with all that was signed under it.
func TestRecoverAfterDeath(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		c, f := crashing(t, d)
		k := key(t)

		// Only the ledger has it.
		unannounced := ledger.Intent{GrantID: "g0", Subject: subject("0"), KeyName: k.Name(), KeySPKI: subject("spki"), Formats: []string{"raw"}}
		require.NoError(t, c.Notary.Place(t.Context(), &unannounced))
		unannounced, err := c.Ledger.Begin(t.Context(), unannounced)
		require.NoError(t, err)
		announced := c.Begin(k, subject("1"), "sigstore")
		signed := c.Begin(k, subject("2"), "sigstore", "sigstore-key")
		made(t, signed, k, "2", "sigstore", "sigstore-key")
		kept := c.Begin(k, subject("3"), "sigstore", "raw")
		kept.Keep(made(t, kept, k, "3", "sigstore", "raw"))
		told := c.Begin(k, subject("4"), "sigstore")
		told.Keep(made(t, told, k, "4", "sigstore"))
		bare := c.Begin(k, subject("5"), "raw")
		bare.Keep(made(t, bare, k, "5", "raw"))
		image := c.Begin(k, subject("6"), "cosign")
		made(t, image, k, "6", "cosign")

		// The outcome of one got into the log, and nobody noted where.
		f.on(func(l audit.Leaf) (c cut) {
			if l.Kind() == audit.KindOutcome {
				c.after = audit.ErrUnconfirmed
			}
			return c
		})
		c.Notary.Ended(t.Context(), told.Use)
		f.on(nil)

		for range 2 {
			c.die()
			requireAccounted(t, c.Realm)
		}
		for _, e := range notarytest.Of[audit.Intent](c.Entries()) {
			require.NotEqual(t, uint64(unannounced.ID), e.ID)
		}
		_, o := outcomeOf(t, c.Realm, announced.Intent)
		require.Equal(t, audit.Abandoned, o.Result)
		require.Equal(t, "the process ended", o.Why)
		require.Empty(t, o.Uses)

		_, o = outcomeOf(t, c.Realm, signed.Intent)
		require.Equal(t, audit.Abandoned, o.Result)
		require.Len(t, o.Uses, 1)
		require.Len(t, o.Uses[0].Entries, 2)
		_, o = outcomeOf(t, c.Realm, image.Intent)
		require.Len(t, o.Uses, 1, "what was signed is not the image's own digest, and yet it is found")

		for _, u := range []*notarytest.Use{kept, told} {
			_, o = outcomeOf(t, c.Realm, u.Intent)
			require.Equal(t, audit.Sealed, o.Result)
			require.Len(t, o.Uses, 1)
			require.Len(t, o.Uses[0].Entries, 1)
			require.False(t, o.Uses[0].Timestamp.IsZero())
			require.False(t, o.Certificate.IsZero())
		}
		_, o = outcomeOf(t, c.Realm, bare.Intent)
		require.Equal(t, audit.Sealed, o.Result)
		require.Len(t, o.Uses[0].Entries, 1, "a file without an entry in it has one in the log all the same")
		named := 0
		for _, o := range notarytest.Of[audit.Outcome](c.Entries()) {
			for _, u := range o.Uses {
				named += len(u.Entries)
			}
		}
		require.Len(t, notarytest.Of[audit.Rekord](c.Entries()), named, "no signature is left without an intent")
		report := c.RequireSound()
		require.Equal(t, []uint64{3, 3}, []uint64{report.Sealed, report.Abandoned})
	})
}

// The log cannot be written for a while: the key is not used; how uses ended is told when it can.
func TestOutcomesAreOwed(t *testing.T) {
	t.Parallel()
	r, f := realm(t, notarytest.Config{})
	k := key(t)
	u := r.Begin(k, subject("a"), "sigstore")
	u.Keep(made(t, u, k, "a", "sigstore"))
	f.on(func(audit.Leaf) cut { return cut{before: errFull} })

	in := u.Intent
	in.GrantID, in.Subject, in.ID = "next", subject("b"), 0
	in, err := r.Ledger.Begin(t.Context(), in)
	require.NoError(t, err)
	second := r.Notary.For("", mustPublic(t, k))
	err = second.Intend(t.Context(), in, "")
	require.ErrorIs(t, err, notary.ErrLog)
	require.ErrorIs(t, err, errFull)
	require.NoError(t, r.Ledger.Abandon(t.Context(), in.ID, "no log"))
	r.Notary.Ended(t.Context(), u.Use, second)
	require.ErrorIs(t, r.Notary.Recover(t.Context()), notary.ErrLog)
	open, err := r.Ledger.Unaccounted(t.Context(), r.Origin, 0, 1)
	require.NoError(t, err)
	require.Equal(t, u.Intent.ID, open[0].ID)

	f.on(nil)
	require.NoError(t, r.Notary.Recover(t.Context()))
	_, o := outcomeOf(t, r, u.Intent)
	require.Equal(t, audit.Sealed, o.Result)
	require.Len(t, o.Uses, 1)
	requireAccounted(t, r)
	require.Len(t, notarytest.Of[audit.Intent](r.Entries()), 1)
}

// A leaf whose writer got no answer may stand in the log.
func TestAnIntentNobodyHeardOf(t *testing.T) {
	t.Parallel()
	r, f := realm(t, notarytest.Config{})
	k := key(t)
	in := ledger.Intent{GrantID: "g", Subject: subject("a"), KeyName: k.Name(), KeySPKI: mustPublic(t, k).SPKI, Formats: []string{"raw"}}
	require.NoError(t, r.Notary.Place(t.Context(), &in))
	in, err := r.Ledger.Begin(t.Context(), in)
	require.NoError(t, err)
	f.on(func(audit.Leaf) cut { return cut{after: audit.ErrUnconfirmed} })
	u := r.Notary.For("", mustPublic(t, k))
	require.ErrorIs(t, u.Intend(t.Context(), in, ""), audit.ErrUnconfirmed)
	f.on(nil)
	require.NoError(t, r.Ledger.Abandon(t.Context(), in.ID, "no log"))
	r.Notary.Ended(t.Context(), u)
	require.NoError(t, r.Notary.Recover(t.Context()))
	requireOpen(t, r, 1) // it might be on its way into the log
	r.Restart(nil)
	_, o := outcomeOf(t, r, in)
	require.Equal(t, audit.Abandoned, o.Result)
	require.Equal(t, "no log", o.Why)
	requireAccounted(t, r)
}

// An outcome whose writer got no answer is not written again.
func TestAnOutcomeNobodyHeardOf(t *testing.T) {
	t.Parallel()
	r, f := realm(t, notarytest.Config{})
	k := key(t)
	u := r.Begin(k, subject("a"), "sigstore")
	u.Keep(made(t, u, k, "a", "sigstore"))
	f.on(func(audit.Leaf) cut { return cut{after: audit.ErrUnconfirmed} })
	r.Notary.Ended(t.Context(), u.Use)
	f.on(nil)
	requireOpen(t, r, 1)
	require.NoError(t, r.Notary.Recover(t.Context()))
	requireAccounted(t, r)
	outcomeOf(t, r, u.Intent)
}

// Somebody else's lease is left alone until it has run out.
func TestLeasesRunOut(t *testing.T) {
	t.Parallel()
	r := notarytest.New(t)
	in := ledger.Intent{GrantID: "g", Subject: subject("a"), KeyName: "k", KeySPKI: subject("k"), Formats: []string{"raw"}}
	require.NoError(t, r.Notary.Place(t.Context(), &in))
	fresh, err := r.Ledger.Begin(t.Context(), in)
	require.NoError(t, err)
	in.GrantID, in.Subject, in.StartedAt = "h", subject("b"), time.Now().Add(-2*r.Ledger.Lease())
	stale, err := r.Ledger.Begin(t.Context(), in)
	require.NoError(t, err)
	require.NoError(t, r.Notary.Recover(t.Context()))
	open, err := r.Ledger.Unaccounted(t.Context(), r.Origin, 0, 10)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, fresh.ID, open[0].ID)
	require.ErrorIs(t, r.Ledger.Renew(t.Context(), stale.ID), ledger.ErrNotLive)
}

// The signatures of another were kept first: ours are in the log and go nowhere.
func TestSignaturesThatWereNotKept(t *testing.T) {
	t.Parallel()
	r := notarytest.New(t)
	k := key(t)
	u := r.Begin(k, subject("a"), "raw")
	files := made(t, u, k, "a", "raw")
	rows := []ledger.Signature{{Subject: u.Intent.Subject, KeySPKI: u.Intent.KeySPKI, Format: "raw", Content: files["raw"]}}
	require.ErrorIs(t, r.Ledger.Sealed(t.Context(), 4711, rows), ledger.ErrNotLive, "kept for another intent")
	require.ErrorIs(t, r.Ledger.Sealed(t.Context(), u.Intent.ID, rows), ledger.ErrSealed)
	r.Notary.Ended(t.Context(), u.Use)
	_, o := outcomeOf(t, r, u.Intent)
	require.Equal(t, audit.Abandoned, o.Result)
	require.Contains(t, o.Why, "kept before")
	require.Len(t, o.Uses, 1)
	requireAccounted(t, r)
}

// A process whose clock is behind what the log says stamps and issues nothing, and uses no key for it.
func TestAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	k := key(t)
	public := mustPublic(t, k)
	r := notarytest.NewWith(t, notarytest.Config{Keys: []hsm.Public{public}})
	r.Seal(k, digests("hello"), "sigstore")
	leaf, err := audit.Start{Replica: "one", Version: "1", At: time.Now().Add(time.Hour)}.Marshal()
	require.NoError(t, err)
	_, err = r.Log.Add(t.Context(), leaf) // as by a process whose clock was right
	require.NoError(t, err)
	newest, err := r.Log.Newest(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), newest, time.Minute)
	r.Restart(nil)
	issued, stamped := r.Keys.Issuing.Uses(), r.Keys.Time.Uses()
	err = r.Notary.For("", public).Ready(t.Context())
	require.ErrorIs(t, err, trust.ErrClock)
	_, _, err = r.Clock.Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	require.Equal(t, []int{issued, stamped}, []int{r.Keys.Issuing.Uses(), r.Keys.Time.Uses()})
	require.Equal(t, 1, r.Replay().Counts[reason.LogTimeBackwards])
}
