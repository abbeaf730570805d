package judges_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const built = "what was built"

// desk is a directory as a verifier has it after a download, and nothing else of ours.
type desk struct {
	t        *testing.T
	dir      string
	identity string
	issuer   string
}

// sealed signs bytes as the service does, summary included.
func sealed(t *testing.T, r *notarytest.Realm, key *sealtest.Key, content string, formats ...string) map[string][]byte {
	t.Helper()
	d := digests(t, key.Public(), content)
	use := r.Begin(key, d.SHA256(), formats...)
	c := use.Context()
	c.Summary = sealtest.Summary()
	c.Summary.Verifier, c.Summary.PolicyDigest = r.Issuer, artifact.Digest{9}
	files, err := seal.SealAll(t.Context(), key, d, notarytest.Formats(t, formats...), c)
	require.NoError(t, err)
	require.NoError(t, seal.VerifyAll(key.Public(), d, files))
	use.Keep(files)
	return files
}

func digests(t *testing.T, pub crypto.PublicKey, content string) seal.Digests {
	t.Helper()
	d, err := seal.NewDigester(pub)
	require.NoError(t, err)
	_, _ = d.Write([]byte(content))
	return d.Digests()
}

// newDesk has app.tgz with every signature file of it.
func newDesk(t *testing.T, r *notarytest.Realm, key *sealtest.Key) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), identity: r.Issuer + "/keys/" + key.Name(), issuer: r.Issuer}
	d.write("app.tgz", []byte(built))
	for format, content := range sealed(t, r, key, built, seal.FormatsOf(artifact.KindFile)...) {
		d.write(seal.FileName("app.tgz", format, "", true), content)
	}
	key.WritePEM(t, d.dir, "release.pub")
	d.write("trusted_root.json", r.TrustedRoot())
	for name, c := range map[string]*x509.Certificate{"root.pem": r.Chains.Issuing[1], "ca.pem": r.Chains.Issuing[0], "tsa.pem": r.Chains.Time[0]} {
		d.write(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return d
}

func (d *desk) write(name string, content []byte) {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(filepath.Join(d.dir, name), content, 0o600))
}

func (d *desk) read(name string) []byte {
	d.t.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	require.NoError(d.t, err)
	return content
}

// get is a value of a bundle; its bytes where it is base64.
func (d *desk) get(bundle string, path ...string) []byte {
	d.t.Helper()
	v := sealtest.Get(d.t, d.read(bundle), path...)
	if text, ok := v.(string); ok {
		b, err := base64.StdEncoding.DecodeString(text)
		require.NoError(d.t, err)
		return b
	}
	b, err := json.Marshal(v)
	require.NoError(d.t, err)
	return b
}

// judge is a program of somebody else, with the arguments that a user types.
type judge struct {
	program string
	args    []string
}

// verdict asks a judge. That it says yes shows in its exit status and in what it prints.
func (d *desk) verdict(j judge, args ...string) (bool, string) {
	d.t.Helper()
	all := append(append([]string{}, j.args...), args...)
	out, err := tooltest.Run(d.t, d.dir, j.program, all...)
	for _, a := range all {
		require.NotContains(d.t, a, "insecure")
	}
	return err == nil, out
}
