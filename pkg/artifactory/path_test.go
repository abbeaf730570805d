package artifactory_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

var awkwardPaths = []string{
	"app.bin", "a/b/c.tgz", "with space/x y.bin", "100%.bin", "%2e%2e/x", "a%2Fb", "a%3Bb=c", "a?b=c", "a#b", "a&b=c", "a+b", "ä/ö/ü.bin", "日本/語",
	"...", ".hidden", "a:properties", "a@b", "a|b", "a\"b", "a<b>", "{a}", "[a]", "a=b,c", "a'b", "~a", "-", "a!b", "a;b", ";a=b", "a/b;x=y/c", "a;b=c.bin",
}

// TestAwkwardPathsArrive: the file is put behind the server's API, so its path owes nothing to our encoding.
func TestAwkwardPathsArrive(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Signer, func(cfg *artifactory.Config) { cfg.PathSemicolon = artifactory.SemicolonEncode })
	for _, p := range awkwardPaths {
		put(t, s, "in/"+p, payload)
		at := ref(t, "in/"+p)
		info, err := c.Info(t.Context(), at)
		require.NoError(t, err, p)
		require.NoError(t, c.Pull(t.Context(), info), p)
		require.NoError(t, c.Merge(t.Context(), at, map[string][]string{"k": {p}}), p)
		require.NoError(t, c.Store(t.Context(), artifact.Attachment{Ref: at.Beside(at.Name() + ".sig"), Content: []byte("sig")}), p)
		f, _ := s.File(testRepo, "in/"+p)
		require.Equal(t, map[string][]string{"k": {p}}, f.Properties, p)
		f, there := s.File(testRepo, "in/"+p+".sig")
		require.True(t, there, p)
		require.Empty(t, f.Properties, p)
	}
}

func TestSemicolonIsRefusedByDefault(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.CI)
	at := ref(t, "a;b=c.bin")
	_, err := c.Info(t.Context(), at)
	require.ErrorIs(t, err, artifactory.ErrPath)
	_, err = c.Read(t.Context(), at, 1)
	require.ErrorIs(t, err, artifactory.ErrPath)
	_, err = c.Properties(t.Context(), at)
	require.ErrorIs(t, err, artifactory.ErrPath)
	require.ErrorIs(t, c.Pull(t.Context(), artifact.Info{Ref: at, SHA256: artifact.Digest{1}}), artifactory.ErrPath)
	require.ErrorIs(t, c.Store(t.Context(), artifact.Attachment{Ref: at}), artifactory.ErrPath)
	require.ErrorIs(t, c.Merge(t.Context(), at, map[string][]string{"a": {"b"}}), artifactory.ErrPath)
	require.Empty(t, s.Requests())
}

func TestEncodedSemicolonIsProbedOnce(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.CI, func(cfg *artifactory.Config) { cfg.PathSemicolon = artifactory.SemicolonEncode })
	s.Fail(standin.Fault{Status: 503, Times: -1})
	err := c.Store(t.Context(), artifact.Attachment{Ref: ref(t, "a;b"), Content: []byte("x")})
	require.True(t, artifactory.Temporary(err), "an unanswered probe says nothing: %v", err)

	s, c = house(t, artifactorytest.CI, func(cfg *artifactory.Config) { cfg.PathSemicolon = artifactory.SemicolonEncode })
	require.NoError(t, c.Store(t.Context(), artifact.Attachment{Ref: ref(t, "a;b"), Content: []byte("x")}))
	require.NoError(t, c.Store(t.Context(), artifact.Attachment{Ref: ref(t, "a;c"), Content: []byte("x")}))
	require.Equal(t, 2, s.CountRequests("GET", "/"))
}

// FuzzPath: whatever NewRef accepts arrives as exactly that item or is refused, and never sets a property. Two
// servers are tried, which read %3B as part of a name and as the start of a parameter; both ways of PathSemicolon.
func FuzzPath(f *testing.F) {
	for _, p := range awkwardPaths {
		for i := range 4 {
			f.Add(p, i&1 != 0, i&2 != 0)
		}
	}
	type house struct {
		server *standin.Server
		client *artifactory.Client
	}
	houses := map[[2]bool]house{}
	for _, matrix := range []bool{false, true} {
		quirks := standin.Quirks{}
		if matrix {
			quirks.EncodedSemicolon = "matrix"
		}
		s := artifactorytest.Start(f, standin.Config{Quirks: quirks})
		for _, encode := range []bool{false, true} {
			token := secret(f, artifactorytest.CI)
			houses[[2]bool{matrix, encode}] = house{s, newClient(f, s.URL(), func(cfg *artifactory.Config) {
				cfg.Token = token
				if encode {
					cfg.PathSemicolon = artifactory.SemicolonEncode
				}
			})}
		}
	}
	var runs atomic.Int64
	f.Fuzz(func(t *testing.T, path string, matrix, encode bool) {
		h := houses[[2]bool{matrix, encode}]
		repo := fmt.Sprintf("r%d", runs.Add(1))
		at, err := artifact.NewRef("main", repo, path)
		if err != nil {
			return
		}
		require.NoError(t, h.server.AddRepository(standin.Repository{Key: repo}))
		err = h.client.Store(t.Context(), artifact.Attachment{Ref: at, Content: []byte(path)})
		if err != nil {
			require.ErrorIs(t, err, artifactory.ErrPath, "%q", path)
			require.True(t, strings.Contains(path, ";") && (matrix || !encode) || strings.Contains(path, "!/"), "%q was refused without need", path)
			require.Empty(t, itemsOf(t, h.server, repo), "%q", path)
			return
		}
		file, there := h.server.File(repo, path)
		require.True(t, there, "%q is not there", path)
		require.Empty(t, file.Properties, "%q set a property", path)
		require.Len(t, itemsOf(t, h.server, repo), strings.Count(path, "/")+1, "%q made other items", path)

		info, err := h.client.Info(t.Context(), at)
		require.NoError(t, err)
		require.NoError(t, h.client.Pull(t.Context(), info))
		raw, err := h.client.Read(t.Context(), at, 4096)
		require.NoError(t, err)
		require.Equal(t, path, string(raw))
		require.NoError(t, h.client.Merge(t.Context(), at, map[string][]string{"k": {"v"}}))
		file, _ = h.server.File(repo, path)
		require.Equal(t, map[string][]string{"k": {"v"}}, file.Properties)
	})
}

// itemsOf lists every file and folder of a repository, with requests that owe nothing to the client under test.
func itemsOf(t *testing.T, s *standin.Server, repo string) []string {
	t.Helper()
	var all []string
	var walk func(path string)
	walk = func(path string) {
		target := strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/artifactory/api/storage/"+repo+target, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, target)
		var doc struct {
			Children []struct {
				URI    string `json:"uri"`
				Folder bool   `json:"folder"`
			} `json:"children"`
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&doc))
		for _, c := range doc.Children {
			all = append(all, path+c.URI)
			if c.Folder {
				walk(path + c.URI)
			}
		}
	}
	walk("")
	return all
}
