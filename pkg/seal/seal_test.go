package seal_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func digestsOf(b []byte) seal.Digests {
	s256, s384 := sha256.Sum256(b), sha512.Sum384(b)
	return seal.Digests{crypto.SHA256: s256[:], crypto.SHA384: s384[:]}
}

func all(t testing.TB) []seal.Format {
	t.Helper()
	var fs []seal.Format
	for _, name := range seal.Formats() {
		f, ok := seal.Lookup(name)
		require.True(t, ok, name)
		fs = append(fs, f)
	}
	return fs
}

// sidecar reports whether a format's files stand beside what they sign.
func sidecar(f seal.Format) bool { return slices.Contains(f.Kinds, artifact.KindFile) }

func TestTable(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"sigstore", "raw", "evidence", "cosign", "cosign-tag", "sigstore-key", "cosign-key", "vsa"}, seal.Formats(), "names that policies rely on")
	suffixes := map[string]bool{}
	for _, f := range all(t) {
		require.NotEmpty(t, f.MediaType)
		require.NotEmpty(t, f.Kinds)
		if !sidecar(f) {
			require.Empty(t, f.Suffix, f.Name)
			continue
		}
		require.Regexp(t, `^\.[-a-z.0-9]+$`, f.Suffix)
		require.False(t, suffixes[f.Suffix], "two formats end in %s", f.Suffix)
		suffixes[f.Suffix] = true
	}
	require.Equal(t, []string{"sigstore", "raw", "sigstore-key", "vsa"}, seal.FormatsOf(artifact.KindFile))
	require.Equal(t, []string{"evidence"}, seal.FormatsOf(artifact.KindBundle))
	require.Equal(t, []string{"cosign", "cosign-tag", "cosign-key", "vsa"}, seal.FormatsOf(artifact.KindImage))
	require.Empty(t, seal.FormatsOf("something else"))
	_, ok := seal.Lookup("Sigstore")
	require.False(t, ok)
}

func TestSealedFilesVerify(t *testing.T) {
	t.Parallel()
	for _, alg := range sealtest.Algorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			key, d := sealtest.NewKey(t, alg, "one"), digestsOf([]byte("artifact"))
			sealed, err := seal.SealAll(t.Context(), key, d, all(t), seal.Context{Summary: sealtest.Summary()})
			require.NoError(t, err)
			require.Equal(t, 5, key.Uses(), "the formats over the artifact's own digest share one signature")
			require.Len(t, sealed, len(seal.Formats()))
			for _, f := range all(t) {
				require.NoError(t, f.Verify(key.Public(), d, sealed[f.Name]), f.Name)
			}
		})
	}
}

