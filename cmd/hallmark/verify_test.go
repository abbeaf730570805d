package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// signed writes a file, its signature files by the key, and the public key; it returns the directory.
func signed(t *testing.T, key *sealtest.Key, name, content string) string {
	t.Helper()
	dir := write(t, map[string]string{name: content})
	sign(t, key, dir, name, "", true)
	key.WritePEM(t, dir, "release.pub")
	return dir
}

// sign writes the signature files of one key beside a file.
func sign(t *testing.T, key *sealtest.Key, dir, name, keyName string, first bool) {
	t.Helper()
	content, err := os.Open(filepath.Join(dir, name))
	require.NoError(t, err)
	digests, err := verify.Hash(content, key.Public())
	require.NoError(t, err)
	require.NoError(t, content.Close())
	for _, f := range []string{"sigstore", "raw"} {
		format, _ := seal.Lookup(f)
		made, err := format.Seal(t.Context(), key, seal.Digests(digests))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, seal.FileName(name, f, keyName, first)), made, 0o600))
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key, other := sealtest.NewKey(t, algorithm, "release"), sealtest.NewKey(t, "P-256", "other")
			dir := signed(t, key, "app.tgz", "bytes")
			at := func(name string) string { return filepath.Join(dir, name) }
			verify := func(code int, args ...string) verification {
				t.Helper()
				r := command(t, append([]string{"verify", "-o", "json", "--key", at("release.pub")}, args...)...)
				require.Equal(t, code, r.code, r.out+r.err)
				var v verification
				if code != exitUndecided {
					require.NoError(t, json.Unmarshal([]byte(r.out), &v))
					require.Equal(t, code == exitOK, v.Verified)
					require.Equal(t, code == exitOK, len(v.Reasons) == 0)
				}
				return v
			}
			require.Len(t, verify(exitOK, at("app.tgz")).Signatures, 2)
			require.Len(t, verify(exitOK, at("app.tgz"), "--bundle", at("app.tgz.sig")).Signatures, 1)

			// Files by other keys, and of other files, do not count and do not harm.
			sign(t, other, dir, "app.tgz", "other", false)
			require.NoError(t, os.WriteFile(at("app.tgz.asc.sig"), []byte("something else"), 0o600))
			v := verify(exitOK, at("app.tgz"))
			require.Len(t, v.Signatures, 5)
			require.Contains(t, v.Signatures, signatureFile{File: at("app.tgz.other.sigstore.json"), Format: "sigstore", Problem: reason.SignatureWrongKey})
			text := command(t, "verify", at("app.tgz"), "--key", at("release.pub"))
			require.Equal(t, exitOK, text.code)
			require.Contains(t, text.out, "VERIFIED")
			require.Contains(t, text.out, "other     "+at("app.tgz.other.sigstore.json")+" (signature-wrong-key)")

			// Nor do those that cannot be read, unless they were named.
			require.NoError(t, os.Symlink(at("nowhere"), at("app.tgz.gone.sig")))
			require.NoError(t, os.WriteFile(at("app.tgz.large.sig"), make([]byte, maxSignatureFile+1), 0o600))
			v = verify(exitOK, at("app.tgz"))
			for _, name := range []string{"app.tgz.gone.sig", "app.tgz.large.sig"} {
				require.Contains(t, v.Signatures, signatureFile{File: at(name), Format: "raw", Problem: reason.SignatureInvalid})
				verify(exitUndecided, at("app.tgz"), "--bundle", at(name))
				require.NoError(t, os.Remove(at(name)))
			}

			// One by a further key is enough, too.
			require.NoError(t, os.Rename(at("app.tgz.sigstore.json"), at("app.tgz.release.sigstore.json")))
			require.NoError(t, os.Remove(at("app.tgz.sig")))
			verify(exitOK, at("app.tgz"))
			other.WritePEM(t, dir, "other.pub")
			require.Equal(t, exitOK, command(t, "verify", at("app.tgz"), "--key", at("other.pub")).code)

			// Tampered.
			require.NoError(t, os.WriteFile(at("app.tgz"), []byte("bytez"), 0o600))
			v = verify(exitRefused, at("app.tgz"))
			require.Len(t, v.Reasons, 4)
			codes := map[reason.Code]bool{}
			for _, why := range v.Reasons {
				codes[why.Code] = true
				require.NotEmpty(t, why.Fix)
			}
			require.True(t, codes[reason.SignatureWrongBytes])
		})
	}
}

