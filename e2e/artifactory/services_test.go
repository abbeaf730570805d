package artifactory_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	jfrog "github.com/jfrog/jfrog-client-go/artifactory"
	jfrogauth "github.com/jfrog/jfrog-client-go/artifactory/auth"
	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/jfrog/jfrog-client-go/artifactory/services/utils"
	jfrogconfig "github.com/jfrog/jfrog-client-go/config"
	"github.com/jfrog/jfrog-client-go/utils/io/content"
	jfroglog "github.com/jfrog/jfrog-client-go/utils/log"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestMain(m *testing.M) {
	jfroglog.SetLogger(jfroglog.NewLogger(jfroglog.ERROR, io.Discard)) // global in the library
	os.Exit(m.Run())
}

// The stand-in is judged by JFrog's own services: what they do against Artifactory must work here.

func client(t *testing.T, s *standin.Server, token string) jfrog.ArtifactoryServicesManager {
	t.Helper()
	details := jfrogauth.NewArtifactoryDetails()
	details.SetUrl(s.URL() + "/artifactory/")
	details.SetAccessToken(token)
	cfg, err := jfrogconfig.NewConfigBuilder().SetServiceDetails(details).SetThreads(2).SetHttpRetries(0).Build()
	require.NoError(t, err)
	m, err := jfrog.New(cfg)
	require.NoError(t, err)
	return m
}

// uploaded is a server with one known tree, put there by UploadFiles.
func uploaded(t *testing.T) (*standin.Server, jfrog.ArtifactoryServicesManager, string) {
	t.Helper()
	s := artifactorytest.Start(t, standin.Config{})
	m := client(t, s, artifactorytest.CI)
	dir := t.TempDir()
	for name, size := range map[string]int{"app.tgz": 3000, "app.sig": 90, "big.bin": 200_000} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte(name[:1]), size), 0o600))
	}
	p := services.NewUploadParams()
	p.Pattern, p.Target, p.Flat = filepath.Join(dir, "*"), artifactorytest.Staging+"/org/app/1.0/", true
	props, err := utils.ParseProperties(`team=a,b;note=two words\, one value`)
	require.NoError(t, err)
	p.TargetProps, p.BuildProps = props, "build.name=bld;build.number=7"
	ok, failed, err := m.UploadFiles(jfrog.UploadServiceOptions{FailFast: true}, p)
	require.NoError(t, err)
	require.Equal(t, []int{3, 0}, []int{ok, failed})
	return s, m, dir
}

func search(t *testing.T, m jfrog.ArtifactoryServicesManager, change func(*services.SearchParams)) []utils.ResultItem {
	t.Helper()
	p := services.NewSearchParams()
	p.Recursive = true
	change(&p)
	r, err := m.SearchFiles(p)
	require.NoError(t, err)
	defer r.Close()
	var out []utils.ResultItem
	for item := new(utils.ResultItem); ; item = new(utils.ResultItem) {
		err := r.NextRecord(item)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out = append(out, *item)
	}
}

func names(items []utils.ResultItem) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.GetItemRelativePath())
	}
	slices.Sort(out)
	return out
}

