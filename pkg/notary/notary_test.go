package notary_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func kinds(all []notarytest.Entry) (out []string) {
	for _, e := range all {
		out = append(out, e.Leaf.Kind())
	}
	return out
}

// One use of a key: what stands in the log, and in which order.
func TestAUseInTheLog(t *testing.T) {
	t.Parallel()
	k := key(t)
	public, err := hsm.NewPublic("release-2026", "release", k.Public())
	require.NoError(t, err)
	r := notarytest.NewWith(t, notarytest.Config{Keys: []hsm.Public{public}})
	files := r.Seal(k, digests("hello"), "sigstore", "sigstore-key", "raw")
	require.NoError(t, seal.VerifyAll(k.Public(), digests("hello"), files))
	require.Equal(t, 1, k.Uses(), "one use of the key")

	for format, level := range map[string]int{"sigstore": trust.LevelRoot, "sigstore-key": trust.LevelKey} {
		f, err := r.Verifier().Verify(files[format], k.Public(), digests("hello")[crypto.SHA256])
		require.NoError(t, err)
		require.Equal(t, level, f.Level)
		require.Equal(t, r.Origin, f.LogOrigin)
		require.False(t, f.At.IsZero())
	}

	all := r.Entries()
	require.Equal(t, []string{
		audit.KindStart, audit.KindCertificate, audit.KindCertificate, audit.KindCertificate,
		audit.KindDraft, audit.KindCertificate, audit.KindIntent, audit.KindRekord, audit.KindRekord, audit.KindOutcome,
	}, kinds(all))
	require.Equal(t, []audit.OpenedKey{{Name: "release-2026", SPKI: public.SPKI, Use: "artifact"}}, all[0].Leaf.(audit.Start).Keys)
	in := all[6].Leaf.(audit.Intent)
	require.Equal(t, subject("hello"), in.Subject)
	require.Equal(t, public.SPKI, in.SPKI)
	require.Equal(t, []string{"sigstore", "sigstore-key", "raw"}, in.Formats)
	require.Equal(t, notary.Purpose, in.Purpose)
	issued := all[5].Leaf.(audit.Certificate)
	cert, err := x509.ParseCertificate(issued.DER)
	require.NoError(t, err)
	require.Equal(t, "https://hallmark.example/keys/release-2026", cert.URIs[0].String())

	out := all[9].Leaf.(audit.Outcome)
	require.Equal(t, uint64(6), out.Intent)
	require.Equal(t, audit.Sealed, out.Result)
	require.Equal(t, artifact.Digest(sha256.Sum256(issued.DER)), out.Certificate)
	require.Len(t, out.Uses, 1)
	require.Equal(t, artifact.Digest(sha256.Sum256(files["raw"])), out.Uses[0].Signature)
	require.ElementsMatch(t, []uint64{7, 8}, out.Uses[0].Entries)
	require.False(t, out.Uses[0].Timestamp.IsZero())
	require.Equal(t, uint64(1), r.RequireSound().Sealed)
}

// A process that dies anywhere between the draft of a certificate and its use leaves nothing that the log does not account
// for: its keys have signed only what a draft announced.
func TestDeathWhileACertificateIsIssued(t *testing.T) {
	t.Parallel()
	k := key(t)
	r, f := realm(t, notarytest.Config{Keys: []hsm.Public{mustPublic(t, k)}})
	use := func() error { _, err := r.Notary.For("", mustPublic(t, k)).Certificate(t.Context()); return err }
	for _, c := range []struct {
		kind   string
		cut    cut
		signed int // uses of the issuing key
	}{
		{audit.KindDraft, cut{before: errFull}, 0}, {audit.KindDraft, cut{after: errFull}, 0},
		{audit.KindCertificate, cut{before: errFull}, 1}, {audit.KindCertificate, cut{after: errFull}, 1},
	} {
		before := r.Keys.Issuing.Uses()
		f.on(func(l audit.Leaf) (none cut) {
			if l.Kind() == c.kind {
				return c.cut
			}
			return none
		})
		err := use()
		require.ErrorIs(t, err, errFull)
		require.ErrorIs(t, err, notary.ErrLog)
		require.Equal(t, c.signed, r.Keys.Issuing.Uses()-before)
		require.Equal(t, r.Keys.Issuing.Uses(), r.Keys.SCT.Uses())
		f.on(nil)
		r.Restart(nil)
	}
	require.NoError(t, use())
	require.Len(t, notarytest.Of[audit.Draft](r.Entries()), 4)
	report := r.RequireSound()
	require.Equal(t, 2, report.Counts[reason.LogDraftDropped], "before the keys signed, and after")
}

