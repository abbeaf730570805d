package trust_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

var rootEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rootMaterial is one log, one SCT key, one CA and one time-stamping authority.
func rootMaterial(t testing.TB) trust.Material {
	t.Helper()
	ca := newIssuer(t, "root").below(t, "issuing", nil)
	w := trust.Window{From: rootEpoch}
	return trust.Material{
		Logs:    []trust.LogKey{{Origin: "log.acme.example", Public: newKey(t, elliptic.P256()).Public(), Window: w}},
		SCTs:    []trust.SCTKey{{URL: "https://sign.acme.example", Public: newKey(t, elliptic.P256()).Public(), Window: w}},
		Issuers: []trust.Issuer{{URI: "https://sign.acme.example", Chain: ca.chain(), Window: w}},
		Times:   []trust.TimeAuthority{{URI: "https://sign.acme.example/time", Chain: newStampRealm(t, newKey(t, elliptic.P256())).chain, Window: w}},
	}
}

func buildRoot(t testing.TB, m trust.Material) []byte {
	t.Helper()
	content, err := trust.BuildRoot(m)
	require.NoError(t, err)
	return content
}

func TestBuildRoot(t *testing.T) {
	t.Parallel()
	m := rootMaterial(t)
	content := buildRoot(t, m)
	require.Equal(t, content, buildRoot(t, m), "the same material makes the same bytes")

	r, err := root.NewTrustedRootFromJSON(content)
	require.NoError(t, err)
	require.Len(t, r.RekorLogs(), 1)
	for _, l := range r.RekorLogs() {
		require.Equal(t, "https://log.acme.example", l.BaseURL)
		require.Equal(t, rootEpoch.Add(-time.Hour), l.ValidityPeriodStart, "backdated for slow clocks")
		require.True(t, l.ValidityPeriodEnd.IsZero())
	}
	require.Len(t, r.CTLogs(), 1)
	require.Len(t, r.FulcioCertificateAuthorities(), 1)
	require.Len(t, r.TimestampingAuthorities(), 1)
	tsa, ok := r.TimestampingAuthorities()[0].(*root.SigstoreTimestampingAuthority)
	require.True(t, ok)
	require.True(t, tsa.Leaf.Equal(m.Times[0].Chain[0]), "whole chains, the authority's own certificate first")
	require.True(t, tsa.Root.Equal(m.Times[0].Chain[2]))
}

// The bytes of a trusted root are what verifiers everywhere keep: they change only when this file is changed on purpose.
func TestGoldenRoot(t *testing.T) {
	t.Parallel()
	in := func(name string) string { return filepath.Join("testdata", "root", name) }
	if *update {
		require.NoError(t, os.MkdirAll(in(""), 0o750))
		ca := newIssuer(t, "golden root").below(t, "golden issuing CA", nil)
		require.NoError(t, os.WriteFile(in("ca.pem"), certificatesPEM(ca.chain()...), 0o600))
		for _, name := range []string{"log.pub", "former.pub", "sct.pub"} {
			der, err := x509.MarshalPKIXPublicKey(newKey(t, elliptic.P256()).Public())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(in(name), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
		}
	}
	key := func(name string) any {
		content, err := os.ReadFile(in(name))
		require.NoError(t, err)
		block, _ := pem.Decode(content)
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		require.NoError(t, err)
		return pub
	}
	_, stamps := goldenToken(t)
	former := buildRoot(t, trust.Material{Logs: []trust.LogKey{{Origin: "old.acme.example", Public: key("former.pub"), Window: trust.Window{To: rootEpoch}}}})
	content := buildRoot(t, trust.Material{
		Logs:    []trust.LogKey{{Origin: "log.acme.example", URL: "https://log.acme.example:8443/log", Public: key("log.pub"), Window: trust.Window{From: rootEpoch}}},
		SCTs:    []trust.SCTKey{{URL: "https://sign.acme.example", Public: key("sct.pub"), Window: trust.Window{From: rootEpoch}}},
		Issuers: []trust.Issuer{{URI: "https://sign.acme.example", Chain: certificates(t, in("ca.pem")), Window: trust.Window{From: rootEpoch}}},
		Times:   []trust.TimeAuthority{{URI: "https://sign.acme.example/time", Chain: stamps, Window: trust.Window{From: rootEpoch}}},
		Former:  [][]byte{former},
	})
	if *update {
		require.NoError(t, os.WriteFile(in("trusted_root.json"), content, 0o600))
	}
	golden, err := os.ReadFile(in("trusted_root.json"))
	require.NoError(t, err)
	require.Equal(t, string(golden), string(content))
	_, err = trust.NewVerifier(golden)
	require.NoError(t, err)
}

func certificates(t testing.TB, path string) (chain []*x509.Certificate) {
	t.Helper()
	rest, err := os.ReadFile(path)
	require.NoError(t, err)
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		chain = append(chain, cert)
	}
	return chain
}

