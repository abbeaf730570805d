package belief_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/belief"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// house is an organisation: one root and issuing authority, replicas with a log each, one ledger.
type house struct {
	t      *testing.T
	realm  *notarytest.Realm
	ledger *ledger.Ledger
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return &house{t, notarytest.New(t), ledgertest.Open(t, ledger.SQLite)}
}

// replica is the configuration of one: its log has its name.
func (h *house) replica(name string, keys ...trust.ExportedKey) belief.Config {
	h.t.Helper()
	m := h.realm.Material()
	m.Logs = []trust.LogKey{{Origin: name + ".example", Public: sealtest.NewKey(h.t, "P-256", "log "+name).Public()}}
	return belief.Config{Root: h.build(m), Keys: keys, Issuer: h.realm.Issuer, Vouchers: []trust.Signer{h.realm.Keys.Issuing}}
}

func (h *house) build(m trust.Material) []byte {
	h.t.Helper()
	root, err := trust.BuildRoot(m)
	require.NoError(h.t, err)
	return root
}

func (h *house) open(c belief.Config) *belief.Beliefs {
	h.t.Helper()
	b, err := belief.Open(h.t.Context(), c, h.ledger, slog.New(slog.DiscardHandler))
	require.NoError(h.t, err)
	return b
}

func (h *house) held(b *belief.Beliefs) belief.Held {
	h.t.Helper()
	held, err := b.Held(h.t.Context())
	require.NoError(h.t, err)
	return held
}

// renewed is a new issuing authority under the same root.
func (h *house) renewed(c belief.Config) (belief.Config, *sealtest.Key) {
	h.t.Helper()
	key := sealtest.NewKey(h.t, "P-256", "issuing anew")
	root := h.realm.Chains.Issuing[1]
	der, err := trust.NewIssuing(h.t.Context(), trust.Parent{Key: h.realm.Keys.Root, Chain: []*x509.Certificate{root}}, key.Public(), trust.Order{Subject: pkix.Name{Organization: []string{"o"}, CommonName: "anew"}})
	require.NoError(h.t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(h.t, err)
	m := h.realm.Material()
	m.Issuers = []trust.Issuer{{URI: h.realm.Issuer, Chain: []*x509.Certificate{leaf, root}}}
	c.Root, c.Vouchers = h.build(m), []trust.Signer{key}
	return c, key
}

func key(t *testing.T, name, lane string) trust.ExportedKey {
	t.Helper()
	return trust.ExportedKey{Name: name, Lane: lane, Public: sealtest.NewKey(t, "P-256", name+lane).Public()}
}

func identity(uri string) trust.ExportedIdentity {
	return trust.ExportedIdentity{URI: uri, Lane: "release"}
}

func requireSame(t *testing.T, want, got belief.Held) {
	t.Helper()
	require.Equal(t, string(want.Root), string(got.Root))
	require.Equal(t, want.Keys, got.Keys)
	require.Equal(t, want.Identities, got.Identities)
}

func logs(t *testing.T, held belief.Held) []string {
	t.Helper()
	origins, err := trust.Logs(held.Root)
	require.NoError(t, err)
	return origins
}

func issuers(t *testing.T, root []byte) []crypto.PublicKey {
	t.Helper()
	keys, err := trust.IssuingKeys(root)
	require.NoError(t, err)
	return keys
}

// Replicas that share a ledger believe each other, without a restart, and for ever.
func TestReplicasBelieveEachOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.open(h.replica("a"))
	require.Equal(t, []string{"a.example"}, logs(t, h.held(a)))
	b := h.open(h.replica("b"))
	require.Equal(t, []string{"a.example", "b.example"}, logs(t, h.held(b)))
	require.Equal(t, []string{"a.example", "b.example"}, logs(t, h.held(a)), "seen by one that has run before")
	requireSame(t, h.held(a), h.held(b))
	_, err := verify.ReadRoot(h.held(a).Root)
	require.NoError(t, err)

	uses := h.realm.Keys.Issuing.Uses()
	h.open(h.replica("a"))
	require.Equal(t, uses, h.realm.Keys.Issuing.Uses(), "nothing new is nothing to sign")
}

// Keys and identities that the configuration forgets stay, as they were last.
func TestFormerKeysAndIdentities(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, dev := key(t, "release", "old"), key(t, "dev", "development")
	h.open(h.replica("a", old, dev))
	old.Retired = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := h.open(h.replica("a", old, dev))
	require.NoError(t, b.Identity(t.Context(), identity(h.realm.Issuer+"/configurations/gone")))
	uses := h.realm.Keys.Issuing.Uses()
	require.NoError(t, b.Identity(t.Context(), identity(h.realm.Issuer+"/configurations/gone")))
	require.Equal(t, uses, h.realm.Keys.Issuing.Uses())

	now := key(t, "release", "release")
	held := h.held(h.open(h.replica("a", now)))
	require.Len(t, held.Keys, 3)
	require.Equal(t, now, held.Keys[0])
	var former *trust.ExportedKey
	for i := range held.Keys {
		if held.Keys[i].Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(old.Public) {
			former = &held.Keys[i]
		}
	}
	require.Regexp(t, `^release\.[0-9a-f]{16}$`, former.Name, "another key has its name now")
	require.Equal(t, old.Retired, former.Retired)
	require.Contains(t, held.Keys, dev)
	require.Equal(t, []trust.ExportedIdentity{identity(h.realm.Issuer + "/configurations/gone")}, held.Identities)
	files, err := trust.Export{Root: held.Root, Keys: held.Keys}.Files()
	require.NoError(t, err)
	require.NotEmpty(t, files)

	held = h.held(h.open(h.replica("a", now, old)))
	require.Equal(t, []trust.ExportedKey{now, old}, held.Keys[:2], "the configuration comes first")
}

