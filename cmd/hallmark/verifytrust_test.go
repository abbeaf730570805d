package main

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// house is a publisher: a realm with a key, and what it exports.
type house struct {
	*verifytest.Realm
	key *sealtest.Key
	dir string // where things lie that were fetched
}

func newHouse(t *testing.T, algorithm string) *house {
	t.Helper()
	return &house{Realm: verifytest.New(t), key: sealtest.NewKey(t, algorithm, "release"), dir: t.TempDir()}
}

func (h *house) at(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

func (h *house) put(name string, content []byte) string {
	h.Helper()
	require.NoError(h, os.MkdirAll(filepath.Dir(h.at(name)), 0o700))
	require.NoError(h, os.WriteFile(h.at(name), content, 0o600))
	return h.at(name)
}

// publish writes a file with a bundle by certificate, one by key and a raw signature.
func (h *house) publish(name, content string, edit func(*verifytest.Order)) string {
	h.Helper()
	o := verifytest.Order{Key: h.key, Content: []byte(content), More: 2}
	if edit != nil {
		edit(&o)
	}
	h.put(name+".sigstore.json", h.Bundle(o))
	o.Bare = true
	h.put(name+".sigstore-key.json", h.Bundle(o))
	format, _ := seal.Lookup("raw")
	raw, err := format.Seal(h.Context(), h.key, sealtest.Digests(h, content))
	require.NoError(h, err)
	h.put(name+".sig", raw)
	return h.put(name, []byte(content))
}

// export writes an export of trust as hallmark trust export does; edit changes what it says of the key.
func (h *house) export(edit func(key map[string]any)) string {
	h.Helper()
	spki := verifytest.SPKI(h, h.key.Public())
	key := map[string]any{"name": "release", "lane": "release", "publicKey": spki, "spki": fmt.Sprintf("sha256:%x", sha256.Sum256(spki))}
	if edit != nil {
		edit(key)
	}
	file, err := json.Marshal(map[string]any{
		"mediaType": "application/vnd.hallmark.trust.v1+json", "exported": verifytest.Now, "issuer": verifytest.Issuer, "identities": []any{map[string]string{"uri": verifytest.Identity, "lane": "release"}}, "keys": []any{key},
	})
	require.NoError(h, err)
	h.put("trust/hallmark-trust.json", file)
	h.put("trust/trusted_root.json", h.TrustedRoot())
	h.put("trust/keys/release.pem", h.key.PEM(h))
	chain := func(all ...*verifytest.CA) (text []byte) {
		for _, c := range all {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		return text
	}
	h.put("trust/ca.pem", chain(h.IssuingCA, h.RootCA))
	h.put("trust/tsa.pem", chain(h.ClockLeaf, h.ClockCA))
	return h.at("trust")
}

// verify runs the command with -o json and decodes its answer.
func (h *house) verify(t *testing.T, code int, args ...string) (v struct {
	verification
	Files    []verification `json:"files"`
	Unsigned []string       `json:"unsigned"`
}) {
	t.Helper()
	r := command(t, append([]string{"verify", "-o", "json"}, args...)...)
	require.Equal(t, code, r.code, r.out+r.err)
	require.NoError(t, json.Unmarshal([]byte(r.out), &v), r.out)
	return v
}

func TestVerifyLevels(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "P-256")
	file := h.publish("app.tgz", "bytes", nil)
	trust := h.export(nil)
	v := h.verify(t, exitOK, file, "--trust", trust, "--min-level", "3")
	require.Equal(t, 3, v.Level)
	require.Equal(t, verifytest.Now, v.Proof.At.UTC())
	require.Equal(t, verifytest.Identity, v.Proof.Identity)
	require.Len(t, v.Signatures, 3)
	text := command(t, "verify", file, "--trust", trust)
	require.Equal(t, exitOK, text.code)
	for _, words := range []string{"VERIFIED", "trust level 3", "signed at 2026-06-01T12:00:00Z", "the root Example root", "the log " + verifytest.Origin, "for " + verifytest.Identity, "Example clock"} {
		require.Contains(t, text.out, words)
	}

	v = h.verify(t, exitOK, file, "--trusted-root", h.at("trust/trusted_root.json"), "--identity", verifytest.Identity, "--issuer", verifytest.Issuer)
	require.Equal(t, 3, v.Level)
	v = h.verify(t, exitOK, file, "--trusted-root", h.at("trust/trusted_root.json"), "--identity-regexp", ".*/configurations/.*", "--issuer-regexp", "https://.*")
	require.Equal(t, 3, v.Level)
	v = h.verify(t, exitOK, file, "--trusted-root", h.at("trust/trusted_root.json"), "--key", h.at("trust/keys/release.pem"))
	require.Equal(t, 3, v.Level)
	v = h.verify(t, exitOK, file, "--key", h.at("trust/keys/release.pem"))
	require.Equal(t, 2, v.Level)
	v = h.verify(t, exitRefused, file, "--key", h.at("trust/keys/release.pem"), "--min-level", "3")
	require.Equal(t, 2, v.Level)
	require.Equal(t, reason.TrustLevelLow, v.Reasons[0].Code)
	require.Contains(t, v.Reasons[0].Fix, "--trust")

	v = h.verify(t, exitRefused, file, "--trusted-root", h.at("trust/trusted_root.json"), "--identity", verifytest.Identity+"2", "--issuer", verifytest.Issuer)
	require.Equal(t, 0, v.Level)
	require.Equal(t, reason.CertificateUntrusted, v.Reasons[0].Code)
	require.NotEmpty(t, v.Reasons[0].Fix)

	// What is said about a file beside its signatures is looked at, and is no signature.
	vsa, _ := seal.Lookup("vsa")
	said, err := seal.SealAll(t.Context(), h.key, sealtest.Digests(t, "bytes"), []seal.Format{vsa}, seal.Context{Summary: sealtest.Summary()})
	require.NoError(t, err)
	h.put("app.tgz.vsa.json", said["vsa"])
	v = h.verify(t, exitOK, file, "--trust", trust)
	require.Contains(t, v.Signatures, signatureFile{File: file + ".vsa.json", Format: "vsa", Level: 2, Attests: true})
	h.put("other", []byte("bytes"))
	h.put("other.vsa.json", said["vsa"])
	v = h.verify(t, exitRefused, h.at("other"), "--trust", trust)
	require.Equal(t, reason.SignatureMissing, v.Reasons[0].Code)

	require.NoError(t, os.Remove(file+".sigstore.json"))
	v = h.verify(t, exitRefused, file, "--trust", trust, "--min-level", "3")
	require.Contains(t, v.Reasons[0].Found, "level 2: the key is named, and there is no certificate")
	v = h.verify(t, exitOK, file, "--trust", trust)
	require.Equal(t, verifytest.Now, v.Proof.At.UTC(), "dated by the better of the two")
}

// Every cause has its own code and a remedy, the same as the gate's.
func TestVerifyRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order func(h *house, o *verifytest.Order)
		key   func(map[string]any)
		code  reason.Code
	}{
		"clock":       {order: func(_ *house, o *verifytest.Order) { o.Stamp.Of = []byte("x") }, code: reason.TimestampInvalid},
		"log":         {order: func(_ *house, o *verifytest.Order) { o.Entry = func(e *verifytest.Entry) { e.Proof.Hashes[0][0] ^= 1 } }, code: reason.LogProofInvalid},
		"expired":     {order: func(_ *house, o *verifytest.Order) { o.Stamp.At = verifytest.Now.AddDate(0, 0, 3) }, code: reason.CertificateExpired},
		"promise":     {order: func(_ *house, o *verifytest.Order) { o.Leaf.Promise = &verifytest.Promise{} }, code: reason.CertificateUntrusted},
		"identity":    {order: func(_ *house, o *verifytest.Order) { o.Leaf.Identities = []string{"https://evil.example"} }, code: reason.CertificateUntrusted},
		"distrusted":  {key: func(k map[string]any) { k["distrusted"] = verifytest.Now }, code: reason.KeyDistrusted},
		"retired":     {key: func(k map[string]any) { k["retired"] = verifytest.Now.Add(-time.Hour) }, code: reason.KeyRetired},
		"not yet":     {key: func(k map[string]any) { k["from"] = verifytest.Now.Add(time.Hour) }, code: reason.KeyNotYet},
		"development": {key: func(k map[string]any) { k["lane"] = "development" }, code: reason.KeyDevelopment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "P-256")
			file := h.publish("app.tgz", "bytes", func(o *verifytest.Order) {
				if c.order != nil {
					c.order(h, o)
				}
			})
			v := h.verify(t, exitRefused, file, "--trust", h.export(c.key), "--bundle", file+".sigstore.json")
			require.Equal(t, 0, v.Level)
			require.Equal(t, c.code, v.Reasons[0].Code, v.Reasons[0].Found)
			require.NotEmpty(t, v.Reasons[0].Fix)
			require.NotEmpty(t, v.Reasons[0].Who)
			require.Contains(t, remedies, c.code)
			if name == "development" {
				h.verify(t, exitOK, file, "--trust", h.at("trust"), "--lane", "any")
				h.verify(t, exitOK, file, "--trust", h.at("trust"), "--lane", "development")
				r := command(t, "verify", file, "--trust", h.at("trust"), "--lane", "developement")
				require.Equal(t, exitUndecided, r.code)
				require.Contains(t, r.err, `--lane "developement" is unknown: one of release, development, any`)
				v := h.verify(t, exitRefused, file, "--trust", h.export(nil), "--lane", "development", "--bundle", file+".sigstore.json")
				require.Contains(t, v.Reasons[0].Fix, "leave --lane out")
			}
		})
	}
}