func TestVerifyWithoutProof(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	dir := signed(t, key, "app.tgz", "bytes")
	at := func(name string) string { return filepath.Join(dir, name) }
	sealtest.NewKey(t, "P-256", "other").WritePEM(t, dir, "other.pub")
	for name, content := range map[string]string{
		"lonely": "no signature", "broken.sig": "", "broken": "x", "no.pub": "no key", "app.txt": "x",
		"private.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		require.NoError(t, os.WriteFile(at(name), []byte(content), 0o600))
	}
	require.NoError(t, os.Symlink(at("nowhere"), at("broken.gone.sig")))
	for name, c := range map[string]struct {
		file, key, bundle string
		code              int
		says              string
	}{
		"wrong key":            {"app.tgz", "other.pub", "", 1, "signature-wrong-key"},
		"no signature":         {"lonely", "release.pub", "", 1, "signature-missing"},
		"empty signature":      {"broken", "release.pub", "", 1, "signature-invalid"},
		"of another file":      {"lonely", "release.pub", "app.tgz.sigstore.json", 1, "signature-wrong-bytes"},
		"file missing":         {"nothing", "release.pub", "", 2, "no such file"},
		"folder":               {".", "release.pub", "", 1, "1 files verified, 1 refused; 6 have no signature files"},
		"folder, one bundle":   {".", "release.pub", "app.tgz.sigstore.json", 2, "--bundle is of one file"},
		"key missing":          {"app.tgz", "nothing", "", 2, "reading the public key"},
		"no key":               {"app.tgz", "no.pub", "", 2, "BEGIN PUBLIC KEY"},
		"private key":          {"app.tgz", "private.pem", "", 2, "BEGIN PUBLIC KEY"},
		"bundle missing":       {"app.tgz", "release.pub", "nothing.sig", 2, "no such file"},
		"bundle of other name": {"app.tgz", "release.pub", "app.txt", 2, "no signature file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"verify", at(c.file), "--key", at(c.key)}
			if c.bundle != "" {
				args = append(args, "--bundle", at(c.bundle))
			}
			r := command(t, args...)
			require.Equal(t, c.code, r.code, r.out+r.err)
			require.Contains(t, r.out+r.err, c.says)
			require.Equal(t, name == "folder", strings.Contains(r.out, "VERIFIED"))
		})
	}
}

// Only regular files are read when nobody named them: a pipe that is called like a signature file holds nobody up, and
// keeps no other file from proving. A pipe that the user names is read.
func TestVerifyDoesNotWaitForPipes(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	dir := signed(t, key, "app.tgz", "bytes")
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(at("app.tgz.pipe.sig"), 0o600))
	require.NoError(t, os.Symlink(at("app.tgz.pipe.sig"), at("app.tgz.link.sig")))
	require.NoError(t, os.Symlink("/dev/zero", at("app.tgz.device.sigstore.json")))
	verify := func(args ...string) result {
		t.Helper()
		done := make(chan result, 1)
		go func() {
			done <- command(t, append([]string{"verify", at("app.tgz"), "--key", at("release.pub")}, args...)...)
		}()
		select {
		case r := <-done:
			return r
		case <-time.After(30 * time.Second):
			t.Fatal("it waits for the pipe's writer")
			return result{}
		}
	}
	r := verify()
	require.Equal(t, exitOK, r.code, r.out+r.err)
	for _, name := range []string{"app.tgz.pipe.sig", "app.tgz.link.sig", "app.tgz.device.sigstore.json"} {
		require.Contains(t, r.out, "other     "+at(name)+" (signature-invalid)")
	}

	proof, err := os.ReadFile(at("app.tgz.sig"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(at("app.tgz.sig")))
	require.NoError(t, os.Remove(at("app.tgz.sigstore.json")))
	r = verify()
	require.Equal(t, exitRefused, r.code, r.out+r.err)
	require.Contains(t, r.out, at("app.tgz.pipe.sig")+" is not a regular file")

	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(at("app.tgz.pipe.sig"), proof, 0) }()
	r = verify("--bundle", at("app.tgz.pipe.sig"))
	require.Equal(t, exitOK, r.code, r.out+r.err)
	require.NoError(t, <-wrote)
}
