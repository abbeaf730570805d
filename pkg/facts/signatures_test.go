package facts_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Signatures count when they verify, over these bytes, with a pinned key, and have a date when the ledger made them.
func TestSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	keys := map[string]seal.Signer{}
	for name, curve := range map[string]string{"release-a": "P-256", "release-b": "P-384", "stranger": "P-256"} {
		k := sealtest.NewKey(t, curve, name)
		keys[name] = k
		if name != "stranger" {
			pub, err := hsm.NewPublic(name, policy.LaneRelease, k.Public())
			require.NoError(t, err)
			r.Trust = append(r.Trust, pub)
		}
	}
	r.put("ci", staging, file, "content", nil)
	signature := func(key, content string) string {
		format, _ := seal.Lookup("sigstore")
		text, err := format.Seal(t.Context(), keys[key], sealtest.Digests(t, content))
		require.NoError(t, err)
		return string(text)
	}
	r.put("ci", staging, file+".sigstore.json", signature("release-a", "content"), nil)
	r.put("ci", staging, file+".release-b.sigstore.json", signature("release-b", "content"), nil)
	r.put("ci", staging, file+".release-a.sigstore.json", signature("release-a", "other"), nil)
	r.put("ci", staging, file+".sig", "nonsense", nil)
	found := map[string]policy.Evidence{}
	for _, e := range r.facts(policy.NeedSignatures, staging, file).Signatures {
		found[e.File] = e
		require.True(t, e.At.IsZero(), "the ledger has no record")
	}
	require.Equal(t, "release-a", found["app.tgz.sigstore.json"].Key)
	require.Empty(t, found["app.tgz.sigstore.json"].Problem)
	require.Equal(t, "release-b", found["app.tgz.release-b.sigstore.json"].Key, "over SHA-384: the bytes were read")
	require.Empty(t, found["app.tgz.release-b.sigstore.json"].Problem)
	require.Equal(t, reason.SignatureWrongBytes, found["app.tgz.release-a.sigstore.json"].Problem)
	require.Equal(t, reason.SignatureInvalid, found["app.tgz.sig"].Problem)

	r.put("ci", staging, file+".sigstore.json", signature("stranger", "content"), nil)
	for _, e := range r.facts(policy.NeedSignatures, staging, file).Signatures {
		if e.File == "app.tgz.sigstore.json" {
			require.Equal(t, reason.SignatureWrongKey, e.Problem)
			require.Empty(t, e.Key)
		}
	}
}