// Whoever writes to the ledger adds nothing to what is believed.
func TestTheLedgerIsNotBelieved(t *testing.T) {
	t.Parallel()
	h, mallory := newHouse(t), newHouse(t)
	mallory.realm = notarytest.NewWith(t, notarytest.Config{Name: "mallory"})
	mallory.ledger = h.ledger
	b := h.open(h.replica("a", key(t, "release", "release")))
	require.NoError(t, b.Identity(t.Context(), identity(h.realm.Issuer+"/keys/release")))
	before := h.held(b)
	genuine, err := h.ledger.Beliefs(t.Context())
	require.NoError(t, err)

	evil := mallory.replica("evil", key(t, "evil", "release"))
	evil.Issuer = h.realm.Issuer
	require.NoError(t, mallory.open(evil).Identity(t.Context(), identity(h.realm.Issuer+"/keys/evil")))
	unvouched := h.held(b).Unvouched
	require.Len(t, unvouched, 1)
	require.Equal(t, 3, unvouched[0].Count)

	theirs, err := h.ledger.Beliefs(t.Context())
	require.NoError(t, err)
	for _, row := range theirs[len(genuine):] {
		row.Voucher = genuine[0].Voucher // in the name of our authority
		require.NoError(t, h.ledger.Believe(t.Context(), row))
	}
	for i, row := range genuine { // signed by it, for something else
		other := genuine[(i+1)%len(genuine)]
		row.Kind, row.Subject = other.Kind, other.Subject+"x"
		require.NoError(t, h.ledger.Believe(t.Context(), row))
	}
	requireSame(t, before, h.held(b))

	// What he destroys is mended by the next start.
	for _, row := range genuine {
		row.Signature = []byte("broken")
		require.NoError(t, h.ledger.Believe(t.Context(), row))
	}
	require.Empty(t, h.held(b).Identities)
	require.Empty(t, h.held(h.open(h.replica("a", before.Keys...))).Identities, "this one was lost: nothing else knew it")
	require.NoError(t, b.Identity(t.Context(), identity(h.realm.Issuer+"/keys/release")))
	requireSame(t, before, h.held(b))
}

// A new issuing authority takes over what the one before vouched for, when that vouches for it, or is known by a former root.
func TestIssuingAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.replica("a", key(t, "old", "release"))
	a := h.open(before)

	alone, anew := h.renewed(before)
	alone.Keys = nil
	held := h.held(h.open(alone))
	require.Len(t, issuers(t, held.Root), 1)
	require.Empty(t, held.Keys)
	require.Equal(t, 2, held.Unvouched[0].Count, "whose authority was forgotten")
	require.Len(t, issuers(t, h.held(a).Root), 1, "and the old replica does not know the new one")

	both := alone
	both.Vouchers = []trust.Signer{anew, h.realm.Keys.Issuing}
	held = h.held(h.open(both))
	require.Len(t, issuers(t, held.Root), 2)
	require.Len(t, held.Keys, 1)
	require.Empty(t, held.Unvouched)
	require.Len(t, issuers(t, h.held(a).Root), 2, "the old one vouches for the new one")
	require.Len(t, issuers(t, h.held(h.open(alone)).Root), 2, "and may go then")

	h.ledger = ledgertest.Open(t, ledger.SQLite)
	h.open(before)
	former := alone
	former.Former = [][]byte{before.Root}
	held = h.held(h.open(former))
	require.Len(t, held.Keys, 1)
	require.Empty(t, held.Unvouched)
}

type failing struct {
	*ledger.Ledger
	err error
}

func (f *failing) TrustNumbers(ctx context.Context) (ledger.TrustNumbers, error) {
	if f.err != nil {
		return ledger.TrustNumbers{}, f.err
	}
	return f.Ledger.TrustNumbers(ctx)
}

// Without the ledger what was believed before counts.
func TestLedgerDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	down := &failing{Ledger: h.ledger}
	b, err := belief.Open(t.Context(), h.replica("a"), down, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	before := h.held(b)
	down.err = errors.New("gone")
	held, err := b.Held(t.Context())
	require.ErrorIs(t, err, down.err)
	requireSame(t, before, held)
	requireSame(t, before, b.Now(t.Context()))
}
