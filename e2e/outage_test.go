package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// transfer has a developer copy or move a file by Artifactory's own interface. Signature files stay where they are.
func transfer(t *testing.T, s *sandbox.Sandbox, verb, from, to string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Artifactory.URL()+"/artifactory/api/"+verb+"/"+from+"?to="+url.QueryEscape("/"+to), http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+sandbox.Developer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s to %s", verb, from, to)
}

// Hallmark is away for three hours, in which people upload, overwrite, delete, copy and move, and every webhook is lost.
// Afterwards everything that is there is signed for the bytes that it has, the sweep tells how many events were lost and
// what lies about, and only bytes that are new were signed.
func TestThreeHoursAway(t *testing.T) {
	t.Parallel()
	for name, overwritten := range map[string]string{"properties of overwritten files go": "drop", "properties of overwritten files stay": "keep"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const each = 4
			var clock settableClock
			s := start(t, sandbox.Config{Sweep: eager, Policies: followed, Standin: func(c *standin.Config) {
				openRelease(c)
				c.Now, c.Quirks.Overwritten = clock.now, overwritten
				for i := range c.Tokens {
					if c.Tokens[i].User == "hallmark" {
						c.Tokens[i].Rights[sandbox.Staging] = "rwda" // to replace signature files of bytes that are gone
					}
				}
			}})
			names := func(what string) (paths []string) {
				for i := range each {
					paths = append(paths, fmt.Sprintf("app/%s/%d.bin", what, i))
				}
				return paths
			}
			for _, what := range []string{"untouched", "overwritten", "twice", "deleted", "copied", "moved"} {
				for _, path := range names(what) {
					upload(t, s, path, "content of "+path)
				}
			}
			for _, what := range []string{"untouched", "overwritten", "twice", "deleted", "copied", "moved"} {
				awaitSigned(t, s, names(what)...)
			}
			periodic := func() api.Sweep {
				all, err := (&api.Client{URL: s.URL, Token: s.Secret("caller")}).Sweeps(t.Context())
				require.NoError(t, err)
				for _, one := range all {
					if one.Kind == "periodic" && one.Repository == sandbox.Staging {
						return one
					}
				}
				return api.Sweep{}
			}
			eventually(t, func() string { return "a periodic sweep has seen it" }, func() bool { p := periodic(); return p.State == "done" && p.Items > 0 })
			require.NoError(t, s.Terminate())

			s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
			for i := range each {
				clock.set(time.Duration(i+1) * 3 * time.Hour / each)
				at := func(what string) string { return names(what)[i] }
				upload(t, s, at("new"), "content of "+at("new"))
				upload(t, s, at("brief"), "gone before anybody looks")
				require.NoError(t, s.Artifactory.Delete(sandbox.Developer, sandbox.Staging, at("brief")))
				upload(t, s, at("overwritten"), "new content of "+at("overwritten"))
				upload(t, s, at("twice"), "never seen")
				upload(t, s, at("twice"), "last content of "+at("twice"))
				require.NoError(t, s.Artifactory.Delete(sandbox.Developer, sandbox.Staging, at("deleted")))
				transfer(t, s, "copy", sandbox.Staging+"/"+at("copied"), sandbox.Release+"/"+at("copied"))
				transfer(t, s, "move", sandbox.Staging+"/"+at("moved"), sandbox.Staging+"/"+strings.Replace(at("moved"), "moved", "arrived", 1))
			}
			require.NoError(t, s.Serve(t.Context()))

			// New, overwritten, overwritten twice, copied, moved. Of bytes that were there in between nobody will ever know.
			missing := func() int { return int(scrape(t, s).value("hallmark_sweep_lost_events_total")) }
			eventually(t, func() string { return fmt.Sprintf("%d events lost", missing()) }, func() bool { return missing() == 5*each })
			want := map[string][]string{sandbox.Release: names("copied")}
			for _, what := range []string{"untouched", "overwritten", "twice", "copied", "arrived", "new"} {
				want[sandbox.Staging] = append(want[sandbox.Staging], names(what)...)
			}
			for repo, paths := range want {
				for _, path := range paths {
					eventually(t, func() string { return repo + "/" + path + " is signed" + complaints(t, s) }, func() bool {
						f, _ := s.Artifactory.File(repo, path)
						return strings.Join(f.Properties["hallmark.state"], "") == "signed" && strings.Join(f.Properties["hallmark.sha256"], "") == f.SHA256
					})
				}
			}
			observe(t, s, sandbox.Staging, sandbox.Release)()
			require.InDelta(t, 3*each, signaturesMade(t, s), 0, "new bytes: new, overwritten, twice")

			for repo, findings := range map[string]map[string]int64{
				sandbox.Staging: {"signed": 6 * each, "signature-file": 12 * each, "orphan": 4 * each}, // of what was deleted and moved away
				sandbox.Release: {"signed": each, "signature-file": 2 * each},
			} {
				var report api.Sweep
				r := hallmark(t, s, "sweep", "--repo", repo, "--full", "-o", "json")
				readJSON(t, r.out, &report)
				require.Equal(t, findings, report.Findings)
				require.Zero(t, report.Repaired)
			}
			require.Equal(t, 5*each, missing(), "none is counted twice")
		})
	}
}
