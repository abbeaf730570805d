package seal_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// The cases are those that pkg/verify is held to, too.
func TestVerify(t *testing.T) {
	t.Parallel()
	for _, c := range sealtest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f, ok := seal.Lookup(c.Format)
			require.True(t, ok)
			err := f.Verify(c.Key, c.Digests, c.Content)
			if c.Want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.Want)
			require.Less(t, len(err.Error()), 1000, "untrusted content does not fill the log")
		})
	}
}

// Evidence names its key, for JFrog finds the key by that name.
func TestEvidenceNamesItsKey(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("evidence")
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("bundle"))
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	require.Contains(t, string(good), `"keyid":"one"`)
	uses := key.Uses()
	_, err = f.Seal(t.Context(), unnamed{key}, d)
	require.ErrorContains(t, err, "evidence names its key")
	require.Equal(t, uses, key.Uses())
}

// unnamed is a signer that does not tell its name.
type unnamed struct{ key *sealtest.Key }

func (u unnamed) Public() crypto.PublicKey { return u.key.Public() }
func (u unnamed) Hash() crypto.Hash        { return u.key.Hash() }
func (u unnamed) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	return u.key.Sign(ctx, digest)
}

// Which formats name their key, and what is taken for such a name.
func TestKeyHint(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf(nil)
	made := map[string][]byte{}
	for _, f := range all(t) {
		made[f.Name] = sealtest.Seal(t, f.Name, key, d, nil)
	}
	shape := map[string]string{"sigstore": "message", "sigstore-key": "message", "cosign": "statement", "cosign-key": "statement", "vsa": "statement"}
	for _, f := range all(t) {
		for by, content := range made {
			spki, ok := f.KeyHint(content)
			require.Equal(t, shape[by] != "" && shape[by] == shape[f.Name], ok, "%s read as %s", by, f.Name)
			if ok {
				require.Equal(t, sealtest.HintOf(t, key), base64.StdEncoding.EncodeToString(spki[:]))
			}
		}
	}

	f, _ := seal.Lookup("sigstore")
	for name, content := range map[string][]byte{
		"another form": sealtest.Set(t, made["sigstore"], "release-2026", "verificationMaterial", "publicKey", "hint"),
		"too short":    sealtest.Set(t, made["sigstore"], "AAAA", "verificationMaterial", "publicKey", "hint"),
		"no bundle":    []byte("{}"),
		"too large":    make([]byte, seal.MaxSize+1),
	} {
		_, ok := f.KeyHint(content)
		require.False(t, ok, name)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	require.Equal(t, reason.Code(""), seal.Problem(nil))
	for err, want := range map[error]reason.Code{
		seal.ErrMalformed:      reason.SignatureInvalid,
		seal.ErrInvalid:        reason.SignatureInvalid,
		seal.ErrWrongBytes:     reason.SignatureWrongBytes,
		seal.ErrWrongKey:       reason.SignatureWrongKey,
		seal.ErrNoDigest:       reason.Undecided,
		seal.ErrUnsupportedKey: reason.Undecided,
	} {
		require.Equal(t, want, seal.Problem(err))
	}
	require.Error(t, seal.Format{}.Verify(nil, nil, []byte("x")))
	require.Equal(t, reason.Undecided, seal.Problem(seal.Format{}.Verify(nil, nil, []byte("x"))))
}

// Sharing one verification between files must not let a bad one pass.
func TestVerifyAllJudgesEveryFile(t *testing.T) {
	t.Parallel()
	key, other := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two")
	d := digestsOf([]byte("artifact"))
	sealed := func(k *sealtest.Key, d seal.Digests) map[string][]byte {
		files := map[string][]byte{}
		for _, name := range seal.Formats() {
			files[name] = sealtest.Seal(t, name, k, d, nil)
		}
		return files
	}
	require.NoError(t, seal.VerifyAll(key.Public(), d, sealed(key, d)))
	for name, bad := range map[string]map[string][]byte{"by another key": sealed(other, d), "for other bytes": sealed(key, digestsOf([]byte("other")))} {
		for format := range bad {
			files := sealed(key, d)
			files[format] = bad[format]
			require.Error(t, seal.VerifyAll(key.Public(), d, files), "%s %s", format, name)
		}
	}
	require.Error(t, seal.VerifyAll(key.Public(), d, map[string][]byte{"unknown": nil}))
}
