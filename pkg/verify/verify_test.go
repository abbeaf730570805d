package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// same tells which answer of this package is which of pkg/seal's.
var same = map[error]error{
	seal.ErrMalformed:      verify.ErrMalformed,
	seal.ErrWrongKey:       verify.ErrWrongKey,
	seal.ErrWrongBytes:     verify.ErrWrongBytes,
	seal.ErrInvalid:        verify.ErrInvalid,
	seal.ErrNoDigest:       verify.ErrNoDigest,
	seal.ErrUnsupportedKey: verify.ErrUnsupportedKey,
}

// requireAgreed asks both verifiers and returns their answer. There is no intended difference between the two.
func requireAgreed(t *testing.T, format string, pub crypto.PublicKey, d seal.Digests, content []byte) error {
	t.Helper()
	f, ok := seal.Lookup(format)
	require.True(t, ok)
	theirs, ours := f.Verify(pub, d, content), verify.Signature(format, pub, verify.Digests(d), content)
	require.Equal(t, theirs == nil, ours == nil, "%s: pkg/seal says %v, pkg/verify says %v", format, theirs, ours)
	require.Equal(t, seal.Problem(theirs), verify.Problem(ours), "%s: pkg/seal says %v, pkg/verify says %v", format, theirs, ours)
	for a, b := range same {
		require.Equal(t, errors.Is(theirs, a), errors.Is(ours, b), "%s: pkg/seal says %v, pkg/verify says %v", format, theirs, ours)
	}
	return ours
}

// The verifier that the gate uses and the one that signing and users use give the same answers, and the right ones.
func TestTwoVerifiersAgree(t *testing.T) {
	t.Parallel()
	cases := sealtest.Cases(t)
	require.Greater(t, len(cases), 100)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			err := requireAgreed(t, c.Format, c.Key, c.Digests, c.Content)
			if c.Want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, same[c.Want])
			require.Less(t, len(err.Error()), 1000, "untrusted content does not fill the log")
			for _, format := range seal.Formats() { // also where it does not belong
				_ = requireAgreed(t, format, c.Key, c.Digests, c.Content)
			}
		})
	}
}

// Every format under every algorithm that keys can have.
func TestEveryFormatAndAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key, other := sealtest.NewKey(t, algorithm, "one"), sealtest.NewKey(t, algorithm, "two")
			right, wrong := sealtest.Digests(t, "artifact"), sealtest.Digests(t, "artifact2")
			for _, name := range seal.Formats() {
				content := sealtest.Seal(t, name, key, right, nil)
				require.NoError(t, requireAgreed(t, name, key.Public(), right, content))
				require.Error(t, requireAgreed(t, name, key.Public(), wrong, content))
				require.Error(t, requireAgreed(t, name, other.Public(), right, content))
				for i := 0; i < len(content); i += 7 { // whatever byte is changed, nobody is fooled, nor of two minds
					changed := bytes.Clone(content)
					changed[i] ^= 1
					_ = requireAgreed(t, name, key.Public(), right, changed)
					require.Error(t, requireAgreed(t, name, key.Public(), wrong, changed))
				}
			}
		})
	}
}

func TestKeysThatAreNotSupported(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	large, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	d := sealtest.Digests(t, "artifact")
	for _, pub := range []crypto.PublicKey{&small.PublicKey, &large.PublicKey, edwards, nil, "a key", small.PublicKey} {
		for _, format := range seal.Formats() {
			require.ErrorIs(t, requireAgreed(t, format, pub, d, []byte("x")), verify.ErrUnsupportedKey, "%T", pub)
		}
		_, err := verify.Hash(bytes.NewReader(nil), pub)
		require.ErrorIs(t, err, verify.ErrUnsupportedKey)
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	err := verify.Signature("pgp", sealtest.NewKey(t, "P-256", "one").Public(), verify.Digests(sealtest.Digests(t, "")), []byte("x"))
	require.ErrorIs(t, err, verify.ErrUnknownFormat)
	require.Equal(t, reason.Undecided, verify.Problem(err))
}

func TestHash(t *testing.T) {
	t.Parallel()
	want := sealtest.Digests(t, "artifact")
	d, err := verify.Hash(bytes.NewReader([]byte("artifact")), sealtest.NewKey(t, "P-384", "one").Public())
	require.NoError(t, err)
	require.Equal(t, verify.Digests(want), d)
	require.Equal(t, want.SHA256(), d.SHA256())
	d, err = verify.Hash(bytes.NewReader([]byte("artifact")))
	require.NoError(t, err)
	require.Len(t, d, 1, "nobody needs more")
	require.Zero(t, verify.Digests{}.SHA256())
	_, err = verify.Hash(iotest.ErrReader(errors.ErrUnsupported))
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
