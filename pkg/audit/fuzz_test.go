package audit_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// FuzzParseLeaf feeds leaves that nobody vouches for. Whatever is accepted has one form only.
func FuzzParseLeaf(f *testing.F) {
	for _, leaf := range goldenLeaves(f) {
		b, err := leaf.Marshal()
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		leaf, err := audit.ParseLeaf(b)
		if err != nil {
			require.ErrorIs(t, err, audit.ErrLeaf)
			require.Nil(t, leaf)
			return
		}
		if r, ok := leaf.(audit.Rekord); ok && r.Verify() != nil {
			_, err := leaf.Marshal()
			require.Error(t, err, "what does not verify is not logged")
			return
		}
		again, err := leaf.Marshal()
		require.NoError(t, err)
		require.Equal(t, string(b), string(again))
	})
}

// FuzzHandler asks for files of a log. Whatever the path: nothing but what belongs to a log of 300 leaves is served.
func FuzzHandler(f *testing.F) {
	r := newRig(f)
	h := filled(f, r, 300).Handler()
	for _, path := range []string{"/checkpoint", "/tile/0/000", "/tile/0/001.p/44", "/tile/entries/001.p/44", "/tile/1/000.p/1", "/tile/7/x001/000", "/../.state/treeState"} {
		f.Add(path)
	}
	known := map[string]bool{"checkpoint": true, "tile/0/000": true, "tile/1/000.p/1": true, "tile/entries/000": true}
	parts := regexp.MustCompile(`^tile/(0|entries)/00[01]\.p/[1-9][0-9]?[0-9]?$`)
	f.Fuzz(func(t *testing.T, path string) {
		resp := get(t, h, http.MethodGet, path)
		if resp.StatusCode == http.StatusNotFound {
			return
		}
		require.Equal(t, http.StatusOK, resp.StatusCode)
		name := strings.TrimPrefix(path, "/")
		require.True(t, known[name] || parts.MatchString(name), "%q", path)
	})
}
