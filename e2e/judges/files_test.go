package judges_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// panel is who judges which file of the desk.
func (d *desk) panel(algorithm string) map[string]judge {
	d.t.Helper()
	digest, told := "-sha256", []string{"--key", "release.pub"}
	if algorithm == "P-384" { // which cosign does not see from a bare key
		digest, told = "-sha384", append(told, "--signature-digest-algorithm", "sha384")
	}
	cosign, judging := tooltest.Cosign(d.t), tooltest.Judge(d.t)
	named := []string{"--certificate-identity", d.identity, "--certificate-oidc-issuer", d.issuer}
	command := func(verb, bundle string, more ...string) judge {
		return judge{cosign, append(append([]string{verb, "--trusted-root", "trusted_root.json", "--bundle", bundle}, more...), "app.tgz")}
	}
	plain := func(bundle string, by ...string) judge {
		return judge{judging, append(append([]string{"-bundle", bundle}, by...), "app.tgz")}
	}
	js := d.script()
	return map[string]judge{
		"cosign by identity":       command("verify-blob", "app.tgz.sigstore.json", named...),
		"cosign by key":            command("verify-blob", "app.tgz.sigstore-key.json", told...),
		"cosign by key, with time": command("verify-blob", "app.tgz.sigstore-key.json", append(told, "--use-signed-timestamps")...),
		"cosign, summary":          command("verify-blob-attestation", "app.tgz.vsa.json", append(named, "--type", seal.SummaryPredicate)...),
		"sigstore-go by identity":  plain("app.tgz.sigstore.json", "-identity", d.identity, "-issuer", d.issuer),
		"sigstore-go by key":       plain("app.tgz.sigstore-key.json", "-key", "release.pub"),
		"sigstore-go, summary":     plain("app.tgz.vsa.json", "-identity", d.identity, "-issuer", d.issuer),
		"JavaScript by identity":   {tooltest.Node(d.t), []string{js, "trusted_root.json", "app.tgz.sigstore.json", "app.tgz", "--identity", d.identity, "--issuer", d.issuer}},
		"JavaScript by key":        {tooltest.Node(d.t), []string{js, "trusted_root.json", "app.tgz.sigstore-key.json", "app.tgz", "--key", "release.pub"}},
		"openssl":                  {tooltest.OpenSSL(d.t), []string{"dgst", digest, "-verify", "release.pub", "-signature", "app.tgz.sig", "app.tgz"}},
	}
}

// script puts the JavaScript judge where it finds its packages.
func (d *desk) script() string {
	d.t.Helper()
	dir := d.t.TempDir()
	source, err := os.ReadFile(filepath.Join("js", "judge.mjs"))
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(filepath.Join(dir, "judge.mjs"), source, 0o600))
	require.NoError(d.t, os.Symlink(tooltest.SigstoreJS(d.t), filepath.Join(dir, "node_modules")))
	return filepath.Join(dir, "judge.mjs")
}

// Whoever has the trusted root, or the public key, and stock programs, needs nothing of ours.
func TestFilesJudgedByOthers(t *testing.T) {
	t.Parallel()
	realm, stranger := notarytest.New(t), notarytest.NewWith(t, notarytest.Config{Name: "stranger"})
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key := sealtest.NewKey(t, algorithm, "release")
			d := newDesk(t, realm, key)
			ask := func(what string, accept bool, spared ...string) {
				t.Helper()
				for name, j := range d.panel(algorithm) {
					if strings.Contains(strings.Join(spared, ","), strings.Fields(name)[0]) {
						continue
					}
					ok, out := d.verdict(j)
					require.Equal(t, accept, ok, "%s, %s: %s", name, what, out)
					require.Equal(t, accept, strings.Contains(out, "Verified OK"), "%s, %s: %s", name, what, out)
				}
			}
			ask("as sealed", true)
			d.write("app.tgz", []byte("what was not built"))
			ask("another artifact", false)
			if algorithm != "P-256" {
				return
			}
			d.write("app.tgz", []byte(built))
			d.write("trusted_root.json", stranger.TrustedRoot())
			ask("another root", false, "openssl")
			d.write("trusted_root.json", realm.TrustedRoot())
			d.identity += "x"
			sealtest.NewKey(t, algorithm, "somebody else").WritePEM(t, d.dir, "release.pub")
			ask("another identity, another key", false)
		})
	}
}

