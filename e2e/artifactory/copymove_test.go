package artifactory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestCopyAndMove(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		quirks         standin.Quirks
		status         int
		want           []string // what the release repository then holds beside old/x
		source         string   // a file in the staging repository that a move takes away
	}{
		{name: "file to a new name", from: "app/1/f", to: "/libs-release-local/a/g", status: 200, want: []string{"a/g"}, source: "app/1/f"},
		{name: "without the leading slash", from: "app/1/f", to: "libs-release-local/a/g", status: 200, want: []string{"a/g"}, source: "app/1/f"},
		{name: "file into a folder to come", from: "app/1/f", to: "/libs-release-local/a/", status: 200, want: []string{"a/f"}, source: "app/1/f"},
		{name: "file into a folder that is there", from: "app/1/f", to: "/libs-release-local/old", status: 200, want: []string{"old/f"}, source: "app/1/f"},
		{name: "folder to a new name", from: "app/1", to: "/libs-release-local/app/2", status: 200, want: []string{"app/2/f", "app/2/f.sig"}, source: "app/1/f"},
		{name: "folder into a folder nests", from: "app/1", to: "/libs-release-local/old", status: 200, want: []string{"old/1/f", "old/1/f.sig"}, source: "app/1/f"},
		{name: "encoded name", from: "odd%3Bk=v/%25", to: "/libs-release-local/%3bx%20y", status: 200, want: []string{";x y"}, source: "odd;k=v/%"},
		{name: "missing source", from: "app/2", to: "/libs-release-local/x", status: 404},
		{name: "missing repository", from: "app/1/f", to: "/nowhere/x", status: 404},
		{name: "onto itself", from: "app/1/f", to: "/libs-staging-local/app/1/f", status: 409},
		{name: "into itself", from: "app", to: "/libs-staging-local/app/1/x", status: 409},
		{name: "folder onto a file", from: "app/1", to: "/libs-release-local/old/x", status: 409},
		{name: "below a file", from: "app/1/f", to: "/libs-release-local/old/x/y", status: 409},
		{name: "other package type", from: "app/1/f", to: "/docker-local/x", status: 409},
		{name: "out of the repository", from: "app/1/f", to: "/libs-release-local/../x", status: 400},
		{name: "no target", from: "app/1/f", to: "", status: 400},
	}
	for _, tt := range tests {
		for _, verb := range []string{"copy", "move"} {
			for _, dry := range []string{"", "&dry=1&failFast=1&suppressLayouts=0"} {
				t.Run(tt.name+"/"+verb+dry, func(t *testing.T) {
					t.Parallel()
					s := artifactorytest.Start(t, standin.Config{Repositories: []standin.Repository{
						{Key: artifactorytest.Staging}, {Key: artifactorytest.Release}, {Key: "docker-local", PackageType: "docker"},
					}})
					for _, p := range []string{"app/1/f", "app/1/f.sig", "odd;k=v/%"} {
						require.NoError(t, s.Put("ci", artifactorytest.Staging, p, strings.NewReader(p), map[string][]string{"k": {p}}))
					}
					require.NoError(t, s.Put("ci", artifactorytest.Release, "old/x", strings.NewReader("x"), nil))
					resp, body := send(t, s, request{method: "POST", target: "/artifactory/api/" + verb + "/libs-staging-local/" + tt.from + "?to=" + tt.to + dry, token: artifactorytest.CI})
					require.Equal(t, tt.status, resp.StatusCode, body)
					want := []string{"old/x"}
					if dry == "" {
						want = append(want, tt.want...)
					}
					slices.Sort(want)
					got := s.Paths(artifactorytest.Release)
					slices.Sort(got)
					require.Equal(t, want, got)
					_, there := s.File(artifactorytest.Staging, tt.source)
					require.Equal(t, tt.source != "" && (verb == "copy" || dry != ""), there)
					if tt.status == 200 && dry == "" {
						f, _ := s.File(artifactorytest.Release, tt.want[0])
						require.Equal(t, map[string][]string{"k": {tt.source}}, f.Properties)
					}
				})
			}
		}
	}
}

func TestCopyQuirk(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{Copied: "drop"}})
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "f", strings.NewReader("x"), map[string][]string{"k": {"v"}}))
	resp, _ := send(t, s, request{method: "POST", target: "/artifactory/api/copy/libs-staging-local/f?to=/libs-release-local/f", token: artifactorytest.CI})
	require.Equal(t, 200, resp.StatusCode)
	f, _ := s.File(artifactorytest.Release, "f")
	require.Empty(t, f.Properties)
}

// Contents are shared by copies and live until the last of them goes, small and large alike.
func TestContentsOutliveTheirSource(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 200_000} {
		s := artifactorytest.Start(t, standin.Config{})
		want := strings.Repeat("x", size)
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "f", strings.NewReader(want), nil))
		resp, _ := send(t, s, request{method: "POST", target: "/artifactory/api/copy/libs-staging-local/f?to=/libs-release-local/f", token: artifactorytest.CI})
		require.Equal(t, 200, resp.StatusCode)
		require.NoError(t, s.Delete("ci", artifactorytest.Staging, "f"))
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "g", strings.NewReader("other"), nil))
		got, err := s.Content(artifactorytest.Release, "f")
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		resp, _ = send(t, s, request{method: "POST", target: "/artifactory/api/move/libs-release-local/f?to=/libs-staging-local/g", token: artifactorytest.CI})
		require.Equal(t, 200, resp.StatusCode)
		got, err = s.Content(artifactorytest.Staging, "g")
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.NoError(t, s.Delete("ci", artifactorytest.Staging, "g"))
		resp, _ = send(t, s, request{"PUT", "/artifactory/libs-staging-local/h", artifactorytest.CI, "", map[string]string{
			"X-Checksum-Deploy": "true", "X-Checksum-Sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		}})
		require.Equal(t, 404, resp.StatusCode, "and is unknown afterwards")
	}
}
