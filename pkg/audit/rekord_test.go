package audit_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"io"
	"testing"

	"github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// signerOf is a test key as crypto/x509 wants it.
type signerOf struct {
	t testing.TB
	*sealtest.Key
}

func (s signerOf) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.Key.Sign(context.WithoutCancel(s.t.Context()), digest)
}

// sigstore-go does not look at the logged bytes: it makes them again from the bundle. They must come out the same.
func TestRekordIsWhatClientsRebuild(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		for _, certified := range []bool{false, true} {
			t.Run(algorithm, func(t *testing.T) {
				t.Parallel()
				r := rekord(t, sealtest.NewKey(t, algorithm, "rekord"), "content", certified)
				body, err := audit.HashedRekord(r.Digest, r.Hash, r.Signature, r.Verifier)
				require.NoError(t, err)
				var e protobuf.Entry
				require.NoError(t, protojson.Unmarshal(body, &e))
				rebuilt, err := hashedrekord.ToEntryHash(r.Digest, e.GetSpec().GetHashedRekordV002().GetSignature())
				require.NoError(t, err)
				require.Equal(t, rebuilt, rfc6962.DefaultHasher.HashLeaf(body))

				read, err := audit.ParseLeaf(body)
				require.NoError(t, err)
				require.NoError(t, read.(audit.Rekord).Verify())
				require.Equal(t, r, read)
			})
		}
	}
}

// The log does not say what is not so.
func TestRekordVerifiesBeforeItIsLogged(t *testing.T) {
	t.Parallel()
	key, other := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two")
	edwards, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spoil func(*audit.Rekord)
		want  string
	}{
		"signature of another key":  {func(r *audit.Rekord) { r.Signature = rekord(t, other, "content", false).Signature }, "verifying signature"},
		"certificate of another":    {func(r *audit.Rekord) { r.Verifier = audit.Verifier{Certificate: certificate(t, other)} }, "verifying signature"},
		"another digest":            {func(r *audit.Rekord) { r.Digest = rekord(t, key, "else", false).Digest }, "verifying signature"},
		"short digest":              {func(r *audit.Rekord) { r.Digest = r.Digest[:31] }, "31 bytes, the key signs SHA-256"},
		"hash of another algorithm": {func(r *audit.Rekord) { r.Hash = crypto.SHA384 }, "digest is SHA-384"},
		"no signature":              {func(r *audit.Rekord) { r.Signature = nil }, "signature is missing"},
		"key that signs no digest":  {func(r *audit.Rekord) { r.Verifier = audit.Verifier{PublicKey: edwards} }, "cannot sign a digest"},
		"key of no known type":      {func(r *audit.Rekord) { r.Verifier = audit.Verifier{PublicKey: "key"} }, "key: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rekord(t, key, "content", false)
			require.NoError(t, r.Verify())
			c.spoil(&r)
			_, err := r.Marshal()
			require.ErrorContains(t, err, c.want)
		})
	}
}
