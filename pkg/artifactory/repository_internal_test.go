package artifactory

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// What is remembered gets old, and never more than a bound.
func TestMemoryOfRepositories(t *testing.T) {
	t.Parallel()
	class := "local"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(r.URL.Path, "/api/repositories/")
		fmt.Fprintf(w, `{"key":%q,"rclass":%q,"packageType":"generic"}`, key, class)
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("t"), 0o600))
	c, err := New(Config{Name: "main", URL: srv.URL, Token: SecretFile{File: file}}, Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	defer c.Close()
	now := time.Now()
	c.repositories.now = func() time.Time { return now }
	ask := func() string {
		r, err := c.Repository(context.Background(), "libs")
		require.NoError(t, err)
		return string(r.Class)
	}
	require.Equal(t, "local", ask())
	class = "virtual"
	now = now.Add(repositoryAge - time.Second)
	require.Equal(t, "local", ask())
	now = now.Add(time.Second)
	require.Equal(t, "virtual", ask())

	for n := len(c.repositories.known); n < maxRemembered; n++ {
		c.repositories.known[fmt.Sprint("x", n)] = repository{}
	}
	_, err = c.Repository(context.Background(), "one-more")
	require.NoError(t, err)
	require.Len(t, c.repositories.known, 1)
}

// A list that is closed to the token is not remembered, and what is not known of a repository for moments only.
func TestMemoryOfWhatIsClosed(t *testing.T) {
	t.Parallel()
	open := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, asked, _ := strings.Cut(r.URL.Path, "/api/"); {
		case strings.HasPrefix(asked, "storage/"):
			fmt.Fprintf(w, `{"repo":%q,"path":"/","children":[]}`, strings.TrimPrefix(asked, "storage/"))
		case asked == "repositories" && open:
			fmt.Fprint(w, `[{"key":"images","type":"LOCAL","packageType":"Docker"},{"key":"others","type":"LOCAL","packageType":"Docker"}]`)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("t"), 0o600))
	c, err := New(Config{Name: "main", URL: srv.URL, Token: SecretFile{File: file}}, Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	defer c.Close()
	now := time.Now()
	c.repositories.now = func() time.Time { return now }
	ask := func(key string) string {
		r, err := c.Repository(context.Background(), key)
		require.NoError(t, err)
		return r.Package
	}
	require.Empty(t, ask("images"))
	open = true
	require.Equal(t, "docker", ask("others"))
	now = now.Add(unknownAge)
	require.Equal(t, "docker", ask("images"))
}
