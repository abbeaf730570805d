package artifactory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// A number may have been built several times: each run tells its own artifacts, the newest first.
func TestRuns(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	for i := range 10 {
		started := time.Date(2026, 11, 21, 10+i, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000-0700")
		publish(t, s, published{name: "team/bld", number: "7", started: started}, partOf("f", started))
	}
	publish(t, s, published{project: "fw", name: "bld", number: "7"}, partOf("f", "fw"))
	read := func(project, name, number string, enough int) (starts []int) {
		t.Helper()
		require.NoError(t, c.Runs(t.Context(), project, name, number, func(b artifact.Build) bool {
			require.Len(t, b.Artifacts, 1)
			require.Equal(t, project, b.Project)
			starts = append(starts, b.Started.Hour())
			return len(starts) == enough
		}))
		return starts
	}
	require.Equal(t, []int{19, 18, 17, 16, 15, 14, 13, 12}, read("", "team/bld", "7", 0), "as many as are read")
	require.Equal(t, []int{19, 18}, read("", "team/bld", "7", 2))
	require.Len(t, read("fw", "bld", "7", 0), 1)
	for _, tt := range [][3]string{{"", "team/bld", "8"}, {"", "bld", "7"}, {"none", "bld", "7"}, {"", "..", "7"}, {"", "a\nb", "7"}, {"", "", ""}, {"", strings.Repeat("x", 5000), "1"}, {"../x", "bld", "7"}} {
		require.Empty(t, read(tt[0], tt[1], tt[2], 0), "%q", tt)
	}

	s.Fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: 403, Times: -1})
	require.Equal(t, []int{19}, read("", "team/bld", "7", 0), "records that may not be listed: the server's newest")
	s.Fail(standin.Fault{Path: "/artifactory/api/build/**", Status: 503, Times: -1})
	c = newClient(t, s.URL(), reader(t), func(cfg *artifactory.Config) { cfg.Retries = -1 })
	err := c.Runs(t.Context(), "", "team/bld", "7", func(artifact.Build) bool { return false })
	require.True(t, artifactory.Temporary(err), "%v", err)
}
