package artifactory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// Checksums of "hello\n".
const (
	helloSHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	helloSHA1   = "f572d396fae9206628714fb2ce00f72e94f2258f"
	helloMD5    = "b1946ac92492d2347c6235b4d2611184"
)

const greeting = "/artifactory/libs-staging-local/a/hello.txt"

func TestDeployChecksums(t *testing.T) {
	t.Parallel()
	wrong := func(sum string) string { return "0" + sum[1:] }
	tests := []struct {
		name    string
		headers map[string]string
		status  int
	}{
		{"none", nil, 201},
		{"sha256", map[string]string{"X-Checksum-Sha256": helloSHA256}, 201},
		{"upper case", map[string]string{"X-Checksum-Sha256": strings.ToUpper(helloSHA256)}, 201},
		{"all", map[string]string{"X-Checksum-Sha256": helloSHA256, "X-Checksum-Sha1": helloSHA1, "X-Checksum-Md5": helloMD5}, 201},
		{"wrong sha256", map[string]string{"X-Checksum-Sha256": wrong(helloSHA256)}, 409},
		{"wrong sha1", map[string]string{"X-Checksum-Sha256": helloSHA256, "X-Checksum-Sha1": wrong(helloSHA1)}, 409},
		{"wrong md5", map[string]string{"X-Checksum-Md5": wrong(helloMD5)}, 409},
		{"plain sha256", map[string]string{"X-Checksum": helloSHA256}, 201},
		{"plain wrong sha256", map[string]string{"X-Checksum": wrong(helloSHA256)}, 409},
		{"plain wrong sha1", map[string]string{"X-Checksum": wrong(helloSHA1)}, 409},
		{"plain wrong md5", map[string]string{"X-Checksum": wrong(helloMD5)}, 409},
		{"plain of odd length", map[string]string{"X-Checksum": "abc"}, 400},
		{"sha256 of odd length", map[string]string{"X-Checksum-Sha256": helloMD5}, 400},
		{"explode", map[string]string{"X-Explode-Archive": "true"}, 501},
		{"conditional", map[string]string{"If-None-Match": "*"}, 501},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{})
			resp, body := send(t, s, request{"PUT", greeting, artifactorytest.CI, "hello\n", tt.headers})
			require.Equal(t, tt.status, resp.StatusCode, body)
			_, there := s.File(artifactorytest.Staging, "a/hello.txt")
			require.Equal(t, tt.status == 201, there, "a refused deploy leaves nothing")
		})
	}
}

func TestDeployByChecksum(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{Tokens: []standin.Token{
		{Value: "blind", User: "blind", Rights: map[string]string{artifactorytest.Release: "rw"}},
	}})
	deploy := func(token, sum string) int {
		resp, _ := send(t, s, request{"PUT", "/artifactory/libs-release-local/b.txt", token, "", map[string]string{"X-Checksum-Deploy": "true", "X-Checksum-Sha256": sum}})
		return resp.StatusCode
	}
	require.Equal(t, 404, deploy(artifactorytest.CI, helloSHA256), "bytes nobody has")
	require.Equal(t, 403, deploy(artifactorytest.Reader, helloSHA256), "rights come before bytes")
	require.Equal(t, 400, deploy(artifactorytest.CI, ""))
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/hello.txt", strings.NewReader("hello\n"), nil))
	require.Equal(t, 404, deploy("blind", helloSHA256), "bytes the caller may not read")
	require.Equal(t, 201, deploy(artifactorytest.CI, helloSHA256))
	content, err := s.Content(artifactorytest.Release, "b.txt")
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(content))
}

func TestOverwrite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token, body string
		quirks            standin.Quirks
		status            int
		props             map[string][]string
	}{
		{name: "needs the right to delete", token: artifactorytest.Signer, body: "other", status: 403},
		{name: "also for the same bytes", token: artifactorytest.Signer, body: "hello\n", status: 403},
		{name: "unless the server thinks otherwise", token: artifactorytest.Signer, body: "hello\n", quirks: standin.Quirks{SameBytes: "allow"}, status: 201},
		{name: "which never holds for other bytes", token: artifactorytest.Signer, body: "other", quirks: standin.Quirks{SameBytes: "allow"}, status: 403},
		{name: "drops properties", token: artifactorytest.CI, body: "other", status: 201},
		{name: "or keeps them", token: artifactorytest.CI, body: "other", quirks: standin.Quirks{Overwritten: "keep"}, status: 201, props: map[string][]string{"k": {"v"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Quirks: tt.quirks})
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/hello.txt", strings.NewReader("hello\n"), map[string][]string{"k": {"v"}}))
			resp, body := send(t, s, request{method: "PUT", target: greeting, token: tt.token, body: tt.body})
			require.Equal(t, tt.status, resp.StatusCode, body)
			content, err := s.Content(artifactorytest.Staging, "a/hello.txt")
			require.NoError(t, err)
			f, _ := s.File(artifactorytest.Staging, "a/hello.txt")
			if tt.status == 201 {
				require.Equal(t, tt.body, string(content))
				require.Equal(t, tt.props, f.Properties)
			} else {
				require.Equal(t, "hello\n", string(content))
			}
		})
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	put := func(target string) int {
		resp, _ := send(t, s, request{method: "PUT", target: target, token: artifactorytest.CI, body: "hello\n"})
		return resp.StatusCode
	}
	require.Equal(t, 201, put("/artifactory/libs-staging-local/dir/"))
	require.Equal(t, 201, put(greeting))
	require.Equal(t, 409, put("/artifactory/libs-staging-local/dir"), "a folder is no file")
	require.Equal(t, 409, put(greeting+"/below"), "a file is no folder")
	require.Equal(t, 409, put(greeting+"/"))
	_, body := send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local", token: artifactorytest.Reader})
	require.Contains(t, body, `"path":"/"`)
	require.Contains(t, body, `"children":[{"uri":"/a","folder":true},{"uri":"/dir","folder":true}]`)
	resp, _ := send(t, s, request{method: "GET", target: "/artifactory/libs-staging-local/dir/", token: artifactorytest.Reader})
	require.Equal(t, 501, resp.StatusCode)
}

// Contents on both sides of the limit of the pack, and a body that ends early.
func TestContents(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		want := strings.Repeat("x", size)
		resp, body := send(t, s, request{method: "PUT", target: "/artifactory/libs-release-local/f", token: artifactorytest.CI, body: want})
		require.Equal(t, 201, resp.StatusCode, body)
		resp, got := send(t, s, request{method: "GET", target: "/artifactory/libs-release-local/f", token: artifactorytest.CI})
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, want, got)
		resp, _ = send(t, s, request{method: "HEAD", target: "/artifactory/libs-release-local/f", token: artifactorytest.CI})
		require.EqualValues(t, size, resp.ContentLength)
		if size > 10 {
			resp, got = send(t, s, request{"GET", "/artifactory/libs-release-local/f", artifactorytest.CI, "", map[string]string{"Range": "bytes=3-7"}})
			require.Equal(t, 206, resp.StatusCode)
			require.Equal(t, want[3:8], got)
		}
	}
}
