package artifactory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestProperties(t *testing.T) {
	t.Parallel()
	const storage = "/artifactory/api/storage/libs-staging-local/a/f"
	const patch = "/artifactory/api/metadata/libs-staging-local/a/f"
	old := map[string][]string{"k": {"v"}, "m": {"1", "2"}}
	with := func(k string, v ...string) map[string][]string {
		return map[string][]string{"k": {"v"}, "m": {"1", "2"}, k: v}
	}
	long := strings.Repeat("ä", 2400)
	tests := []struct {
		name, method, target, body string
		quirks                     standin.Quirks
		status                     int
		want                       map[string][]string // nil: unchanged
	}{
		{name: "put adds", method: "PUT", target: storage + "?properties=n=x", status: 204, want: with("n", "x")},
		{name: "put replaces a key", method: "PUT", target: storage + "?properties=m=3,4,4", status: 204, want: with("m", "3", "4")},
		{name: "put separates by semicolon and pipe", method: "PUT", target: storage + "?properties=a=1;b=2%7Cc=3", status: 204,
			want: map[string][]string{"k": {"v"}, "m": {"1", "2"}, "a": {"1"}, "b": {"2"}, "c": {"3"}}},
		{name: "a backslash protects", method: "PUT", target: storage + `?properties=n=a%5C,b%5C%7Cc%5C=d%5C%5Ce`, status: 204, want: with("n", `a,b|c=d\e`)},
		{name: "put without a value", method: "PUT", target: storage + "?properties=n", status: 400},
		{name: "an equals sign needs protection", method: "PUT", target: storage + "?properties=n=a=b", status: 400},
		{name: "put without properties", method: "PUT", target: storage, status: 400},
		{name: "bad key", method: "PUT", target: storage + "?properties=n%23=x", status: 400},
		{name: "unknown query", method: "PUT", target: storage + "?properties=n=x&force=1", status: 501},
		{name: "put on nothing", method: "PUT", target: storage + "x?properties=n=x", status: 404},
		{name: "delete", method: "DELETE", target: storage + "?properties=m,unknown", status: 204, want: map[string][]string{"k": {"v"}}},
		{name: "patch sets, replaces and deletes", method: "PATCH", target: patch, body: `{"props":{"k":null,"m":"x","n":["1","2"],"gone":null}}`, status: 204,
			want: map[string][]string{"m": {"x"}, "n": {"1", "2"}}},
		{name: "patch takes any value", method: "PATCH", target: patch, body: `{"props":{"n":"a,b;c=d|e\\f\"?/"}}`, status: 204, want: with("n", `a,b;c=d|e\f"?/`)},
		{name: "patch with a number", method: "PATCH", target: patch, body: `{"props":{"n":1}}`, status: 400},
		{name: "patch with another key", method: "PATCH", target: patch, body: `{"properties":{"n":"1"}}`, status: 400},
		{name: "patch is all or nothing", method: "PATCH", target: patch, body: `{"props":{"n":"1","b d":"2"}}`, status: 400},
		{name: "longest value", method: "PATCH", target: patch, body: `{"props":{"n":"` + long + `"}}`, status: 204, want: with("n", long)},
		{name: "longer value", method: "PATCH", target: patch, body: `{"props":{"n":"` + long + `b"}}`, status: 400},
		{name: "longer value, cut", method: "PATCH", target: patch, body: `{"props":{"n":"` + long + `b"}}`, quirks: standin.Quirks{LongValue: "cut"}, status: 204, want: with("n", long)},
		{name: "longer key", method: "PATCH", target: patch, body: `{"props":{"` + strings.Repeat("k", 256) + `":"b"}}`, status: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Quirks: tt.quirks})
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/f", strings.NewReader("x"), old))
			resp, body := send(t, s, request{method: tt.method, target: tt.target, token: artifactorytest.Annotator, body: tt.body})
			require.Equal(t, tt.status, resp.StatusCode, body)
			f, _ := s.File(artifactorytest.Staging, "a/f")
			if tt.want == nil {
				tt.want = old
			}
			require.Equal(t, tt.want, f.Properties)
		})
	}
}

func TestPropertiesRead(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/f", strings.NewReader("x"), map[string][]string{"k": {"v"}, "l": {"w"}}))
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/bare", strings.NewReader("x"), nil))
	get := func(target string) (int, string) {
		resp, body := send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local/a/" + target, token: artifactorytest.Reader})
		return resp.StatusCode, body
	}
	_, body := get("f?properties")
	require.Contains(t, body, `"properties":{"k":["v"],"l":["w"]}`)
	_, body = get("f?properties=l,x")
	require.Contains(t, body, `"properties":{"l":["w"]}`)
	for _, target := range []string{"bare?properties", "f?properties=x"} {
		status, body := get(target)
		require.Equal(t, 404, status)
		require.Contains(t, body, "No properties could be found")
	}
	status, body := get("missing?properties")
	require.Equal(t, 404, status)
	require.Contains(t, body, "Unable to find item")
}

func TestPropertiesRecursion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, target, body string
		reaches                    bool
	}{
		{"put", "PUT", "/artifactory/api/storage/libs-staging-local/a?properties=k=v", "", true},
		{"put, off", "PUT", "/artifactory/api/storage/libs-staging-local/a?properties=k=v&recursive=0", "", false},
		{"patch", "PATCH", "/artifactory/api/metadata/libs-staging-local/a", `{"props":{"k":"v"}}`, true},
		{"patch, off", "PATCH", "/artifactory/api/metadata/libs-staging-local/a?recursiveProperties=0&atomicProperties=1", `{"props":{"k":"v"}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{})
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/b/f", strings.NewReader("x"), nil))
			resp, body := send(t, s, request{method: tt.method, target: tt.target, token: artifactorytest.CI, body: tt.body})
			require.Equal(t, 204, resp.StatusCode, body)
			f, _ := s.File(artifactorytest.Staging, "a/b/f")
			require.Equal(t, tt.reaches, len(f.Properties) > 0)
			_, body = send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local/a?properties", token: artifactorytest.CI})
			require.Contains(t, body, `{"k":["v"]}`)
		})
	}
}
