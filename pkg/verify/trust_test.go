package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// trustFile is the golden hallmark-trust.json, as exports of years hold it.
func trustFile(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "hallmark-trust.json"))
	require.NoError(t, err)
	return b
}

func TestReadTrust(t *testing.T) {
	t.Parallel()
	r := verifytest.New(t)
	trust, err := verify.ReadTrust(trustFile(t), r.TrustedRoot())
	require.NoError(t, err)
	require.NotNil(t, trust.Root)
	require.Len(t, trust.Keys, 2)
	old, current := trust.Keys[0], trust.Keys[1]
	require.Equal(t, "release-2025", old.Name)
	require.Equal(t, "release", old.Lane)
	require.Equal(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), old.Retired)
	require.Equal(t, time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC), old.Distrusted)
	require.Zero(t, old.From)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), current.From)
	require.Equal(t, sealtest.NewKey(t, "P-256", "release").Public(), current.Public)
	require.Equal(t, []verify.Identity{
		{Issuer: verify.Exactly(verifytest.Issuer), Subject: verify.Exactly(verifytest.Identity), Lane: "release"},
		{Issuer: verify.Exactly(verifytest.Issuer), Subject: verify.Exactly(verifytest.Issuer + "/keys/release-2026"), Lane: "release"},
	}, trust.Identities)

	// What it says is what counts.
	key, d := sealtest.NewKey(t, "P-256", "release"), verify.Digests(sealtest.Digests(t, artifactText))
	f, err := verify.Artifact(trust, "sigstore", d, r.Bundle(verifytest.Order{Key: key, Content: []byte(artifactText)}))
	require.NoError(t, err)
	require.Equal(t, verify.LevelCertificate, f.Level)
	require.Equal(t, "release-2026", f.Key)
	_, err = verify.Artifact(trust, "sigstore", d, r.Bundle(verifytest.Order{Key: sealtest.NewKey(t, "P-256", "old"), Content: []byte(artifactText)}))
	require.ErrorIs(t, err, verify.ErrDistrusted)

	// So do keys of which it has the hash alone, pinned elsewhere or in a certificate for somebody who is believed.
	other := sealtest.NewKey(t, "P-256", "other")
	list := fmt.Sprintf(`"distrustedKeys": [{"spki": "sha256:%x", "from": "2026-02-01T12:00:00Z"}], "keys"`, sha256.Sum256(verifytest.SPKI(t, other.Public())))
	for content, pinned := range map[string]bool{string(trustFile(t)): false, strings.Replace(string(trustFile(t)), `"keys"`, list, 1): true} {
		trust, err := verify.ReadTrust([]byte(content), r.TrustedRoot())
		require.NoError(t, err)
		for _, keys := range [][]verify.Key{trust.Keys, append(trust.Keys, verify.Key{Public: other.Public()})} {
			trust.Keys = keys
			_, err = verify.Artifact(trust, "sigstore", d, r.Bundle(verifytest.Order{Key: other, Content: []byte(artifactText)}))
			if pinned {
				require.ErrorIs(t, err, verify.ErrDistrusted)
			} else {
				require.NoError(t, err)
			}
		}
	}
}

func TestReadTrustRefuses(t *testing.T) {
	t.Parallel()
	good := string(trustFile(t))
	other := base64.StdEncoding.EncodeToString(verifytest.SPKI(t, sealtest.NewKey(t, "P-256", "else").Public()))
	key := base64.StdEncoding.EncodeToString(verifytest.SPKI(t, sealtest.NewKey(t, "P-256", "release").Public()))
	change := func(old, with string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, with, 1)
	}
	for name, content := range map[string]string{
		"nothing":             "",
		"no JSON":             "trust me",
		"another document":    change("trust.v1", "trust.v2"),
		"more than is known":  change(`"exported"`, `"onlyOnTuesdays": true, "exported"`),
		"more of a key":       change(`"lane"`, `"count": 3, "lane"`),
		"something behind it": good + good,
		"another key's name":  change(key, other),
		"more of an identity": change(`{"uri"`, `{"except": "x", "uri"`),
		"no key":              change(key, "AAAA"),
		"identity of nobody":  change(`"`+verifytest.Identity+`"`, `""`),
		"no issuer":           change(`"issuer": "`+verifytest.Issuer+`"`, `"issuer": ""`),
		"distrust of no key":  change(`"keys"`, `"distrustedKeys": [{"spki": "release", "from": "2026-03-01T00:00:00Z"}], "keys"`),
		"distrust from never": change(`"keys"`, `"distrustedKeys": [{"spki": "sha256:`+strings.Repeat("0", 64)+`"}], "keys"`),
		"no time":             change("2026-03-01T00:00:00Z", "in March"),
		"too large":           good + strings.Repeat(" ", 4<<20),
	} {
		_, err := verify.ReadTrust([]byte(content), nil)
		require.ErrorIs(t, err, verify.ErrTrust, name)
	}
	_, err := verify.ReadTrust([]byte(good), []byte("{}"))
	require.ErrorIs(t, err, verify.ErrTrust)
}

func TestReadRootRefuses(t *testing.T) {
	t.Parallel()
	good := verifytest.New(t).TrustedRoot()
	_, err := verify.ReadRoot(good)
	require.NoError(t, err)
	for name, change := range map[string]func([]byte) []byte{
		"nothing":             func([]byte) []byte { return nil },
		"another document":    replace("trustedroot", "bundle"),
		"log without a host":  replace("https://"+verifytest.Origin, "here"),
		"log of another hash": replace("SHA2_256", "SHA2_512"),
		"log without a key":   replace(`"rawBytes"`, `"unknown"`),
		"unknown member":      replace(`"tlogs"`, `"more": 1, "tlogs"`),
		"no beginning":        replaceLast(`"start"`, `"end"`),
		"no certificates":     replace(`"certChain"`, `"uri2"`),
		"certificate broken":  replace(`"rawBytes": "MII`, `"rawBytes": "MIJ`),
		"too large":           func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 4<<20)...) },
	} {
		_, err := verify.ReadRoot(change(bytes.Clone(good)))
		require.ErrorIs(t, err, verify.ErrTrust, name)
	}
	id := sha256.Sum256([]byte("x"))
	r := verifytest.New(t)
	spki := sha256.Sum256(verifytest.SPKI(t, r.CT.Public()))
	_, err = verify.ReadRoot(replace(base64.StdEncoding.EncodeToString(spki[:]), base64.StdEncoding.EncodeToString(id[:]))(r.TrustedRoot()))
	require.ErrorContains(t, err, "ctlogs[0]: its identifier is "+fmt.Sprintf("%x", id))
}

func replace(old, with string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
}

func replaceLast(old, with string) func([]byte) []byte {
	return func(b []byte) []byte {
		i := bytes.LastIndex(b, []byte(old))
		return append(bytes.Clone(b[:i]), replace(old, with)(b[i:])...)
	}
}