// What former roots and other replicas list stays listed, once, and an end that anyone knows counts.
func TestRootMerge(t *testing.T) {
	t.Parallel()
	a, b := rootMaterial(t), rootMaterial(t)
	b.Logs[0].Origin = "other.acme.example"
	rootA, rootB := buildRoot(t, a), buildRoot(t, b)

	both := a
	both.Former = [][]byte{rootB}
	joined := buildRoot(t, both)
	r, err := root.NewTrustedRootFromJSON(joined)
	require.NoError(t, err)
	require.Len(t, r.RekorLogs(), 2)
	require.Len(t, r.CTLogs(), 2)
	require.Len(t, r.FulcioCertificateAuthorities(), 2)
	require.Len(t, r.TimestampingAuthorities(), 2)

	other := b
	other.Former = [][]byte{rootA}
	require.Equal(t, string(joined), string(buildRoot(t, other)), "all replicas publish the same file")
	both.Former = [][]byte{rootB, rootA, joined, joined}
	require.Equal(t, string(joined), string(buildRoot(t, both)), "nothing is listed twice")
	require.Equal(t, string(joined), string(buildRoot(t, trust.Material{Former: [][]byte{rootB, rootA}})))

	// The key of B's log was retired; A's file, made before, does not bring it back, in whatever order they are read.
	retired := b
	retired.Logs = []trust.LogKey{b.Logs[0]}
	retired.Logs[0].Window.To = rootEpoch.AddDate(0, 6, 0)
	for _, former := range [][][]byte{{buildRoot(t, retired), joined}, {joined, buildRoot(t, retired)}} {
		r, err := root.NewTrustedRootFromJSON(buildRoot(t, trust.Material{Former: former}))
		require.NoError(t, err)
		ends := 0
		for _, l := range r.RekorLogs() {
			if l.BaseURL == "https://other.acme.example" {
				require.Equal(t, rootEpoch.AddDate(0, 6, 0), l.ValidityPeriodEnd)
				ends++
			}
		}
		require.Equal(t, 1, ends)
	}
}

