package hsm_test

import (
	"encoding/asn1"
	"encoding/json"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	for _, algorithm := range []hsm.Algorithm{"", hsm.P384, hsm.RSA3072} { // TestSignEveryAlgorithm makes the others
		label := "key-" + string(algorithm)
		made, err := hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: label, Algorithm: algorithm})
		require.NoError(t, err)
		if algorithm == "" {
			algorithm = hsm.P256
		}
		require.Equal(t, algorithm, made.Public.Algorithm)
		a := made.Attributes
		require.Equal(t, label, a.Label)
		require.Len(t, a.ID, 32)
		for name, on := range map[string]*bool{
			"token": a.Token, "private": a.Private, "sensitive": a.Sensitive, "alwaysSensitive": a.AlwaysSensitive,
			"neverExtractable": a.NeverExtractable, "local": a.Local, "sign": a.Sign, "destroyable": a.Destroyable,
		} {
			require.NotNil(t, on, name)
			require.True(t, *on, name)
		}
		for name, off := range map[string]*bool{
			"extractable": a.Extractable, "decrypt": a.Decrypt, "unwrap": a.Unwrap, "derive": a.Derive,
			"modifiable": a.Modifiable, "copyable": a.Copyable, "alwaysAuthenticate": a.AlwaysAuthenticate,
		} {
			require.NotNil(t, off, name)
			require.False(t, *off, name)
		}
		text, err := json.Marshal(a)
		require.NoError(t, err)
		require.Contains(t, string(text), `"extractable":false`)
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)

	_, err := hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "release"})
	require.ErrorIs(t, err, hsm.ErrLabelTaken)
	_, err = hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{})
	require.ErrorContains(t, err, "label must have")
	_, err = hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "x", Algorithm: "RSA-1024"})
	require.ErrorIs(t, err, hsm.ErrAlgorithm)

	infos, err := hsm.List(t.Context(), tok.Config())
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, key.SPKI, infos[0].SPKI)
}

// The token says that the new key is extractable: it must not stay.
func TestGenerateDestroysAnExtractableKey(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	shim := tok.Shim(t)
	shim.Extractable(t, 1)
	_, err := hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "release"})
	require.ErrorIs(t, err, hsm.ErrExtractable)
	require.ErrorContains(t, err, "it was destroyed")
	infos, err := hsm.List(t.Context(), tok.Config())
	require.NoError(t, err)
	require.Empty(t, infos)
	_, err = hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "release"})
	require.NoError(t, err, "the label is free again, both halves are gone")
}

// A token that does not know the strictest attributes gets a key all the same.
func TestGenerateOnASimplerToken(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	shim := tok.Shim(t)
	shim.Fail(t, "C_GenerateKeyPair", pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, 1)
	made, err := hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "release"})
	require.NoError(t, err)
	require.True(t, *made.Attributes.Modifiable)
	require.False(t, *made.Attributes.Extractable)
	shim.Fail(t, "C_GenerateKeyPair", pkcs11.CKR_DEVICE_ERROR, hsmtest.Forever)
	_, err = hsm.Generate(t.Context(), tok.Config(), hsm.GenerateRequest{Label: "second"})
	require.ErrorIs(t, err, pkcs11.Error(pkcs11.CKR_DEVICE_ERROR))
	require.Equal(t, 3, shim.Calls(t, "C_GenerateKeyPair"))
}

