package verify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// FuzzSignature feeds content that nobody vouches for to every format. Whatever it is: no panic, an error that names one
// cause, no acceptance for other bytes or under another key, and the same answer as pkg/seal's.
func FuzzSignature(f *testing.F) {
	pub, other := goldenKey(f), sealtest.NewKey(f, "P-384", "somebody else").Public()
	right, wrong := sealtest.Digests(f, goldenContent), sealtest.Digests(f, "else")
	for _, name := range seal.Formats() {
		format, _ := seal.Lookup(name)
		f.Add(golden(f, format))
	}
	for format := range notarized {
		f.Add(notarizedFile(f, format))
	}
	for _, c := range sealtest.Cases(f) {
		if len(c.Content) < 10_000 {
			f.Add(c.Content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, name := range seal.Formats() {
			_ = requireAgreed(t, name, pub, right, content)
			require.Error(t, requireAgreed(t, name, pub, wrong, content))
			require.Error(t, requireAgreed(t, name, other, right, content))
		}
	})
}

// FuzzArtifact feeds bundles with all that they can carry. Whatever it is: no panic, an error that names one cause, and no
// level for other bytes. What is believed is the golden root: each process that fuzzes has to believe the same.
func FuzzArtifact(f *testing.F) {
	named, pinned := goldenTrust(f)
	right, wrong := verify.Digests(sealtest.Digests(f, goldenContent)), verify.Digests(sealtest.Digests(f, "else"))
	for format := range notarized {
		f.Add(notarizedFile(f, format))
	}
	for _, a := range attacks(f, sealtest.NewKey(f, "P-256", "golden")) { // whose parts are by nobody that is believed
		f.Add(a.content)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for format := range notarized {
			for _, trust := range []verify.Trust{named, pinned} {
				found, err := verify.Artifact(trust, format, right, b)
				if err != nil {
					require.NotEqual(t, reason.Undecided, verify.Problem(err), "%v", err)
					require.Zero(t, found)
				}
				_, err = verify.Artifact(trust, format, wrong, b)
				require.Error(t, err)
			}
		}
	})
}

// FuzzReadRoot: a trusted root that nobody vouches for is read or refused.
func FuzzReadRoot(f *testing.F) {
	r := verifytest.New(f)
	f.Add(r.TrustedRoot())
	f.Add(notarizedFile(f, "trusted_root"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := verify.ReadRoot(content); err != nil {
			require.ErrorIs(t, err, verify.ErrTrust)
			require.Less(t, len(err.Error()), 1000)
		}
	})
}

// FuzzReadTrust is the same of hallmark-trust.json.
func FuzzReadTrust(f *testing.F) {
	f.Add(trustFile(f))
	f.Add([]byte(`{"mediaType":"application/vnd.hallmark.trust.v1+json"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := verify.ReadTrust(content, nil); err != nil {
			require.ErrorIs(t, err, verify.ErrTrust)
			require.Less(t, len(err.Error()), 1000)
		}
	})
}
