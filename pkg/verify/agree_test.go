package verify_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// stricter are the attacks that pkg/trust lets pass, as Sigstore does: a certificate whose key usage lacks signatures.
var stricter = map[string]bool{"certificate: not for signatures": true}

// requireSame asks pkg/trust, which judges with Sigstore's library, and this package, which judges with its own code, and
// holds them to the same answer: the level, the time, the identity, the entry, or the code of the refusal.
func requireSame(t *testing.T, r *verifytest.Realm, key *sealtest.Key, format string, content []byte) error {
	t.Helper()
	all := sealtest.Digests(t, artifactText)
	digest := all[crypto.SHA256]
	if format == "sigstore" {
		digest = all[key.Hash()]
	}
	v, err := trust.NewVerifier(r.TrustedRoot())
	if err != nil { // it looks at the clock's certificate before it sees any time-stamp
		_, err := verify.Artifact(pinning(t, r, key), format, verify.Digests(all), content)
		require.ErrorIs(t, err, verify.ErrTime)
		return err
	}
	theirs, said := v.Verify(content, key.Public(), digest)
	ours, err := verify.Artifact(pinning(t, r, key), format, verify.Digests(all), content)
	require.Equal(t, trust.Problem(said), verify.Problem(err), "pkg/trust says %v, pkg/verify says %v", said, err)
	require.Equal(t, theirs.Level, ours.Level)
	require.Equal(t, theirs.At, ours.At)
	require.Equal(t, []string{theirs.Identity, theirs.Issuer, theirs.LogOrigin}, []string{ours.Identity, ours.Issuer, ours.Log})
	if ours.LogIndex != nil {
		require.Equal(t, theirs.LogIndex, *ours.LogIndex)
	}
	return err
}

func formatOf(content []byte) string {
	if bytes.Contains(content, []byte("dsseEnvelope")) {
		return "cosign"
	}
	return "sigstore"
}

// The verifier that the gate asks and the one that users run are of one mind about every attack.
func TestAgreesWithTrust(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	for name, a := range attacks(t, key) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if stricter[name] {
				v, err := trust.NewVerifier(a.realm.TrustedRoot())
				require.NoError(t, err)
				_, err = v.Verify(a.content, key.Public(), sealtest.Digests(t, artifactText)[crypto.SHA256])
				require.NoError(t, err, "it is not stricter any more: take it off the list")
				return
			}
			_ = requireSame(t, a.realm, key, formatOf(a.content), a.content)
		})
	}
}

// Nor do they differ over bundles that are right, of whatever key, or in which any member is missing or another's.
func TestAgreesWithTrustOnChangedBundles(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r, key := verifytest.New(t), sealtest.NewKey(t, algorithm, "release")
			for _, o := range []verifytest.Order{{More: 3}, {Bare: true, More: 3}, {Image: true}, {Image: true, Bare: true}} {
				o.Key, o.Content = key, []byte(artifactText)
				good := r.Bundle(o)
				o.Content = []byte("something else")
				other := r.Bundle(o)
				require.NoError(t, requireSame(t, r, key, formatOf(good), good))
				each(t, good, other, func(changed []byte) {
					err := requireSame(t, r, key, formatOf(good), changed)
					require.False(t, err == nil && !o.Bare, "a certificate has all that proves it, to the byte: %s", changed)
				})
			}
		})
	}
}

// each calls try with the document less any one member of its verification material, and with that of another document.
func each(t *testing.T, good, other []byte, try func([]byte)) {
	t.Helper()
	var from map[string]any
	require.NoError(t, json.Unmarshal(other, &from))
	var doc map[string]any
	require.NoError(t, json.Unmarshal(good, &doc))
	whole := encoded(t, doc)
	var walk func(doc map[string]any, at, others any)
	attempt := func(doc map[string]any) {
		if changed := encoded(t, doc); !bytes.Equal(changed, whole) {
			try(changed)
		}
	}
	walk = func(doc map[string]any, at, others any) {
		switch at := at.(type) {
		case map[string]any:
			theirs := others.(map[string]any)
			for name, old := range at {
				walk(doc, old, theirs[name])
				delete(at, name)
				attempt(doc)
				at[name] = theirs[name]
				attempt(doc)
				at[name] = old
			}
		case []any:
			for i := range at {
				if theirs := others.([]any); i < len(theirs) {
					walk(doc, at[i], theirs[i])
				}
			}
		}
	}
	walk(doc, doc["verificationMaterial"], from["verificationMaterial"])
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
