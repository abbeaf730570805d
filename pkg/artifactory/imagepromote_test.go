package artifactory_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// released are the paths in the repository of releases that are no layers.
func (h harbour) released() (paths []string) {
	for _, p := range h.Paths(artifactorytest.OCIRelease) {
		if strings.HasSuffix(p, "manifest.json") {
			paths = append(paths, strings.TrimPrefix(p, imageName+"/"))
		}
	}
	slices.Sort(paths)
	return paths
}

func tagged(repo, tag, file string) artifact.Ref {
	return artifact.Ref{Instance: "main", Repo: repo, Path: imageName + "/" + tag + "/" + file}
}

func TestPromoteImage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]standin.Fault{
		"as it should":         {Path: "/nowhere"},
		"503":                  {Status: http.StatusServiceUnavailable},
		"the answer got lost":  {Reset: true, When: standin.After},
		"the answer says 502":  {Status: http.StatusBadGateway, When: standin.After},
		"the request got lost": {Reset: true},
	} {
		h := newHarbour(t, standin.Quirks{})
		h.index("1.0")
		c := h.client(artifactorytest.CI)
		fault.Method = http.MethodPost
		h.Fail(fault)
		from, to := tagged(artifactorytest.OCIStaging, "1.0", "list.manifest.json"), tagged(artifactorytest.OCIRelease, "stable", "list.manifest.json")
		require.NoError(t, c.PromoteImage(t.Context(), from, to), name)
		got := h.released()
		require.Len(t, got, 3, name)
		require.Equal(t, "stable/list.manifest.json", got[2], name)
		require.NoError(t, c.PromoteImage(t.Context(), from, to), name)
		require.Equal(t, got, h.released(), name)
		_, ok := h.File(artifactorytest.OCIStaging, from.Path)
		require.True(t, ok, "copied, not moved")
	}
}

func TestPromoteImageFails(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	h.image("1.0")
	from, to := tagged(artifactorytest.OCIStaging, "1.0", "manifest.json"), tagged(artifactorytest.OCIRelease, "1.0", "manifest.json")
	refused := &artifactory.Refused{}
	require.ErrorAs(t, h.client(artifactorytest.Reader).PromoteImage(t.Context(), from, to), &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	c := h.client(artifactorytest.CI)
	require.ErrorIs(t, c.PromoteImage(t.Context(), tagged(artifactorytest.OCIStaging, "2.0", "manifest.json"), to), artifact.ErrGone)
	for _, bad := range []string{"manifest.json", "x/manifest.json", imageName + "/1.0/sha256__abc", imageName + "/sha256:" + strings.Repeat("a", 64) + "/manifest.json"} {
		ref := artifact.Ref{Instance: "main", Repo: artifactorytest.OCIStaging, Path: bad}
		require.ErrorIs(t, c.PromoteImage(t.Context(), ref, to), artifactory.ErrPath, bad)
		require.ErrorIs(t, c.PromoteImage(t.Context(), from, ref), artifactory.ErrPath, bad)
		require.ErrorIs(t, c.RemoveTag(t.Context(), ref, artifact.Digest{1}), artifactory.ErrPath, bad)
	}
	require.Empty(t, h.released())
}

func TestRemoveTag(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	idx := h.index("1.0")
	ref := tagged(artifactorytest.OCIStaging, "1.0", "list.manifest.json")
	all := len(h.Paths(artifactorytest.OCIStaging))
	c := h.client(artifactorytest.CI)
	require.ErrorIs(t, c.RemoveTag(t.Context(), ref, artifact.Digest{1}), artifactory.ErrChanged)
	require.ErrorIs(t, c.RemoveTag(t.Context(), ref, artifact.Digest{}), artifactory.ErrChanged)
	refused := &artifactory.Refused{}
	require.ErrorAs(t, h.client(artifactorytest.Signer).RemoveTag(t.Context(), ref, idx.SHA256), &refused)
	require.Len(t, h.Paths(artifactorytest.OCIStaging), all)
	h.Fail(standin.Fault{Method: http.MethodDelete, When: standin.After, Reset: true}) // done, but nobody was told
	for range 2 {
		require.NoError(t, c.RemoveTag(t.Context(), ref, idx.SHA256))
	}
	left := h.Paths(artifactorytest.OCIStaging)
	require.Len(t, left, all-1, "what the index lists stays")
	require.NotContains(t, left, ref.Path)
}

// The folder of a tag may hold another image, or files that are none of the tag's.
func TestRemoveTagLeavesTheRest(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	r := artifactorytest.NewRegistry(t, h.Server, artifactorytest.OCIStaging, artifactorytest.CI)
	m := r.Push("team", ":app", r.New("linux/amd64"))
	r.Push("team/app", ":1.0", r.New("linux/amd64"))
	r.Push("team/app/sub", ":1.0", r.New("linux/amd64"))
	wrong := "team/app/sha256__" + strings.Repeat("e", 64)
	for _, path := range []string{"team/app/notes.txt", wrong} {
		require.NoError(t, h.Server.Put("admin", artifactorytest.OCIStaging, path, strings.NewReader("not of the tag"), nil))
	}
	before := h.Paths(artifactorytest.OCIStaging)
	ref := artifact.Ref{Instance: "main", Repo: artifactorytest.OCIStaging, Path: "team/app/manifest.json"}
	digest, err := artifact.ParseDigest(m.SHA256())
	require.NoError(t, err)
	c := h.client(artifactorytest.CI)
	for range 2 {
		require.NoError(t, c.RemoveTag(t.Context(), ref, digest))
	}
	left := h.Paths(artifactorytest.OCIStaging)
	require.Len(t, left, len(before)-3, "the manifest, its configuration, its layer")
	require.NotContains(t, left, ref.Path)
	for _, path := range []string{"team/app/1.0/manifest.json", "team/app/sub/1.0/manifest.json", "team/app/notes.txt", wrong} {
		require.Contains(t, left, path)
	}
}