func TestBuildRootRefuses(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*trust.Material)
		says   string
	}{
		"log without origin":    {func(m *trust.Material) { m.Logs[0].Origin = "" }, "must be its origin"},
		"origin with a port":    {func(m *trust.Material) { m.Logs[0].Origin = "log.acme.example:8443" }, "without scheme and port"},
		"origin with a scheme":  {func(m *trust.Material) { m.Logs[0].Origin = "https://log.acme.example" }, "without scheme and port"},
		"address elsewhere":     {func(m *trust.Material) { m.Logs[0].URL = "https://cdn.acme.example" }, "must be its origin"},
		"log without key":       {func(m *trust.Material) { m.Logs[0].Public = nil }, "unsupported public key"},
		"SCT key P-384":         {func(m *trust.Material) { m.SCTs[0].Public = p384.Public() }, "P-256 or RSA"},
		"SCT key Ed25519":       {func(m *trust.Material) { m.SCTs[0].Public = ed }, "P-256 or RSA"},
		"issuer without root":   {func(m *trust.Material) { m.Issuers[0].Chain = m.Issuers[0].Chain[:1] }, "is not a root"},
		"issuer without chain":  {func(m *trust.Material) { m.Issuers[0].Chain = nil }, "no certificates"},
		"issuer out of order":   {func(m *trust.Material) { c := m.Issuers[0].Chain; c[0], c[1] = c[1], c[0] }, "is not issued by the next"},
		"leaf as issuer":        {func(m *trust.Material) { m.Issuers[0].Chain = m.Times[0].Chain }, "is no CA's"},
		"authority without own": {func(m *trust.Material) { m.Times[0].Chain = m.Times[0].Chain[1:] }, "is a CA's"},
		"ends before it starts": {func(m *trust.Material) { m.Logs[0].Window.To = rootEpoch.AddDate(-1, 0, 0) }, "ends before it starts"},
		"one key for two logs": {func(m *trust.Material) {
			m.Logs = append(m.Logs, trust.LogKey{Origin: "second.acme.example", Public: m.Logs[0].Public})
		}, "one key signs for two logs"},
		"former is no root": {func(m *trust.Material) { m.Former = [][]byte{[]byte("{}")} }, "former root 1: its mediaType"},
		"former is no JSON": {func(m *trust.Material) { m.Former = [][]byte{[]byte("PEM")} }, "former root 1: not a trusted root"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := rootMaterial(t)
			c.change(&m)
			_, err := trust.BuildRoot(m)
			require.ErrorIs(t, err, trust.ErrRoot)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A root that one verifier would take and another not, or that says a thing twice, is refused by name of the entry.
func TestRootIsReadStrictly(t *testing.T) {
	t.Parallel()
	good := buildRoot(t, rootMaterial(t))
	edit := func(change func(root map[string]any)) []byte {
		var r map[string]any
		require.NoError(t, json.Unmarshal(good, &r))
		change(r)
		content, err := json.Marshal(r)
		require.NoError(t, err)
		return content
	}
	entry := func(r map[string]any, kind string) map[string]any { return r[kind].([]any)[0].(map[string]any) }
	twice := func(kind string) []byte {
		return edit(func(r map[string]any) { r[kind] = append(r[kind].([]any), r[kind].([]any)[0]) })
	}
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"empty":             {nil, "not a trusted root"},
		"too large":         {bytes.Repeat([]byte(" "), 1<<20+1), "over 1048576"},
		"unknown field":     {edit(func(r map[string]any) { r["extra"] = 1 }), "unknown field"},
		"key twice":         {[]byte(strings.Replace(string(good), `"tlogs"`, `"tlogs":[],"tlogs"`, 1)), "duplicate"},
		"something behind":  {append(bytes.Clone(good), '{', '}'), "not a trusted root"},
		"media type":        {edit(func(r map[string]any) { r["mediaType"] = "application/json" }), "mediaType"},
		"log twice":         {twice("tlogs"), "listed twice"},
		"SCT key twice":     {twice("ctlogs"), "listed twice"},
		"CA twice":          {twice("certificateAuthorities"), "listed twice"},
		"authority twice":   {twice("timestampAuthorities"), "listed twice"},
		"no start":          {edit(func(r map[string]any) { delete(entry(r, "tlogs")["publicKey"].(map[string]any), "validFor") }), "no start"},
		"other logId":       {edit(func(r map[string]any) { entry(r, "tlogs")["logId"] = map[string]any{"keyId": "AAAA"} }), "logId"},
		"no address":        {edit(func(r map[string]any) { entry(r, "tlogs")["baseUrl"] = "log.acme.example" }), "must have a host"},
		"first Rekor":       {edit(func(r map[string]any) { entry(r, "tlogs")["baseUrl"] = "https://log - 12" }), "must have a host"},
		"hash":              {edit(func(r map[string]any) { entry(r, "tlogs")["hashAlgorithm"] = "SHA2_512" }), "SHA2_256"},
		"key details":       {edit(func(r map[string]any) { entry(r, "tlogs")["publicKey"].(map[string]any)["keyDetails"] = "PKIX_ED25519" }), "keyDetails"},
		"authority no name": {edit(func(r map[string]any) { delete(entry(r, "timestampAuthorities"), "uri") }), "no uri"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := trust.NewVerifier(c.content)
			require.ErrorIs(t, err, trust.ErrRoot)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := trust.NewVerifier(good)
	require.NoError(t, err)
}
