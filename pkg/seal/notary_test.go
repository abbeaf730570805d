package seal_test

import (
	"context"
	"crypto"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func named(t testing.TB, names ...string) []seal.Format {
	t.Helper()
	fs := make([]seal.Format, len(names))
	for i, name := range names {
		f, ok := seal.Lookup(name)
		require.True(t, ok, name)
		fs[i] = f
	}
	return fs
}

// Bundles carry what the notary gave, and verify under the pinned key like bare ones.
func TestBundlesCarryMaterial(t *testing.T) {
	t.Parallel()
	for _, alg := range sealtest.Algorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			key, other, d := sealtest.NewKey(t, alg, "one"), sealtest.NewKey(t, alg, "two"), digestsOf([]byte("artifact"))
			for name, notary := range map[string]*sealtest.Notary{"certificate": sealtest.NewNotary(t, key), "bare key": {}} {
				sealed, err := seal.SealAll(t.Context(), key, d, all(t), seal.Context{Notary: notary, Summary: sealtest.Summary()})
				require.NoError(t, err)
				require.NoError(t, seal.VerifyAll(key.Public(), d, sealed))
				for _, f := range all(t) {
					require.Error(t, f.Verify(other.Public(), d, sealed[f.Name]), f.Name)
					require.Error(t, f.Verify(key.Public(), digestsOf([]byte("artifact2")), sealed[f.Name]), f.Name)
					require.Less(t, len(sealed[f.Name]), 12_000)
				}
				for _, f := range named(t, "sigstore", "cosign", "sigstore-key", "cosign-key", "vsa") {
					byCertificate := notary.DER != nil && !strings.HasSuffix(f.Name, "-key")
					has := sealtest.Get(t, sealed[f.Name], "verificationMaterial").(map[string]any)
					require.Equal(t, byCertificate, has["certificate"] != nil, "%s, %s", f.Name, name)
					require.Equal(t, byCertificate, has["publicKey"] == nil)
					require.Len(t, has["tlogEntries"], 1)
					require.Len(t, has["timestampVerificationData"].(map[string]any)["rfc3161Timestamps"], 1)
					spki, ok := f.KeyHint(sealed[f.Name])
					require.True(t, ok, f.Name)
					require.Equal(t, sealtest.HintOf(t, key), base64Of(spki[:]))
				}
			}
		})
	}
}

// What the key, the clock and the log are asked for, by the formats that are wanted.
func TestNotaryIsAskedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		formats                      []string
		uses, stamps, byCert, byHint int
	}{
		"everything":                         {seal.Formats(), 5, 3, 5, 2},
		"two files around one signature":     {[]string{"sigstore", "raw"}, 1, 1, 1, 0},
		"by certificate and by key":          {[]string{"sigstore", "sigstore-key"}, 1, 1, 1, 1},
		"by key":                             {[]string{"raw", "sigstore-key"}, 1, 1, 0, 1},
		"no room for a time-stamp":           {[]string{"raw"}, 1, 0, 1, 0},
		"an image":                           {[]string{"cosign", "cosign-key"}, 1, 1, 1, 1},
		"an image and cosign's older scheme": {[]string{"cosign", "cosign-tag"}, 2, 1, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := sealtest.NewKey(t, "P-256", "one")
			notary := sealtest.NewNotary(t, key)
			_, err := seal.SealAll(t.Context(), key, digestsOf([]byte("artifact")), named(t, c.formats...), seal.Context{Notary: notary, Summary: sealtest.Summary()})
			require.NoError(t, err)
			certificates, stamps, records := notary.Asked()
			byCert := slices.DeleteFunc(slices.Clone(records), func(r seal.Record) bool { return r.Certificate == nil })
			require.Equal(t, []int{1, c.uses, c.uses, c.stamps, c.byCert, c.byHint}, []int{certificates, key.Uses(), notary.Heard(), stamps, len(byCert), len(records) - len(byCert)})
			for _, r := range records {
				require.Equal(t, crypto.SHA256, r.Hash)
				require.Equal(t, key.Public(), r.PublicKey)
				require.Len(t, r.Digest, 32)
			}
		})
	}
}

// The same signature and material give the same bytes.
func TestMaterialIsStable(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("artifact"))
	c := seal.Context{Notary: sealtest.NewNotary(t, key), Summary: sealtest.Summary()}
	first, err := seal.SealAll(t.Context(), key, d, all(t), c)
	require.NoError(t, err)
	for range 20 {
		again, err := seal.SealAll(t.Context(), key, d, all(t), c)
		require.NoError(t, err)
		require.True(t, maps.EqualFunc(first, again, slices.Equal[[]byte]))
	}
}

