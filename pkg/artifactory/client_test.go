package artifactory_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const (
	testToken = "s3cr3t-t0ken-of-the-signer"
	testRepo  = "libs-staging-local"
)

// secret writes a secret to a file of its own.
func secret(t testing.TB, value string) artifactory.SecretFile {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(value+"\n"), 0o600))
	return artifactory.SecretFile{File: file}
}

// newClient makes a client of the server at url, as changed by the given functions.
func newClient(t testing.TB, url string, change ...func(*artifactory.Config)) *artifactory.Client {
	t.Helper()
	return newClientWith(t, prometheus.NewRegistry(), url, change...)
}

func newClientWith(t testing.TB, reg prometheus.Registerer, url string, change ...func(*artifactory.Config)) *artifactory.Client {
	t.Helper()
	cfg := artifactory.Config{Name: "main", URL: url, Token: secret(t, testToken)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := artifactory.New(cfg, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: reg})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func ref(t testing.TB, path string) artifact.Ref {
	t.Helper()
	r, err := artifact.NewRef("main", testRepo, path)
	require.NoError(t, err)
	return r
}