func reader(t *testing.T, items ...utils.ResultItem) *content.ContentReader {
	t.Helper()
	w, err := content.NewContentWriter(content.DefaultKey, true, false)
	require.NoError(t, err)
	for _, i := range items {
		w.Write(i)
	}
	require.NoError(t, w.Close())
	r := content.NewContentReader(w.GetFilePath(), content.DefaultKey)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestServicesUpload(t *testing.T) {
	t.Parallel()
	s, m, dir := uploaded(t)
	f, ok := s.File(artifactorytest.Staging, "org/app/1.0/app.tgz")
	require.True(t, ok)
	want := sha256.Sum256(bytes.Repeat([]byte("a"), 3000))
	require.Equal(t, hex.EncodeToString(want[:]), f.SHA256)
	require.Equal(t, map[string][]string{
		"team": {"a", "b"}, "note": {"two words, one value"}, "build.name": {"bld"}, "build.number": {"7"},
	}, f.Properties)
	require.Equal(t, "ci", f.CreatedBy)

	s.ForgetRequests()
	p := services.NewUploadParams()
	p.Pattern, p.Target, p.Flat = filepath.Join(dir, "big.bin"), artifactorytest.Release+"/copy.bin", true
	ok1, _, err := m.UploadFiles(jfrog.UploadServiceOptions{}, p)
	require.NoError(t, err)
	require.Equal(t, 1, ok1)
	require.Equal(t, 1, s.CountRequests("PUT", ""), "known bytes are deployed by checksum, in one call")
}

func TestServicesSearch(t *testing.T) {
	t.Parallel()
	s, _, _ := uploaded(t)
	// One client each: the library's remembers the server's version without a lock.
	own := func(t *testing.T) jfrog.ArtifactoryServicesManager { return client(t, s, artifactorytest.CI) }
	tests := []struct {
		name   string
		change func(*services.SearchParams)
		want   []string
	}{
		{"pattern", func(p *services.SearchParams) { p.Pattern = "libs-staging-local/org/*" }, []string{"app.sig", "app.tgz", "big.bin"}},
		{"one file", func(p *services.SearchParams) { p.Pattern = "libs-staging-local/org/app/1.0/app.tgz" }, []string{"app.tgz"}},
		{"not recursive", func(p *services.SearchParams) { p.Pattern, p.Recursive = "libs-staging-local/org/*", false }, nil},
		{"exclusions", func(p *services.SearchParams) {
			p.Pattern, p.Exclusions = "libs-staging-local/*", []string{"libs-staging-local/org/*.sig"}
		}, []string{"app.tgz", "big.bin"}},
		{"property", func(p *services.SearchParams) { p.Pattern, p.Props = "libs-staging-local/*", "team=b" }, []string{"app.sig", "app.tgz", "big.bin"}},
		{"other property", func(p *services.SearchParams) { p.Pattern, p.Props = "libs-staging-local/*", "team=c" }, nil},
		{"excluded property", func(p *services.SearchParams) { p.Pattern, p.ExcludeProps = "libs-staging-local/*", "team=a" }, nil},
		{"sorted and limited", func(p *services.SearchParams) {
			p.Pattern, p.SortBy, p.SortOrder, p.Limit = "libs-staging-local/*", []string{"size"}, "desc", 1
		}, []string{"big.bin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, n := range tt.want {
				want = append(want, "libs-staging-local/org/app/1.0/"+n)
			}
			require.Equal(t, want, names(search(t, own(t), tt.change)))
		})
	}
	t.Run("facts", func(t *testing.T) {
		t.Parallel()
		got := search(t, own(t), func(p *services.SearchParams) { p.Pattern = "libs-staging-local/org/app/1.0/app.tgz" })
		f, _ := s.File(artifactorytest.Staging, "org/app/1.0/app.tgz")
		require.Len(t, got, 1)
		require.Equal(t, []any{f.SHA256, f.Size, "file"}, []any{got[0].Sha256, got[0].Size, got[0].Type})
		require.Len(t, got[0].Properties, 5)
	})
	t.Run("sorted with properties in a second query", func(t *testing.T) {
		t.Parallel()
		got := search(t, own(t), func(p *services.SearchParams) { p.Pattern, p.SortBy = "libs-staging-local/*", []string{"name"} })
		require.Len(t, got, 3)
		require.Len(t, got[0].Properties, 5)
	})
}

