package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func publicKey(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key.Public()
}

// publisher serves the files of an export; change may replace some.
func publisher(t *testing.T, files []trust.File, change map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/v1/trust/")
		for _, f := range files {
			if f.Name == name {
				content, ok := change[name]
				if !ok {
					content = string(f.Content)
				}
				w.Header().Set("Content-Type", f.MediaType)
				_, _ = w.Write([]byte(content))
				return
			}
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"title":"Not Found","status":404,"detail":"there is no such file"}`))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func hallmarkTrust(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	r := command(t, append([]string{"trust"}, args...)...)
	return r.out, r.err, r.code
}

func TestTrustExport(t *testing.T) {
	t.Parallel()
	golden := filepath.Join("..", "..", "pkg", "trust", "testdata", "root", "trusted_root.json")
	root, err := os.ReadFile(golden)
	require.NoError(t, err)
	files, err := trust.Export{Root: root, Issuer: "https://hallmark.example", Keys: []trust.ExportedKey{
		{Name: "release-2025", Public: publicKey(t)}, {Name: "release-2026", Public: publicKey(t)},
	}}.Files()
	require.NoError(t, err)
	bare, err := trust.Export{Keys: []trust.ExportedKey{{Name: "release-2026", Public: publicKey(t)}}}.Files()
	require.NoError(t, err)

	dir := filepath.Join(t.TempDir(), "trust")
	stdout, stderr, code := hallmarkTrust(t, "export", dir, "--server", publisher(t, files, nil))
	require.Equal(t, exitOK, code, stderr)
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name))
		require.NoError(t, err)
		require.Equal(t, string(f.Content), string(content))
		require.Contains(t, stdout, "wrote  "+filepath.Join(dir, f.Name)+"\n")
	}

	// What cannot be used takes nothing's place.
	for name, change := range map[string]map[string]string{
		"trusted root":   {"trusted_root.json": "{}"},
		"is not the key": {"keys/release-2025.pem": string(files[len(files)-2].Content)},
		"no PEM file":    {"keys/release-2025.pem": "key"},
		"unknown field":  {"hallmark-trust.json": strings.Replace(string(files[len(files)-1].Content), `"issuer"`, `"except": [], "issuer"`, 1)},
	} {
		_, stderr, code = hallmarkTrust(t, "export", dir, "--server", publisher(t, files, change))
		require.Equal(t, exitUndecided, code)
		require.Contains(t, stderr, name)
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(dir, f.Name))
			require.NoError(t, err)
			require.Equal(t, string(f.Content), string(content))
		}
	}

	stdout, stderr, code = hallmarkTrust(t, "export", dir, "--server", publisher(t, bare, nil), "-o", "json")
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, stdout, `"root": false`)
	require.NoFileExists(t, filepath.Join(dir, "trusted_root.json"), "what is published no more")
	require.NoFileExists(t, filepath.Join(dir, "keys", "release-2025.pem"))

	_, stderr, code = hallmarkTrust(t, "export", dir, "--server", publisher(t, nil, nil))
	require.Equal(t, exitUndecided, code)
	require.Contains(t, stderr, "publishes nothing for verifiers")
}
