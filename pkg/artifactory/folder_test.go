package artifactory_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// A folder of tens of thousands of long names is listed whole; what no folder has is not read to its end.
func TestFolderOfManyNames(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", 190)
	for names, want := range map[int]error{30_000: nil, 200_000: artifactory.ErrTooLarge} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"repo":%q,"path":"/app","children":[`, testRepo)
			for i := range names {
				if i > 0 {
					fmt.Fprint(w, ",")
				}
				if _, err := fmt.Fprintf(w, `{"uri":"/%06d%s.bin","folder":false}`, i, name); err != nil {
					return // it has read enough
				}
			}
			fmt.Fprint(w, "]}")
		}))
		t.Cleanup(s.Close)
		entries, err := newClient(t, s.URL, func(c *artifactory.Config) { c.Retries = -1 }).Folder(t.Context(), testRepo, "app")
		require.ErrorIs(t, err, want)
		if want == nil {
			require.Len(t, entries, names)
			require.Equal(t, fmt.Sprintf("%06d%s.bin", names-1, name), entries[names-1].Name)
		}
	}
}
