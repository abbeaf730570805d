package artifactory_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// mover is a client with every right, against a server with one file.
func mover(t *testing.T, path, token string) (*artifactory.Client, *standin.Server, artifact.Ref, artifact.Ref) {
	t.Helper()
	s := artifactorytest.Start(t, standin.Config{})
	require.NoError(t, s.Put("dev1", artifactorytest.Staging, path, strings.NewReader("bytes"), map[string][]string{"team": {"core"}}))
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	c, err := artifactory.New(artifactory.Config{Name: "main", URL: s.URL(), Token: artifactory.SecretFile{File: file}, Retries: 1, PathSemicolon: "encode"},
		artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	at := func(repo string) artifact.Ref { return artifact.Ref{Instance: "main", Repo: repo, Path: path} }
	return c, s, at(artifactorytest.Staging), at(artifactorytest.Release)
}

func TestCopyAnyPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"a.tgz", "app/1 2/ü+#&=?%25 b.tgz", "a;b=c.tgz", strings.Repeat("n", 200) + ".tgz"} {
		c, s, from, to := mover(t, path, artifactorytest.CI)
		require.NoError(t, c.Copy(t.Context(), from, to))
		f, ok := s.File(to.Repo, path)
		require.True(t, ok, path)
		require.Equal(t, []string{"core"}, f.Properties["team"])
		require.Len(t, f.Properties, 1, "the path set a property")
		_, ok = s.File(from.Repo, path)
		require.True(t, ok)
	}
}

func TestCopyFails(t *testing.T) {
	t.Parallel()
	c, _, from, to := mover(t, "a.tgz", artifactorytest.Reader)
	refused := &artifactory.Refused{}
	require.ErrorAs(t, c.Copy(t.Context(), from, to), &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	c, s, from, to := mover(t, "a.tgz", artifactorytest.CI)
	missing := from
	missing.Path = "b.tgz"
	require.ErrorIs(t, c.Copy(t.Context(), missing, to), artifact.ErrGone)
	// Messages of copies have a form of their own.
	s.Fail(standin.Fault{Method: http.MethodPost, Status: http.StatusConflict, Body: `{"messages":[{"level":"ERROR","message":"the target is full"}]}`})
	require.ErrorContains(t, c.Copy(t.Context(), from, to), "409 Conflict: the target is full")
	s.Fail(standin.Fault{Method: http.MethodPost, Status: http.StatusBadGateway})
	require.NoError(t, c.Copy(t.Context(), from, to), "it is repeated")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	c, s, from, _ := mover(t, "a b.tgz", artifactorytest.CI)
	digest := artifact.Attachment{Content: []byte("bytes")}.SHA256()
	require.ErrorIs(t, c.Remove(t.Context(), from, artifact.Digest{1}), artifactory.ErrChanged)
	require.ErrorIs(t, c.Remove(t.Context(), from, artifact.Digest{}), artifactory.ErrChanged)
	folder := from
	folder.Path = "dir"
	require.NoError(t, s.Put("dev1", from.Repo, "dir/x", strings.NewReader("x"), nil))
	require.ErrorIs(t, c.Remove(t.Context(), folder, digest), artifactory.ErrNotFile)
	require.Len(t, s.Paths(from.Repo), 2)

	s.Fail(standin.Fault{Method: http.MethodDelete, When: standin.After, Reset: true}) // done, but nobody was told
	require.NoError(t, c.Remove(t.Context(), from, digest))
	require.Equal(t, []string{"dir/x"}, s.Paths(from.Repo))
	require.NoError(t, c.Remove(t.Context(), from, digest), "it is gone already")

	c, _, from, _ = mover(t, "a.tgz", artifactorytest.Signer)
	refused := &artifactory.Refused{}
	require.ErrorAs(t, c.Remove(t.Context(), from, digest), &refused)
}

func TestFolder(t *testing.T) {
	t.Parallel()
	c, s, from, to := mover(t, "app/1.0/ä #.tgz", artifactorytest.Reader)
	require.NoError(t, s.Put("dev1", from.Repo, "app/b.tgz", strings.NewReader("b"), nil))
	for dir, want := range map[string][]artifactory.Entry{
		"":        {{Name: "app", Folder: true}},
		"app":     {{Name: "1.0", Folder: true}, {Name: "b.tgz"}},
		"app/1.0": {{Name: "ä #.tgz"}},
	} {
		got, err := c.Folder(t.Context(), from.Repo, dir)
		require.NoError(t, err)
		require.ElementsMatch(t, want, got, dir)
	}
	empty, err := c.Folder(t.Context(), to.Repo, "")
	require.NoError(t, err)
	require.Empty(t, empty)
	_, err = c.Folder(t.Context(), from.Repo, "app/b.tgz")
	require.ErrorIs(t, err, artifactory.ErrNotFolder)
	_, err = c.Folder(t.Context(), from.Repo, "none")
	require.ErrorIs(t, err, artifact.ErrGone)
	_, err = c.Folder(t.Context(), from.Repo, "../x")
	require.ErrorIs(t, err, artifactory.ErrPath)
}