// One key that cannot be used here must not hide the others.
func TestListEveryKindOfKey(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	release := tok.Generate(t, "release", "release", hsm.P256)
	large := tok.Generate(t, "large", "release", hsm.RSA3072)
	generateRaw(t, tok, rawKeyPair{label: "edwards", id: "e", edwards: true})
	generateRaw(t, tok, rawKeyPair{label: "p521", id: "l", curve: asn1.ObjectIdentifier{1, 3, 132, 0, 35}})
	generateRaw(t, tok, rawKeyPair{label: "torn", id: "one", publicID: "two"})
	generateRaw(t, tok, rawKeyPair{label: "twin", id: "a"})
	generateRaw(t, tok, rawKeyPair{label: "twin", id: "b"})
	generateRaw(t, tok, rawKeyPair{label: "mute", id: "m", private: []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_SIGN, false)}})
	infos, err := hsm.List(t.Context(), tok.Config())
	require.NoError(t, err)
	got := map[string]hsm.KeyInfo{}
	for _, i := range infos {
		got[i.Label] = i
	}
	require.Len(t, infos, 8)
	for label, want := range map[string]struct{ algorithm, spki, problem string }{
		"release": {"P-256", release.SPKI, ""},
		"large":   {"RSA-3072", large.SPKI, ""},
		"edwards": {"Ed25519 or Ed448", "", hsm.ErrAlgorithm.Error()},
		"p521":    {"ECDSA P-521", got["p521"].SPKI, hsm.ErrAlgorithm.Error() + ": ECDSA P-521; use one of [P-256 P-384 RSA-3072 RSA-4096]"},
		"torn":    {"EC", "", "no public key object with the same label and CKA_ID"},
		"twin":    {"P-256", got["twin"].SPKI, hsm.ErrKeyTwice.Error()},
		"mute":    {"P-256", got["mute"].SPKI, "CKA_SIGN is false"},
	} {
		require.Equal(t, want.algorithm, got[label].Algorithm, label)
		require.Equal(t, want.spki, got[label].SPKI, label)
		require.Equal(t, want.problem, got[label].Problem, label)
	}
	pub, err := hsm.LoadPublic("release", "release", []byte(got["release"].PublicPEM))
	require.NoError(t, err)
	require.Equal(t, release.SPKI, pub.Pin())
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	names := func(checks []hsm.Check) (ok, bad []string) {
		for _, c := range checks {
			if c.OK {
				require.Empty(t, c.Fix)
				ok = append(ok, c.Name)
				continue
			}
			require.NotEmpty(t, c.Fix, c.Name)
			bad = append(bad, c.Name)
		}
		return ok, bad
	}
	all := []string{
		"token hsm: module loads", "token hsm: slots and tokens seen", "token hsm: token found", "token hsm: PIN accepted",
		"key release: key found exactly once", "key release: pinned public key matches", "key release: test signature verifies",
	}
	check := func(cfg hsm.Config, keys ...hsm.KeyConfig) (ok, bad []string) {
		return names(hsm.Diagnose(t.Context(), []hsm.Config{cfg}, keys, hsm.Options{}))
	}
	ok, bad := check(tok.Config(), key)
	require.Equal(t, all, ok)
	require.Empty(t, bad)

	cfg := tok.Config()
	cfg.Module = "/nonexistent.so"
	ok, bad = check(cfg, key)
	require.Empty(t, ok)
	require.Equal(t, all[:1], bad)

	cfg = tok.Config()
	cfg.Label = "other"
	ok, bad = check(cfg, key)
	require.Equal(t, all[:2], ok)
	require.Equal(t, all[2:3], bad)

	missing := hsm.KeyConfig{Name: "gone", Token: "hsm", Lane: "release", SPKI: "sha256:" + strings.Repeat("1", 64)}
	ok, bad = check(tok.Config(), missing, key)
	require.Equal(t, all, ok, "one bad key does not hide the others")
	require.Equal(t, []string{"key gone: key found exactly once"}, bad)

	_, bad = check(hsm.Config{}, key)
	require.Equal(t, []string{"configuration of tokens and keys"}, bad)

	// While this process is logged in already, nobody can tell whether the PIN is right.
	ring := open(t, hsm.Options{}, tok.Config(), key)
	writePIN(t, tok, "9999", 0o600)
	_, bad = check(tok.Config(), key)
	require.Equal(t, []string{"token hsm: PIN accepted"}, bad)
	require.NoError(t, ring.Ready(t.Context()))
	ring.Close()
	ok, bad = check(tok.Config(), key)
	require.Equal(t, all[:3], ok)
	require.Equal(t, all[3:4], bad)
}