func TestVerifyFolders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "P-256")
	trust := h.export(nil)
	h.publish("dl/a/app.tgz", "one", nil)
	h.publish("dl/b/app", "two", nil)
	h.publish("dl/b/app.tgz", "three", nil) // whose signature files are none of app's
	h.put("dl/b/readme", []byte("x"))
	require.NoError(t, os.Symlink(h.at("dl"), h.at("dl/a/loop")))
	v := h.verify(t, exitOK, h.at("dl"), "--trust", trust, "--min-level", "3")
	require.Equal(t, []string{h.at("dl/b/readme")}, v.Unsigned)
	var files []string
	for _, f := range v.Files {
		files = append(files, f.File)
		require.Equal(t, 3, f.Level)
		require.Len(t, f.Signatures, 3)
	}
	require.Equal(t, []string{h.at("dl/a/app.tgz"), h.at("dl/b/app"), h.at("dl/b/app.tgz")}, files)
	text := command(t, "verify", h.at("dl"), "--trust", trust)
	require.Contains(t, text.out, "3 files verified, 0 refused; 1 have no signature files and were not checked (--all refuses them)")

	v = h.verify(t, exitRefused, h.at("dl"), "--trust", trust, "--all")
	require.Equal(t, reason.SignatureMissing, v.Files[3].Reasons[0].Code)
	h.put("dl/b/app", []byte("tampered"))
	v = h.verify(t, exitRefused, h.at("dl"), h.at("dl/a/app.tgz"), "--trust", trust)
	require.Equal(t, []bool{true, false, true, true}, []bool{v.Files[0].Verified, v.Files[1].Verified, v.Files[2].Verified, v.Files[3].Verified})

	r := command(t, "verify", h.at("trust"), "--trust", trust)
	require.Equal(t, exitUndecided, r.code, "nothing was checked: that is no yes")
}

