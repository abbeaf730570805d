package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzReceive sends any body with a right MAC through the whole receiver. Whatever it says, the answer is one of the
// table's, and what is handed on names an item inside one repository.
func FuzzReceive(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	require.NoError(f, err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	r := newRig(f, func(_ *Config, d *Deps) { d.Covers = func(_, _, _, _ string) bool { return true } })
	f.Fuzz(func(t *testing.T, body []byte) {
		r.mu.Lock()
		r.events = nil
		r.mu.Unlock()
		w := r.send(body)
		o := outcomeOf(t, w)
		require.NotContains(t, []outcome{unauthenticated, unknownInstance, incomplete, unavailable}, o)
		events := r.accepted()
		require.Equal(t, o == accepted, len(events) == 1)
		for _, e := range events {
			require.Equal(t, "main", e.Instance)
			require.NotContains(t, e.Repo, "/")
			require.NotContains(t, []string{"", ".", ".."}, e.Repo)
			require.True(t, utf8.ValidString(e.Path))
			for seg := range strings.SplitSeq(e.Path, "/") {
				require.NotContains(t, []string{"", ".", ".."}, seg)
			}
			require.Contains(t, Events(), e.Domain+"/"+e.Type)
			require.Contains(t, []int{0, 64}, len(e.SHA256))
			require.Len(t, e.Key, 64)
		}
	})
}