// Whatever the notary lacks, no file is made, and nothing is recorded that cannot be used.
func TestNoFileWithoutItsMaterial(t *testing.T) {
	t.Parallel()
	key, other := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two")
	errDown := errors.New("down")
	spoil := func(f func(*rekor.TransparencyLogEntry)) *sealtest.Notary { return &sealtest.Notary{Spoil: f} }
	for name, c := range map[string]struct {
		notary                *sealtest.Notary
		want                  error
		text                  string
		uses, stamps, records int
	}{
		"no answer about the certificate": {&sealtest.Notary{CertificateErr: errDown}, seal.ErrCertificate, "down", 0, 0, 0},
		"a certificate of another key":    {&sealtest.Notary{DER: sealtest.Certificate(t, other.Public())}, seal.ErrCertificate, "of the key", 0, 0, 0},
		"no certificate":                  {&sealtest.Notary{DER: []byte("x")}, seal.ErrCertificate, "cannot be read", 0, 0, 0},
		"no time":                         {&sealtest.Notary{StampErr: errDown}, seal.ErrNotStamped, "down", 1, 1, 0},
		"an empty time-stamp":             {&sealtest.Notary{NoToken: true}, seal.ErrNotStamped, "an empty one", 1, 1, 0},
		"no log":                          {&sealtest.Notary{LogErr: errDown}, seal.ErrNotLogged, "down", 1, 1, 1},
		"no entry":                        {spoil((*rekor.TransparencyLogEntry).Reset), seal.ErrNotLogged, "of the kind", 1, 1, 1},
		"another kind":                    {spoil(func(e *rekor.TransparencyLogEntry) { e.KindVersion.Kind = "dsse" }), seal.ErrNotLogged, "of the kind", 1, 1, 1},
		"a time of the log's own":         {spoil(func(e *rekor.TransparencyLogEntry) { e.IntegratedTime = 1 }), seal.ErrNotLogged, "a time", 1, 1, 1},
		"a promise":                       {spoil(func(e *rekor.TransparencyLogEntry) { e.InclusionPromise = &rekor.InclusionPromise{} }), seal.ErrNotLogged, "promise", 1, 1, 1},
		"no proof":                        {spoil(func(e *rekor.TransparencyLogEntry) { e.InclusionProof = nil }), seal.ErrNotLogged, "without the checkpoint", 1, 1, 1},
		"no log's name":                   {spoil(func(e *rekor.TransparencyLogEntry) { e.LogId = nil }), seal.ErrNotLogged, "without the checkpoint", 1, 1, 1},
		"a proof of another entry":        {spoil(func(e *rekor.TransparencyLogEntry) { e.LogIndex-- }), seal.ErrNotLogged, "its proof is of number 7", 1, 1, 1},
		"a proof in a smaller log":        {spoil(func(e *rekor.TransparencyLogEntry) { e.InclusionProof.TreeSize = 7 }), seal.ErrNotLogged, "in a log of 7", 1, 1, 1},
		"no body":                         {spoil(func(e *rekor.TransparencyLogEntry) { e.CanonicalizedBody = nil }), seal.ErrNotLogged, "cannot be read", 1, 1, 1},
		"about nothing":                   {spoil(func(e *rekor.TransparencyLogEntry) { e.CanonicalizedBody = []byte("{}") }), seal.ErrNotLogged, "about another signature", 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := sealtest.NewKey(t, "P-256", "one")
			sealed, err := seal.SealAll(t.Context(), key, digestsOf([]byte("artifact")), named(t, "sigstore", "raw"), seal.Context{Notary: c.notary})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.text)
			require.Nil(t, sealed)
			_, stamps, records := c.notary.Asked()
			require.Equal(t, []int{c.uses, c.stamps, c.records}, []int{key.Uses(), stamps, len(records)})
		})
	}

	// an entry about another use of the same key
	first := sealtest.NewNotary(t, key)
	_, err := seal.SealAll(t.Context(), key, digestsOf([]byte("first")), named(t, "sigstore"), seal.Context{Notary: first})
	require.NoError(t, err)
	_, _, records := first.Asked()
	stale, err := first.Record(t.Context(), records[0])
	require.NoError(t, err)
	for _, format := range seal.Formats() {
		notary := sealtest.NewNotary(t, key)
		notary.Spoil = func(e *rekor.TransparencyLogEntry) { e.CanonicalizedBody = stale.CanonicalizedBody }
		_, err = seal.SealAll(t.Context(), key, digestsOf([]byte("second")), named(t, format), seal.Context{Notary: notary, Summary: sealtest.Summary()})
		require.ErrorIs(t, err, seal.ErrNotLogged, format)
	}
}

// A signature that does not verify is told as a use of the key, and nothing else is asked about it.
func TestABadSignatureIsOnlyTold(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "one")
	notary := sealtest.NewNotary(t, key)
	_, err := seal.SealAll(t.Context(), wrong{key}, digestsOf([]byte("artifact")), all(t), seal.Context{Notary: notary, Summary: sealtest.Summary()})
	require.ErrorIs(t, err, seal.ErrInvalid)
	_, stamps, records := notary.Asked()
	require.Zero(t, stamps)
	require.Empty(t, records)
	require.Equal(t, key.Uses(), notary.Heard())
}

// wrong signs something else than it is asked to.
type wrong struct{ *sealtest.Key }

func (w wrong) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	digest[0] ^= 1
	return w.Key.Sign(ctx, digest)
}