func TestVerifyChecksums(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "P-256")
	trust := h.export(nil)
	h.publish("dl/app.tgz", "one", nil)
	h.put("dl/notes", []byte("two"))
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	list := sum("one") + "  app.tgz\n" + sum("two") + " *notes\n"
	sums := h.put("dl/SHA256SUMS", []byte(list))

	v := h.verify(t, exitOK, "--checksums", sums)
	require.Equal(t, []int{1, 1}, []int{v.Files[0].Level, v.Files[1].Level}, "nobody is believed but the list")
	v = h.verify(t, exitRefused, "--checksums", sums, "--trust", trust)
	require.Equal(t, []int{3, 1}, []int{v.Files[0].Level, v.Files[1].Level})
	require.Equal(t, reason.TrustLevelLow, v.Files[1].Reasons[0].Code)
	h.verify(t, exitOK, "--checksums", sums, "--trust", trust, "--min-level", "1")
	v = h.verify(t, exitOK, "--checksums", sums, "--trust", trust, h.at("dl/app.tgz"))
	require.Len(t, v.Files, 1)
	require.Equal(t, exitUndecided, command(t, "verify", "--checksums", sums, h.at("dl/other")).code)

	h.publish("dl/SHA256SUMS", list, nil) // a signed list speaks for what is in it
	v = h.verify(t, exitOK, "--checksums", sums, "--trust", trust, "--min-level", "3")
	require.Equal(t, []int{3, 3}, []int{v.Files[0].Level, v.Files[1].Level})
	h.put("dl/notes", []byte("tampered"))
	v = h.verify(t, exitRefused, "--checksums", sums, "--trust", trust)
	require.Equal(t, reason.DigestMismatch, v.Files[1].Reasons[0].Code)
	require.Equal(t, 0, v.Files[1].Level)
	require.NoError(t, os.Remove(h.at("dl/notes")))
	r := command(t, "verify", "--checksums", sums, "--trust", trust)
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.out, "undecided")
	require.Contains(t, r.out, "1 files verified, 1 refused")
}

