package artifactory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, target string
		quirks       standin.Quirks
		status       int
		path         string
		props        map[string][]string
	}{
		{name: "plain", target: "a/b.txt", status: 201, path: "a/b.txt"},
		{name: "encoded", target: "a%20b/%C3%A4.txt", status: 201, path: "a b/ä.txt"},
		{name: "encoded specials are part of the name", target: "%25%3F%23%2B+&=,.txt", status: 201, path: "%?#++&=,.txt"},
		{name: "parameters", target: "a.txt;k=v;k=w;n=1%2C2+3", status: 201, path: "a.txt", props: map[string][]string{"k": {"v", "w"}, "n": {"1,2 3"}}},
		{name: "parameters in the middle", target: "a;k=v/b.txt", status: 201, path: "a/b.txt", props: map[string][]string{"k": {"v"}}},
		{name: "a raw slash in a value shifts the path", target: "a.txt;k=v/w", status: 201, path: "a.txt/w", props: map[string][]string{"k": {"v"}}},
		{name: "an encoded slash in a value does not", target: "a.txt;k=v%2Fw", status: 201, path: "a.txt", props: map[string][]string{"k": {"v/w"}}},
		{name: "an encoded semicolon is part of the name", target: "a%3Bk=v.txt", status: 201, path: "a;k=v.txt"},
		{name: "or starts a parameter", target: "a%3bk=v.txt", quirks: standin.Quirks{EncodedSemicolon: "matrix"}, status: 201, path: "a", props: map[string][]string{"k": {"v.txt"}}},
		{name: "dots", target: "a/../b", status: 400},
		{name: "encoded dots", target: "a/%2e%2e/b", status: 400},
		{name: "dots before a parameter", target: "a/..;x=y/b", status: 400},
		{name: "empty segment", target: "a//b", status: 400},
		{name: "encoded slash", target: "a%2Fb", status: 400},
		{name: "encoded backslash", target: "a%5Cb", status: 400},
		{name: "raw quote", target: `a"b`, status: 400},
		{name: "raw pipe", target: "a;k=v|w", status: 400},
		{name: "control character", target: "a%0Ab", status: 400},
		{name: "not UTF-8", target: "a%FFb", status: 400},
		{name: "forbidden in a key", target: "a;k%20x=v", status: 400},
		{name: "mandatory parameter", target: "a;k+=v", status: 501},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Quirks: tt.quirks})
			resp, body := send(t, s, request{method: "PUT", target: "/artifactory/libs-staging-local/" + tt.target, token: artifactorytest.CI, body: "x"})
			require.Equal(t, tt.status, resp.StatusCode, body)
			if tt.status != 201 {
				require.Empty(t, s.Paths(artifactorytest.Staging))
				return
			}
			require.Equal(t, []string{tt.path}, s.Paths(artifactorytest.Staging))
			f, _ := s.File(artifactorytest.Staging, tt.path)
			require.Equal(t, tt.props, f.Properties)
			require.Empty(t, s.Paths(artifactorytest.Release))
		})
	}
}