// Realms of two names do not believe each other.
func TestRealmsAreStrangers(t *testing.T) {
	t.Parallel()
	ours, theirs := notarytest.New(t), notarytest.NewWith(t, notarytest.Config{Name: "mallory"})
	k := key(t)
	file := theirs.Seal(k, digests("hello"), "sigstore")["sigstore"]
	_, err := theirs.Verifier().Verify(file, k.Public(), digests("hello")[crypto.SHA256])
	require.NoError(t, err)
	_, err = ours.Verifier().Verify(file, k.Public(), digests("hello")[crypto.SHA256])
	require.Error(t, err)
}

// What is believed without being issued here is logged once, whatever the number of starts.
func TestConfiguredCertificatesAreLoggedOnce(t *testing.T) {
	t.Parallel()
	r := notarytest.New(t)
	r.Restart(nil)
	require.Len(t, notarytest.Of[audit.Start](r.Entries()), 2)
	require.Len(t, notarytest.Of[audit.Certificate](r.Entries()), 3)
}

// A signing configuration is who signs; without one it is the key.
func TestIdentities(t *testing.T) {
	t.Parallel()
	r := notarytest.New(t)
	public, err := hsm.NewPublic("release 2026", "release", key(t).Public())
	require.NoError(t, err)
	for configuration, want := range map[string]string{"router/5": "https://hallmark.example/configurations/router%2F5", "": "https://hallmark.example/keys/release%202026"} {
		der, err := r.Notary.For(configuration, public).Certificate(t.Context())
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		require.Equal(t, want, cert.URIs[0].String())
		again, err := r.Notary.For(configuration, public).Certificate(t.Context())
		require.NoError(t, err)
		require.Equal(t, der, again, "one certificate for many signatures")
	}
}

// Without a notary nothing is attested, and nothing asks for it.
func TestNoNotary(t *testing.T) {
	t.Parallel()
	var n *notary.Notary
	in := ledger.Intent{}
	require.NoError(t, n.Place(t.Context(), &in))
	require.Equal(t, ledger.Intent{}, in)
	u := n.For("c", hsm.Public{})
	require.Nil(t, u)
	require.NoError(t, u.Intend(t.Context(), in, "ann"))
	require.Equal(t, seal.Context{}, u.Context())
	n.Ended(t.Context(), u)
	n.Close()
}

// What stands in the log without a proof is told all the same.
func TestAnEntryWithoutProof(t *testing.T) {
	t.Parallel()
	k := key(t)
	r, f := realm(t, notarytest.Config{Keys: []hsm.Public{mustPublic(t, k)}})
	u := r.Begin(k, subject("a"), "sigstore")
	f.on(func(l audit.Leaf) (c cut) {
		if l.Kind() == audit.KindRekord {
			c.after = &audit.Unproven{}
		}
		return c
	})
	_, err := seal.SealAll(t.Context(), k, digests("a"), notarytest.Formats(t, "sigstore"), u.Context())
	require.ErrorIs(t, err, seal.ErrNotLogged)
	require.ErrorIs(t, err, notary.ErrLog)
	require.NoError(t, r.Ledger.Abandon(t.Context(), u.Intent.ID, "no proof"))
	r.Notary.Ended(t.Context(), u.Use)
	index, _ := one(t, r, func(audit.Rekord) bool { return true })
	_, o := outcomeOf(t, r, u.Intent)
	require.Equal(t, []uint64{index}, o.Uses[0].Entries)
	r.RequireSound()
}

// failing is a key whose token goes away after so many signatures.
type failing struct {
	*sealtest.Key
	left int
}

