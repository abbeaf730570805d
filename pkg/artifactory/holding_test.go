package artifactory_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// One query tells where some bytes are; also when there are thousands of copies in one repository, a few do.
func TestHolding(t *testing.T) {
	t.Parallel()
	s, c := wide(t, standin.Quirks{})
	content := "content"
	digest := artifact.Digest(sha256.Sum256([]byte(content)))
	put := func(repo, path string) {
		t.Helper()
		require.NoError(t, s.Put("ci", repo, path, strings.NewReader(content), nil))
	}
	got, err := c.Holding(t.Context(), digest)
	require.NoError(t, err)
	require.Empty(t, got)
	put(artifactorytest.Staging, "a/b.bin")
	put(artifactorytest.Release, "b.bin")
	require.NoError(t, s.Put("ci", artifactorytest.Federated, "b.bin", strings.NewReader("other"), nil))
	before := len(s.Requests())
	got, err = c.Holding(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, []string{artifactorytest.Release, artifactorytest.Staging}, got)
	require.Len(t, s.Requests(), before+1)
	for i := range 400 {
		put(artifactorytest.Federated, "copies/"+strconv.Itoa(i))
	}
	got, err = c.Holding(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, []string{artifactorytest.Federated, artifactorytest.Release, artifactorytest.Staging}, got)
	require.LessOrEqual(t, len(s.Requests())-before, 5)
	require.NoError(t, s.Delete("ci", artifactorytest.Release, "b.bin"))
	got, err = c.Holding(t.Context(), digest)
	require.NoError(t, err)
	require.NotContains(t, got, artifactorytest.Release)
}

// A server that never comes to an end is left after a bounded number of queries.
func TestHoldingWithoutEnd(t *testing.T) {
	t.Parallel()
	queries := 0
	digest := artifact.Digest{1}
	c := newClient(t, serve(t, answers(func() string {
		queries++
		rows := make([]string, 250)
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"repo":"r%d-%d","path":"a","name":"b","sha256":%q}`, queries, i%3, digest)
		}
		return `{"results":[` + strings.Join(rows, ",") + `]}`
	})).URL)
	_, err := c.Holding(t.Context(), digest)
	require.ErrorIs(t, err, artifactory.ErrTooMany)
	require.Equal(t, 16, queries)
}

func answers(body func() string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body()) }
}
