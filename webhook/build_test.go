package webhook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Whatever a build is called, the place of its record is told so that it can be looked up; what no path can hold is
// refused and no trouble.
func TestBuildPlaces(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		`"build_name":"app","build_number":"7","build_started":"2026-08-14T09:31:07.412+0000","build_repo":"artifactory-build-info"`: "artifactory-build-info/app/7-1786699867412.json",
		`"build_name":"app","build_number":"7","build_started":"2026-08-14T11:31:07.412+0200","build_repo":"fw-build-info"`:          "fw-build-info/app/7-1786699867412.json",
		`"build_name":"app","build_number":"7","build_started":"2026-08-14T09:31:07.412Z"`:                                           "artifactory-build-info/app/7-1786699867412.json",
		`"build_name":"app","build_number":"7"`:                               "artifactory-build-info/app/7",
		`"build_name":"app","build_number":"7","build_started":"yesterday"`:   "artifactory-build-info/app/7",
		`"build_name":"my größe + #5; 100%","build_number":"1:2"`:             "artifactory-build-info/my größe + #5; 100%/1:2",
		`"build_name":"team/app","build_number":"1/2"`:                        "artifactory-build-info/team/app/1%2F2",
		`"build_name":"/team//app","build_number":"7"`:                        "artifactory-build-info/%2Fteam%2F%2Fapp/7",
		`"build_name":"a\\b","build_number":"c\\d"`:                           "artifactory-build-info/a%5Cb/c%5Cd",
		`"build_name":"..","build_number":"7"`:                                "",
		`"build_name":"a\u0000b","build_number":"7"`:                          "",
		`"build_name":"app","build_number":"7","build_repo":"../x"`:           "",
		`"build_name":"` + strings.Repeat("x", 2000) + `","build_number":"7"`: "",
	} {
		r := newRig(t, nil)
		w := r.send([]byte(fmt.Sprintf(`{"domain":"build","event_type":"promoted","data":{%s}}`, said)))
		if want == "" {
			require.Equal(t, refusedPath, outcomeOf(t, w), said)
			continue
		}
		require.Equal(t, accepted, outcomeOf(t, w), said)
		e := r.accepted()[0]
		require.Equal(t, want, artifact.Ref{Repo: e.Repo, Path: e.Path}.String())
	}
}

// Whether a build matters cannot be told from where its record is.
func TestCoversIsAskedAboutBuildsAnywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Covers = func(instance, repo, path, event string) bool {
			require.Equal(t, []string{"main", "", "", "build/uploaded"}, []string{instance, repo, path, event})
			return false
		}
	})
	require.Equal(t, notCovered, outcomeOf(t, r.send([]byte(`{"domain":"build","event_type":"uploaded","data":{"build_name":"a","build_number":"1"}}`))))
	require.Empty(t, r.accepted())
}
