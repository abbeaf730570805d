package trust_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

func exported(r *realm, key *memoryKey) trust.Export {
	return trust.Export{
		Root: r.json, Issuer: r.authority.Issuer(), At: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC),
		Identities: []trust.ExportedIdentity{
			{URI: "https://sign.acme.example/keys/release", Lane: "release"}, {URI: "https://sign.acme.example/configurations/apps", Lane: "release"}, {URI: "https://sign.acme.example/keys/release", Lane: "release"},
		},
		Keys: []trust.ExportedKey{{Name: "release", Lane: "release", Public: key.Public(), From: rootEpoch, Retired: rootEpoch.AddDate(5, 0, 0)}},
	}
}

func fileNames(files []trust.File) []string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

// A directory with an export is all that verifiers need: ours, cosign and openssl.
func TestExport(t *testing.T) {
	t.Parallel()
	r, key := newRealm(t, "sign.acme.example"), newKey(t, elliptic.P256())
	e := exported(r, key)
	files, err := e.Files()
	require.NoError(t, err)
	again, err := e.Files()
	require.NoError(t, err)
	require.Equal(t, files, again, "the same values give the same bytes")
	require.Equal(t, []string{"trusted_root.json", "ca.pem", "tsa.pem", "keys/release.pem", "hallmark-trust.json"}, fileNames(files))

	dir := filepath.Join(t.TempDir(), "made", "anew")
	require.NoError(t, trust.WriteFiles(dir, files))
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.EqualValues(t, 0o644, info.Mode().Perm())
		return content
	}
	believed, err := verify.ReadTrust(read("hallmark-trust.json"), read("trusted_root.json"))
	require.NoError(t, err)
	require.Len(t, believed.Keys, 1)
	require.Equal(t, rootEpoch, believed.Keys[0].From)
	require.Equal(t, []verify.Identity{
		{Issuer: verify.Exactly("https://sign.acme.example"), Subject: verify.Exactly("https://sign.acme.example/configurations/apps"), Lane: "release"},
		{Issuer: verify.Exactly("https://sign.acme.example"), Subject: verify.Exactly("https://sign.acme.example/keys/release"), Lane: "release"},
	}, believed.Identities)
	content := r.seal(t, key, "sigstore", nil)
	sum := sha256.Sum256([]byte(artifactBytes))
	d := verify.Digests{crypto.SHA256: sum[:]}
	finding, err := verify.Artifact(believed, "sigstore", d, content)
	require.NoError(t, err)
	require.Equal(t, verify.LevelCertificate, finding.Level)

	e.Keys[0].Distrusted = rootEpoch
	files, err = e.Files()
	require.NoError(t, err)
	require.NoError(t, trust.WriteFiles(dir, files))
	believed, err = verify.ReadTrust(read("hallmark-trust.json"), read("trusted_root.json"))
	require.NoError(t, err)
	_, err = verify.Artifact(believed, "sigstore", d, content)
	require.ErrorIs(t, err, verify.ErrDistrusted)

	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	// A key that is known by its pin alone is not believed through a certificate either.
	e.Keys, e.Distrusted = nil, []trust.DistrustedPin{{SPKI: sha256.Sum256(spki), From: rootEpoch}}
	files, err = e.Files()
	require.NoError(t, err)
	believed, err = verify.ReadTrust(files[len(files)-1].Content, r.json)
	require.NoError(t, err)
	_, err = verify.Artifact(believed, "sigstore", d, content)
	require.ErrorIs(t, err, verify.ErrDistrusted)
	believed.Distrusted[0].From = believed.Distrusted[0].From.AddDate(100, 0, 0)
	finding, err = verify.Artifact(believed, "sigstore", d, content)
	require.NoError(t, err)
	require.Equal(t, verify.LevelCertificate, finding.Level)

	token := stampOf(t, r, []byte("signature"))
	// The chains are those of the whole root: what a former authority issued is still verified.
	next := newRealm(t, "next.acme.example")
	merged, err := trust.BuildRoot(trust.Material{Former: [][]byte{next.json, r.json}})
	require.NoError(t, err)
	files, err = trust.Export{Root: merged}.Files()
	require.NoError(t, err)
	later := filepath.Join(t.TempDir(), "later")
	require.NoError(t, trust.WriteFiles(later, files))

	for name, args := range map[string][]string{
		"chain":      {"verify", "-CAfile", filepath.Join(dir, "ca.pem"), "-purpose", "any", write(t, "leaf.pem", certificatesPEM(parsed(t, issued(t, r, key, "release"))))},
		"former":     {"verify", "-CAfile", filepath.Join(later, "ca.pem"), "-purpose", "any", write(t, "leaf.pem", certificatesPEM(parsed(t, issued(t, r, key, "release"))))},
		"formerly":   {"ts", "-verify", "-CAfile", filepath.Join(later, "tsa.pem"), "-in", write(t, "tsr", token), "-data", write(t, "sig", []byte("signature"))},
		"time-stamp": {"ts", "-verify", "-CAfile", filepath.Join(dir, "tsa.pem"), "-in", write(t, "tsr", token), "-data", write(t, "sig", []byte("signature"))},
		"key":        {"dgst", "-sha256", "-verify", filepath.Join(dir, "keys", "release.pem"), "-signature", write(t, "sig", key.sign(t, []byte(artifactBytes))), write(t, "app", []byte(artifactBytes))},
	} {
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
	}
}