func TestVerifyAsksForWhatItNeeds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "P-256")
	trust, file := h.export(nil), h.publish("app.tgz", "one", nil)
	root := h.at("trust/trusted_root.json")
	for says, args := range map[string][]string{
		"nothing to check":                        {"--trust", trust},
		"nobody to believe":                       {file},
		"needs --identity and --issuer":           {file, "--trusted-root", root},
		"an identity without an issuer":           {file, "--trusted-root", root, "--identity", "x"},
		"they go with --trusted-root":             {file, "--key", "x", "--identity", "x", "--issuer", "y"},
		"--identity-regexp":                       {file, "--trusted-root", root, "--identity-regexp", "(", "--issuer", "y"},
		"none of the others can be":               {file, "--trusted-root", root, "--trust", trust},
		"there are the levels 1, 2 and 3":         {file, "--trust", trust, "--min-level", "4"},
		"reading the export of trust":             {file, "--trust", h.dir},
		"unusable trust material":                 {file, "--trusted-root", file, "--key", h.at("trust/keys/release.pem")},
		"--bundle is of one file":                 {file, file, "--trust", trust, "--bundle", "x.sig"},
		"--all is about directories":              {"--checksums", file, "--all"},
		"line 1 is no checksum":                   {"--checksums", file},
		"reading the list of checksums: open /no": {"--checksums", "/no"},
	} {
		r := command(t, append([]string{"verify"}, args...)...)
		require.Equal(t, exitUndecided, r.code, says)
		require.Contains(t, r.err, says)
		require.Empty(t, r.out)
	}
}

// What --second-opinion prints runs as it is printed, in a shell, without a network and with an empty home, and says no to what
// was tampered with.
func TestSecondOpinion(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, algorithm)
			file := h.publish("it's here/app 1.tgz", "bytes", nil)
			trust := h.export(nil)
			v := h.verify(t, exitOK, file, "--trust", trust, "--second-opinion")
			script := strings.Join(v.SecondOpinion, "\n")
			require.NotContains(t, script, "insecure")
			for _, words := range []string{"cosign verify-blob", "--certificate-identity", "--key", "openssl verify", "openssl ts -verify", "openssl dgst"} {
				require.Contains(t, script, words)
			}
			require.Equal(t, 2, strings.Count(script, "cosign "))
			out, err := offline(t, tooltest.Cosign(t), script)
			require.NoError(t, err, "%s\n%s", script, out)
			require.Equal(t, 5, strings.Count(out, "Verified OK"), "%s\n%s", script, out)
			require.Contains(t, out, "leaf.pem: OK")
			require.Contains(t, out, "Verification: OK")
			for _, line := range v.SecondOpinion {
				if strings.HasPrefix(line, "cosign") || strings.Contains(line, "-signature") {
					require.NoError(t, os.WriteFile(file, []byte("bytez"), 0o600))
					out, err := offline(t, tooltest.Cosign(t), strings.Join(v.SecondOpinion, "\n")+"\n")
					require.Error(t, err, out)
					break
				}
			}
			text := command(t, "verify", file, "--key", h.at("trust/keys/release.pem"), "--second-opinion")
			require.NotContains(t, text.out, "cosign", "there is no trusted root to give it")
		})
	}
}

// The command itself has no use for a network: in a namespace without interfaces, with an empty home, it answers the same.
func TestVerifyWithoutNetwork(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "P-256")
	file, trust := h.publish("app.tgz", "bytes", nil), h.export(nil)
	for _, c := range []struct {
		level string
		code  int
	}{{"3", exitOK}, {"2", exitOK}} {
		cmd := exec.CommandContext(t.Context(), "unshare", "-rn", os.Args[0], "verify", file, "--trust", trust, "--min-level", c.level)
		cmd.Env = []string{asCommand + "=1", "HOME=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "VERIFIED")
		require.Contains(t, string(out), "trust level 3")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-rn", "cat", "/proc/net/dev")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, 3, strings.Count(string(out), "\n"), "there are no interfaces but the loopback, which is down: %s", out)
}

// offline runs a script that ends with the first command that fails, in a network namespace without interfaces.
func offline(t *testing.T, cosign, script string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t, os.Symlink(cosign, filepath.Join(bin, "cosign")))
	tooltest.OpenSSL(t)
	cmd := exec.CommandContext(t.Context(), "unshare", "-rn", "sh", "-ec", script)
	cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