func TestServicesDownload(t *testing.T) {
	t.Parallel()
	s, m, dir := uploaded(t)
	to := t.TempDir() + "/"
	p := services.NewDownloadParams()
	p.Pattern, p.Target, p.Flat, p.Recursive = "libs-staging-local/org/*", to, true, true
	p.MinSplitSize, p.SplitCount = 50, 3
	ok, failed, err := m.DownloadFiles(p)
	require.NoError(t, err)
	require.Equal(t, []int{3, 0}, []int{ok, failed})
	for _, name := range []string{"app.tgz", "app.sig", "big.bin"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(to + name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	parts := 0
	for _, r := range s.Requests() {
		if r.Status == 206 {
			parts++
		}
	}
	require.Equal(t, 3, parts, "the big file comes in ranges")

	rc, err := m.ReadRemoteFile("libs-staging-local/org/app/1.0/app.sig")
	require.NoError(t, err)
	defer rc.Close()
	body, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("a", 90), string(body))
}

func TestServicesProperties(t *testing.T) {
	t.Parallel()
	s, m, _ := uploaded(t)
	const path = "libs-staging-local/org/app/1.0/app.tgz"
	items := search(t, m, func(p *services.SearchParams) { p.Pattern = path })
	n, err := m.SetProps(services.PropsParams{Reader: reader(t, items...), Props: `sign.state=signed;sign.keys=k1,k2;odd=1\,5 = x|y`})
	require.Error(t, err, "a pipe is a separator unless a backslash stands before it, and the client adds none")
	require.Zero(t, n)
	n, err = m.SetProps(services.PropsParams{Reader: reader(t, items...), Props: `sign.state=signed;sign.keys=k1,k2;odd=1\,5 ä`})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got, err := m.GetItemProps(path)
	require.NoError(t, err)
	require.Equal(t, []string{"signed"}, got.Properties["sign.state"])
	require.Equal(t, []string{"k1", "k2"}, got.Properties["sign.keys"])
	require.Equal(t, []string{"1,5 ä"}, got.Properties["odd"])
	require.Equal(t, []string{"a", "b"}, got.Properties["team"], "other keys stay")

	n, err = m.DeleteProps(services.PropsParams{Reader: reader(t, items...), Props: "team,odd,note,sign.state,sign.keys,build.name,build.number"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got, err = m.GetItemProps(path)
	require.NoError(t, err, "no properties is no error to the client, told by the message")
	require.Nil(t, got)
	f, _ := s.File(artifactorytest.Staging, "org/app/1.0/app.sig")
	require.Equal(t, []string{"a", "b"}, f.Properties["team"], "the neighbour keeps its properties")
}

func TestServicesCopyMoveDelete(t *testing.T) {
	t.Parallel()
	s, m, _ := uploaded(t)
	p := services.NewMoveCopyParams()
	p.Pattern, p.Target, p.Flat = "libs-staging-local/org/app/1.0/app.tgz", artifactorytest.Release+"/app/", true
	ok, failed, err := m.Copy(p)
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{ok, failed})
	require.ElementsMatch(t, []string{"app/app.tgz"}, s.Paths(artifactorytest.Release), "no sibling goes along")
	f, _ := s.File(artifactorytest.Release, "app/app.tgz")
	require.Equal(t, []string{"a", "b"}, f.Properties["team"], "properties follow")

	p = services.NewMoveCopyParams() // the library keeps its query in the old one
	p.Pattern, p.Target, p.Flat = "libs-staging-local/org/app/1.0/*.sig", artifactorytest.Release+"/app/", true
	ok, _, err = m.Move(p)
	require.NoError(t, err)
	require.Equal(t, 1, ok)
	require.ElementsMatch(t, []string{"app/app.tgz", "app/app.sig"}, s.Paths(artifactorytest.Release))
	require.ElementsMatch(t, []string{"org/app/1.0/app.tgz", "org/app/1.0/big.bin"}, s.Paths(artifactorytest.Staging))

	d := services.NewDeleteParams()
	d.Pattern, d.Recursive = "libs-staging-local/org/*", true
	r, err := m.GetPathsToDelete(d)
	require.NoError(t, err)
	defer r.Close()
	n, err := m.DeleteFiles(r)
	require.NoError(t, err)
	require.Equal(t, 1, n, "the folder goes in one call")
	require.Empty(t, s.Paths(artifactorytest.Staging))
	_, err = m.FileInfo("libs-staging-local/org/app/1.0/app.tgz")
	require.ErrorContains(t, err, "404")
}

func TestServicesSystem(t *testing.T) {
	t.Parallel()
	_, m, _ := uploaded(t)
	pong, err := m.Ping()
	require.NoError(t, err)
	require.Equal(t, "OK", string(pong))
	version, err := m.GetVersion()
	require.NoError(t, err)
	require.Equal(t, "7.77.12", version)
	for repo, want := range map[string]bool{artifactorytest.Staging: true, "nowhere": false} {
		got, err := m.IsRepoExists(repo)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	repos, err := m.GetAllRepositories()
	require.NoError(t, err)
	require.Len(t, *repos, 2)
	info, err := m.FileInfo("libs-staging-local/org/app/1.0/big.bin")
	require.NoError(t, err)
	require.Equal(t, []string{"200000", "/org/app/1.0/big.bin"}, []string{info.Size, info.Path})
	folder, err := m.FolderInfo("libs-staging-local/org/app/1.0")
	require.NoError(t, err)
	require.Len(t, folder.Children, 3)
}