// Without a trust section there are keys and nothing else; without keys, what there is.
func TestExportOfBareKeys(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	files, err := trust.Export{Keys: []trust.ExportedKey{{Name: "b", Public: key.Public()}, {Name: "a", Public: key.Public()}}}.Files()
	require.NoError(t, err)
	require.Equal(t, []string{"keys/a.pem", "keys/b.pem", "hallmark-trust.json"}, fileNames(files))
	believed, err := verify.ReadTrust(files[2].Content, nil)
	require.NoError(t, err)
	require.Len(t, believed.Keys, 2)
	require.Nil(t, believed.Root)

	for name, e := range map[string]trust.Export{
		"two keys have this name": {Keys: []trust.ExportedKey{{Name: "a", Public: key.Public()}, {Name: "a", Public: key.Public()}}},
		"that of a file":          {Keys: []trust.ExportedKey{{Name: "../a", Public: key.Public()}}},
		"unsupported public key":  {Keys: []trust.ExportedKey{{Name: "a"}}},
		"mediaType":               {Root: []byte("{}")},
	} {
		_, err := e.Files()
		require.ErrorContains(t, err, name)
	}
}

// An export replaces an earlier one and nothing else.
func TestWriteFiles(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	export := func(names ...string) []trust.File {
		var e trust.Export
		for _, n := range names {
			e.Keys = append(e.Keys, trust.ExportedKey{Name: n, Public: key.Public()})
		}
		files, err := e.Files()
		require.NoError(t, err)
		return files
	}
	in := func(dir string) (names []string) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(dir, path)
				names = append(names, rel)
			}
			return err
		}))
		return names
	}
	dir := t.TempDir()
	require.NoError(t, trust.WriteFiles(dir, export("a", "b")))
	require.Equal(t, []string{"hallmark-trust.json", "keys/a.pem", "keys/b.pem"}, in(dir))
	require.NoError(t, trust.WriteFiles(dir, export("b", "c")))
	require.Equal(t, []string{"hallmark-trust.json", "keys/b.pem", "keys/c.pem"}, in(dir))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	require.ErrorContains(t, trust.WriteFiles(dir, export("d")), "notes.txt, which is not part of an export")
	foreign := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "ca.pem"), nil, 0o600))
	require.ErrorContains(t, trust.WriteFiles(foreign, export("d")), "holds no earlier export")
	require.Equal(t, []string{"ca.pem"}, in(foreign))

	for _, name := range []string{"../a.pem", "keys/../../a.pem", "/etc/a", "keys/a", "keys/a/b.pem", "notes.txt", ""} {
		err := trust.WriteFiles(filepath.Join(dir, "never"), []trust.File{{Name: name}})
		require.ErrorContains(t, err, "no name of an exported file", name)
	}

	// A file that cannot be written whole leaves the earlier one as it was.
	blocked := t.TempDir()
	require.NoError(t, trust.WriteFiles(blocked, export("a")))
	require.NoError(t, os.Remove(filepath.Join(blocked, "keys", "a.pem")))
	require.NoError(t, os.Mkdir(filepath.Join(blocked, "keys", "a.pem"), 0o700))
	before, err := os.ReadFile(filepath.Join(blocked, "hallmark-trust.json"))
	require.NoError(t, err)
	require.Error(t, trust.WriteFiles(blocked, export("a", "b")))
	after, err := os.ReadFile(filepath.Join(blocked, "hallmark-trust.json"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Equal(t, []string{"hallmark-trust.json"}, in(blocked))
}