func TestSealNeedsOnlyTheDigestOfItsKey(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("artifact"))
	d := seal.FromSHA256(sum)
	require.EqualValues(t, sum, d.SHA256())

	p256, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-384", "one")
	for _, f := range all(t) {
		_ = sealtest.Seal(t, f.Name, p256, d, nil)
		uses := p384.Uses()
		_, err := seal.SealAll(t.Context(), p384, d, []seal.Format{f}, seal.Context{Summary: sealtest.Summary()})
		if sidecar(f) && f.Name != "vsa" {
			require.ErrorIs(t, err, seal.ErrNoDigest)
			require.Equal(t, uses, p384.Uses())
			continue
		}
		require.NoError(t, err, "a statement names the artifact by its SHA-256, whatever the key hashes with")
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "one")
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	errDown := errors.New("token is down")

	for name, c := range map[string]struct {
		signer  seal.Signer
		digests seal.Digests
		formats []seal.Format
		want    error
		text    string
	}{
		"no digest":           {signer: key, digests: seal.Digests{}, want: seal.ErrNoDigest},
		"short digest":        {signer: key, digests: seal.Digests{crypto.SHA256: make([]byte, 20)}, want: seal.ErrNoDigest, text: "has 32 bytes, this one has 20"},
		"P-521":               {signer: stub{pub: &p521.PublicKey, hash: crypto.SHA512}, want: seal.ErrUnsupportedKey, text: "P521"},
		"RSA-2048":            {signer: stub{pub: &rsa2048.PublicKey, hash: crypto.SHA256}, want: seal.ErrUnsupportedKey, text: "2048"},
		"Ed25519":             {signer: stub{pub: edPublic, hash: crypto.SHA512}, want: seal.ErrUnsupportedKey},
		"no key":              {signer: stub{hash: crypto.SHA256}, want: seal.ErrUnsupportedKey},
		"hash of another key": {signer: stub{pub: key.Public(), hash: crypto.SHA384}, text: "SHA-384, its key goes with SHA-256"},
		"key does not answer": {signer: stub{pub: key.Public(), hash: crypto.SHA256, err: errDown}, want: errDown},
		"zero format":         {signer: key, formats: []seal.Format{{Name: "pgp"}}, text: `"pgp" is not a format`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.digests == nil {
				c.digests = digestsOf(nil)
			}
			if c.formats == nil {
				c.formats = all(t)
			}
			sealed, err := seal.SealAll(t.Context(), c.signer, c.digests, c.formats, seal.Context{Summary: sealtest.Summary()})
			require.Error(t, err)
			require.Nil(t, sealed, "all files or none")
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.ErrorContains(t, err, c.text)
		})
	}
	require.Zero(t, key.Uses(), "a refusal does not use the key")
}

// The same signature gives the same bytes, although the encoder underneath adds blanks at random.
func TestSealIsStable(t *testing.T) {
	t.Parallel()
	d := digestsOf([]byte("artifact"))
	key := sealtest.NewKey(t, "P-256", "one")
	for _, f := range all(t) {
		first := sealtest.Seal(t, f.Name, key, d, nil)
		for range 50 {
			again := sealtest.Seal(t, f.Name, key, digestsOf([]byte("artifact")), nil)
			require.True(t, bytes.Equal(first, again), "%s and %s", first, again)
		}
	}
}

func TestSealHonoursContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := all(t)[0].Seal(ctx, sealtest.NewKey(t, "P-256", "one"), digestsOf(nil))
	require.ErrorIs(t, err, context.Canceled)
}

func TestDigester(t *testing.T) {
	t.Parallel()
	p256, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-384", "one")
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for name, c := range map[string]struct {
		keys []crypto.PublicKey
		want []crypto.Hash
	}{
		"names the artifact without a key": {nil, []crypto.Hash{crypto.SHA256}},
		"hashes once for two keys":         {[]crypto.PublicKey{p256.Public(), p256.Public()}, []crypto.Hash{crypto.SHA256}},
		"adds SHA-384 for P-384":           {[]crypto.PublicKey{p384.Public()}, []crypto.Hash{crypto.SHA256, crypto.SHA384}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := seal.NewDigester(c.keys...)
			require.NoError(t, err)
			_, err = bytes.NewReader(content).WriteTo(d)
			require.NoError(t, err)
			require.EqualValues(t, len(content), d.Size())
			want := digestsOf(content)
			for h := range want {
				if len(c.want) == 1 && h == crypto.SHA384 {
					delete(want, h)
				}
			}
			require.Equal(t, want, d.Digests())
		})
	}
	_, err := seal.NewDigester("not a key")
	require.ErrorIs(t, err, seal.ErrUnsupportedKey)
}

// stub is a signer that breaks one promise.
type stub struct {
	pub  crypto.PublicKey
	hash crypto.Hash
	err  error
}

func (s stub) Public() crypto.PublicKey                     { return s.pub }
func (s stub) Name() string                                 { return "stub" }
func (s stub) Hash() crypto.Hash                            { return s.hash }
func (s stub) Sign(context.Context, []byte) ([]byte, error) { return nil, s.err }
