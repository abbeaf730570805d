package seal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// The signature in a file is found in every format, and who made it, also where the file is no longer beside its bytes.
func TestInside(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		key, other := sealtest.NewKey(t, algorithm, "one"), sealtest.NewKey(t, algorithm, "two")
		d := digestsOf([]byte("artifact"))
		for _, f := range all(t) {
			content := sealtest.Seal(t, f.Name, key, d, nil)
			all, err := f.Inside(content)
			require.NoError(t, err, f.Name)
			require.Len(t, all, 1)
			in := all[0]
			require.True(t, in.MadeBy(key.Public(), d), f.Name)
			require.False(t, in.MadeBy(other.Public(), d), f.Name)
			require.Equal(t, f.Name != "raw", in.MadeBy(key.Public(), nil), "%s says itself what it is over", f.Name)
			require.Equal(t, f.Name != "raw", in.MadeBy(key.Public(), digestsOf([]byte("other"))), f.Name)
			if hint, ok := f.KeyHint(content); ok {
				require.EqualValues(t, hint, in.SPKI, f.Name)
			}
		}
	}
}

// What other verifiers take is taken, too: names and letters that our own formats do not use.
func TestInsideIsLax(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("artifact"))
	f, _ := seal.Lookup("sigstore")
	content := sealtest.Seal(t, f.Name, key, d, nil)
	lax := strings.NewReplacer(`"messageSignature"`, `"message_signature"`, `{"mediaType"`, `{"more":[],"mediaType"`, `+`, `-`, `/`, `_`).Replace(string(content))
	in, err := f.Inside([]byte(lax))
	require.NoError(t, err)
	require.True(t, in[0].MadeBy(key.Public(), nil))
	for _, f := range all(t) {
		for _, content := range []string{"", "{}", "[]", `{"dsseEnvelope":{}}`, strings.Repeat("x", seal.MaxSize+1)} {
			if f.Name == "raw" && len(content) == 2 || f.Name == "raw" && strings.HasPrefix(content, `{"d`) {
				continue // anything may be a signature
			}
			_, err := f.Inside([]byte(content))
			require.ErrorIs(t, err, seal.ErrMalformed, "%s %.20s", f.Name, content)
		}
	}
}

// Some verifiers take an envelope of which any signature is by a key that they know.
func TestInsideFindsEverySignature(t *testing.T) {
	t.Parallel()
	key, other, d := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two"), digestsOf([]byte("artifact"))
	for _, name := range []string{"cosign", "evidence"} {
		f, _ := seal.Lookup(name)
		signatures := func(content []byte) string {
			_, rest, _ := strings.Cut(string(content), `"signatures":[`)
			one, _, _ := strings.Cut(rest, `]`)
			return one
		}
		mine := sealtest.Seal(t, name, key, d, nil)
		first := signatures(mine)
		second := signatures(sealtest.Seal(t, name, other, d, nil))
		both := strings.Replace(string(mine), first, first+","+second, 1)
		all, err := f.Inside([]byte(both))
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.True(t, all[0].MadeBy(key.Public(), d))
		require.True(t, all[1].MadeBy(other.Public(), d))
	}
}

func FuzzInside(f *testing.F) {
	key, d := sealtest.NewKey(f, "P-256", "one"), digestsOf([]byte("artifact"))
	other := sealtest.NewKey(f, "P-256", "two")
	for i, name := range seal.Formats() {
		f.Add(sealtest.Seal(f, name, key, d, nil), i)
	}
	f.Fuzz(func(t *testing.T, content []byte, which int) {
		names := seal.Formats()
		format, _ := seal.Lookup(names[int(uint(which)%uint(len(names)))])
		in, err := format.Inside(content)
		if err != nil {
			require.ErrorIs(t, err, seal.ErrMalformed)
			return
		}
		require.NotEmpty(t, in)
		for _, one := range in {
			require.NotEmpty(t, one.Signature)
			require.False(t, one.MadeBy(other.Public(), d), "nobody else can have made it")
		}
	})
}