// What a bundle lacks, or has of another one, everybody misses: cosign, sigstore-go and the JavaScript library see it.
func TestSwappedMaterialJudgedByOthers(t *testing.T) {
	t.Parallel()
	realm := notarytest.New(t)
	key := sealtest.NewKey(t, "P-256", "release")
	d := newDesk(t, realm, key)
	other := sealed(t, realm, key, "another artifact", "sigstore", "sigstore-key")
	entry, stamp, signature := []string{"verificationMaterial", "tlogEntries"}, []string{"verificationMaterial", "timestampVerificationData"}, []string{"messageSignature"}
	panel := d.panel("P-256")
	for name, c := range map[string]struct {
		format string
		path   []string
		no     bool
		judges []string
	}{
		"another's entry":              {"sigstore", entry, false, []string{"cosign by identity", "sigstore-go by identity", "JavaScript by identity"}},
		"another's entry, by key":      {"sigstore-key", entry, false, []string{"cosign by key", "sigstore-go by key", "JavaScript by key"}},
		"no entry":                     {"sigstore", entry, true, []string{"cosign by identity", "sigstore-go by identity", "JavaScript by identity"}},
		"no entry, by key":             {"sigstore-key", entry, true, []string{"cosign by key", "sigstore-go by key"}},
		"another's time-stamp":         {"sigstore", stamp, false, []string{"cosign by identity", "sigstore-go by identity", "JavaScript by identity"}},
		"another's time-stamp, by key": {"sigstore-key", stamp, false, []string{"cosign by key, with time", "JavaScript by key"}},
		"no time-stamp":                {"sigstore", stamp, true, []string{"cosign by identity", "sigstore-go by identity"}},
		"another's signature":          {"sigstore", signature, false, []string{"cosign by identity", "sigstore-go by identity", "JavaScript by identity"}},
	} {
		file := seal.FileName("app.tgz", c.format, "", true)
		good := d.read(file)
		var with any
		if !c.no {
			with = json.RawMessage(mustGet(t, other[c.format], c.path))
		}
		d.write(file, sealtest.Set(t, good, with, c.path...))
		for _, who := range c.judges {
			require.Contains(t, panel, who)
			ok, out := d.verdict(panel[who])
			require.False(t, ok, "%s, %s: %s", who, name, out)
		}
		d.write(file, good)
	}
}

func mustGet(t *testing.T, doc []byte, path []string) []byte {
	t.Helper()
	b, err := json.Marshal(sealtest.Get(t, doc, path...))
	require.NoError(t, err)
	return b
}

// openssl alone tells that the certificate chains to the root, that it has the key, and when the signature was made.
func TestChainAndTimeByOpenSSL(t *testing.T) {
	t.Parallel()
	realm, stranger := notarytest.New(t), notarytest.NewWith(t, notarytest.Config{Name: "stranger"})
	key := sealtest.NewKey(t, "P-256", "release")
	d, foreign := newDesk(t, realm, key), newDesk(t, stranger, key)
	openssl := tooltest.OpenSSL(t)
	d.write("leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.get("app.tgz.sigstore.json", "verificationMaterial", "certificate", "rawBytes")}))
	var stamps struct {
		Tokens []struct {
			Token []byte `json:"signedTimestamp"`
		} `json:"rfc3161Timestamps"`
	}
	require.NoError(t, json.Unmarshal(d.get("app.tgz.sigstore.json", "verificationMaterial", "timestampVerificationData"), &stamps))
	require.Len(t, stamps.Tokens, 1)
	d.write("app.tgz.tsr", stamps.Tokens[0].Token)
	chain := judge{openssl, []string{"verify", "-purpose", "any", "-CAfile", "root.pem", "-untrusted", "ca.pem", "leaf.pem"}}
	stamp := judge{openssl, []string{"ts", "-verify", "-in", "app.tgz.tsr", "-data", "app.tgz.sig", "-CAfile", "root.pem", "-untrusted", "tsa.pem"}}
	for name, j := range map[string]judge{"chain": chain, "time": stamp} {
		ok, out := d.verdict(j)
		require.True(t, ok, "%s: %s", name, out)
	}
	ok, out := d.verdict(judge{openssl, []string{"x509", "-in", "leaf.pem", "-noout", "-pubkey"}})
	require.True(t, ok, out)
	require.Equal(t, string(d.read("release.pub")), out)

	good := d.read("app.tgz.sig")
	d.write("app.tgz.sig", append(good, 0))
	ok, out = d.verdict(stamp)
	require.False(t, ok, "a time-stamp of another signature: %s", out)
	d.write("app.tgz.sig", good)
	d.write("root.pem", foreign.read("root.pem"))
	for name, j := range map[string]judge{"chain": chain, "time": stamp} {
		ok, out := d.verdict(j)
		require.False(t, ok, "%s under another root: %s", name, out)
	}
}

// The lock file pins every package by its content and says nothing of where somebody once got it.
func TestLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile(filepath.Join("js", "package-lock.json"))
	require.NoError(t, err)
	require.NotContains(t, string(lock), `"resolved"`)
	require.Contains(t, string(lock), `"integrity": "sha512-`)
}