func (f *failing) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if f.left--; f.left < 0 {
		return nil, errors.New("the token is gone")
	}
	return f.Key.Sign(ctx, digest)
}

// An outcome names every use of the key, also one of which nothing came.
func TestAFruitlessUseIsTold(t *testing.T) {
	t.Parallel()
	k := &failing{Key: key(t), left: 1}
	r := notarytest.NewWith(t, notarytest.Config{Keys: []hsm.Public{mustPublic(t, k.Key)}})
	u := r.Begin(k, subject("a"), "sigstore", "vsa")
	about := u.Context()
	about.Summary = sealtest.Summary()
	_, err := seal.SealAll(t.Context(), k, digests("a"), notarytest.Formats(t, "sigstore", "vsa"), about)
	require.ErrorContains(t, err, "the token is gone")
	require.NoError(t, r.Ledger.Abandon(t.Context(), u.Intent.ID, err.Error()))
	r.Notary.Ended(t.Context(), u.Use)
	_, o := outcomeOf(t, r, u.Intent)
	require.Equal(t, audit.Abandoned, o.Result)
	require.Len(t, o.Uses, 1)
	require.Empty(t, o.Uses[0].Entries)
	require.True(t, o.Uses[0].Timestamp.IsZero())
	r.RequireSound()
}

// Many at once: each use has one intent before its entries, and one outcome that names them all.
func TestConcurrentUses(t *testing.T) {
	t.Parallel()
	var keys []*sealtest.Key
	var opened []hsm.Public
	for i := range 4 {
		keys = append(keys, sealtest.NewKey(t, "P-256", fmt.Sprint("key ", i)))
		opened = append(opened, mustPublic(t, keys[i]))
	}
	r := notarytest.NewWith(t, notarytest.Config{Keys: opened})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			r.Seal(keys[i%4], digests(fmt.Sprint(i)), "sigstore", "sigstore-key")
			if i%5 == 0 {
				require.NoError(t, r.Notary.Recover(t.Context()), "what is under way is left alone")
			}
		})
	}
	wg.Wait()
	all := r.Entries()
	rekords, named := notarytest.Of[audit.Rekord](all), map[uint64]bool{}
	require.Len(t, rekords, 40)
	intents := notarytest.Of[audit.Intent](all)
	for _, o := range notarytest.Of[audit.Outcome](all) {
		require.Contains(t, intents, o.Intent)
		delete(intents, o.Intent)
		for _, e := range o.Uses[0].Entries {
			require.Greater(t, e, o.Intent)
			require.False(t, named[e])
			named[e] = true
		}
	}
	require.Empty(t, intents, "each has an outcome")
	require.Len(t, named, 40)
	require.Equal(t, uint64(20), r.RequireSound().Sealed)
}

// Verifiers are told of an identity before there is a certificate for it, or there is none.
func TestIdentityIsKnownBeforeItsCertificate(t *testing.T) {
	t.Parallel()
	r, _ := realm(t, notarytest.Config{Still: true})
	var told []trust.ExportedIdentity
	gone := errors.New("the ledger is gone")
	r.Notary.Identity = func(_ context.Context, identity trust.ExportedIdentity) error {
		told = append(told, identity)
		return gone
	}
	issued := func() (n int) {
		for _, c := range notarytest.Of[audit.Certificate](r.Entries()) {
			cert, err := x509.ParseCertificate(c.DER)
			require.NoError(t, err)
			if len(cert.URIs) > 0 {
				n++
			}
		}
		return n
	}
	n := r.Notary.For("gateway", mustPublic(t, key(t)))
	_, err := n.Certificate(t.Context())
	require.ErrorIs(t, err, gone)
	require.ErrorIs(t, err, trust.ErrCertificateUnavailable)
	require.Zero(t, issued())
	gone = nil
	for range 2 {
		_, err = n.Certificate(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, 1, issued())
	identity := trust.ExportedIdentity{URI: trust.ConfigurationIdentity(r.Issuer, "gateway"), Lane: "release"}
	require.Equal(t, []trust.ExportedIdentity{identity, identity}, told)
}
