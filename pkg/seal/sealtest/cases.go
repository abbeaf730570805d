package sealtest

import (
	"crypto"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Case is a question to a verifier: does the content, as a file of the format, prove the bytes under the key? Want is nil
// when it does, else an error of pkg/seal.
type Case struct {
	Name    string
	Format  string
	Key     crypto.PublicKey
	Digests seal.Digests
	Content []byte
	Want    error
}

// Cases are good and hostile signature files of every format. Whatever verifies signatures here is held to them.
func Cases(t testing.TB) []Case {
	t.Helper()
	w := &world{
		TB: t, key: NewKey(t, "P-256", "one"), other: NewKey(t, "P-256", "two"), p384: NewKey(t, "P-384", "one"), rsa: NewKey(t, "RSA-3072", ""),
		bytes: Digests(t, "artifact"), otherBytes: Digests(t, "artifact2"),
	}
	var all []Case
	for format, cases := range map[string]map[string]asked{
		"raw": w.raw(), "sigstore": w.sigstore(), "cosign": w.cosign(), "cosign-tag": w.cosignTag(), "evidence": w.evidence(),
		"sigstore-key": w.sigstoreKey(), "cosign-key": w.cosignKey(), "vsa": w.vsa(),
	} {
		for name, c := range cases {
			all = append(all, Case{format + "/" + name, format, c.key.Public(), c.digests, c.content, c.want})
		}
	}
	return all
}

// Digests are all digests of a text that keys may need.
func Digests(t testing.TB, text string) seal.Digests {
	t.Helper()
	d, err := seal.NewDigester(NewKey(t, "P-256", "any").Public(), NewKey(t, "P-384", "any").Public())
	require.NoError(t, err)
	_, _ = d.Write([]byte(text)) // a hash never fails
	return d.Digests()
}

// world is what the cases are about.
type world struct {
	testing.TB
	key, other, p384, rsa *Key
	bytes, otherBytes     seal.Digests
}

// asked is a case without its format.
type asked struct {
	key     *Key
	digests seal.Digests
	content []byte
	want    error
}

func (w *world) seal(format string, key *Key, d seal.Digests) []byte {
	w.Helper()
	return Seal(w, format, key, d, nil)
}

// Seal makes one file of a format, also of one that needs a summary. A notary may be nil.
func Seal(t testing.TB, format string, key *Key, d seal.Digests, n seal.Notary) []byte {
	t.Helper()
	f, ok := seal.Lookup(format)
	require.True(t, ok)
	made, err := seal.SealAll(t.Context(), key, d, []seal.Format{f}, seal.Context{Notary: n, Summary: Summary()})
	require.NoError(t, err)
	return made[format]
}

// Summary is a verification summary, always the same.
func Summary() *seal.Summary {
	return &seal.Summary{
		Verifier: "https://hallmark.example", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Resource: "artifactory://main/libs-staging-local/app/1.0/app.tgz",
		Policy: "https://hallmark.example/policies/release-binaries", PolicyDigest: artifact.Digest{1, 2, 3},
		Notes:  map[string]string{"event": "artifact/deployed", "rule": "policies/release.yaml:1 (release-binaries)"},
		Inputs: []seal.Input{{URI: "artifactory://main/libs-staging-local/app/1.0/app.tgz.dev-2026.sigstore.json", SHA256: artifact.Digest{4, 5, 6}}},
	}
}

// notarized is the same with certificate, log entry and time-stamp, by the key over the bytes.
func (w *world) notarized(format string) []byte {
	w.Helper()
	return Seal(w, format, w.key, w.bytes, NewNotary(w, w.key))
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// sha256 is all that Artifactory tells of some bytes.
func sha256(d seal.Digests) seal.Digests { return seal.FromSHA256(d.SHA256()) }

// edited replaces old by other in a payload that stands in base64 at path.
func (w *world) edited(doc []byte, old, other string, path ...string) []byte {
	w.Helper()
	payload, err := base64.StdEncoding.DecodeString(Get(w, doc, path...).(string))
	require.NoError(w, err)
	require.Contains(w, string(payload), old)
	return Set(w, doc, []byte(strings.Replace(string(payload), old, other, 1)), path...)
}

// HintOf is how a Sigstore bundle names the key.
func HintOf(t testing.TB, key *Key) string {
	t.Helper()
	f, _ := seal.Lookup("sigstore")
	b, err := f.Seal(t.Context(), key, Digests(t, "any"))
	require.NoError(t, err)
	return Get(t, b, "verificationMaterial", "publicKey", "hint").(string)
}
