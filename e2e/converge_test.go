package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// unreliable makes one request in five of every kind fail: refused before or after it took effect, cut before or after,
// broken off in the middle, or as slow as treacle. The returned function ends that and tells how often each has struck.
func unreliable(s *standin.Server, seed uint64) (end func() map[string]int) {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, seed)) // the same faults each time
	oneIn := func(n int) func(*http.Request) bool {
		return func(*http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			return chance.IntN(n) == 0
		}
	}
	ends := map[string]func() int{}
	for i, f := range []struct {
		name  string
		fault standin.Fault
	}{
		{"refused", standin.Fault{Status: http.StatusServiceUnavailable}},
		{"refused after", standin.Fault{Status: http.StatusBadGateway, When: standin.After}},
		{"reset", standin.Fault{Reset: true}},
		{"reset after", standin.Fault{Reset: true, When: standin.After}},
		{"truncated", standin.Fault{Truncate: 30}},
		{"slow", standin.Fault{Drip: 30 * time.Millisecond}},
	} {
		// One in thirty of all, and each is asked about only when those before it did not strike.
		f.fault.Times, f.fault.Match = -1, oneIn(30-i)
		ends[f.name] = s.Fail(f.fault)
	}
	return func() map[string]int {
		struck := map[string]int{}
		for name, end := range ends {
			struck[name] = end()
		}
		return struck
	}
}

// deploy uploads as a build server does that does not give up.
func deploy(t *testing.T, s *sandbox.Sandbox, path, content string) {
	t.Helper()
	for range 50 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Artifactory.URL()+"/artifactory/"+sandbox.Staging+"/"+path, strings.NewReader(content))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+sandbox.Developer)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusCreated {
			return
		}
	}
	t.Fatalf("%s was never taken", path)
}

// One request in five fails, one webhook in five is lost and one in five doubled, all are late and out of order, from
// the upload over the signature to the promotion and the sweep. Everything ends right, nothing is signed twice, and no
// property lies meanwhile.
func TestEverythingConverges(t *testing.T) {
	t.Parallel()
	const files, promoted, moved = 100, 20, 10
	s := start(t, sandbox.Config{Sweep: "{every: 500ms, delay: 1ms, pageSize: 200}", Workers: 24})
	require.NoError(t, s.Terminate())
	edit(t, s.Path("hallmark.yaml"), "queue:\n", "queue:\n  retryBase: 50ms\n")
	require.NoError(t, s.Serve(t.Context()))
	s.Artifactory.Distort(standin.Distortion{Loss: 0.2, Doubled: 0.2, Jitter: 100 * time.Millisecond, Seed: 3})
	end := observe(t, s, sandbox.Staging, sandbox.Release)
	mend := unreliable(s.Artifactory, 3)

	paths := make([]string, files)
	for i := range paths {
		paths[i] = fmt.Sprintf("app/%d/%02d.bin", i%10, i)
		deploy(t, s, paths[i], "content of "+paths[i])
	}
	awaitSigned(t, s, paths...)

	for _, args := range [][]string{{sandbox.Staging + "/app/0/"}, {sandbox.Staging + "/app/1/", "--move"}} {
		var report promotion.Report
		eventually(t, func() string { return fmt.Sprintf("promoted: %+v", report) }, func() bool {
			r := hallmark(t, s, append([]string{"promote", "--target", sandbox.Release, "--confirm", "-o", "json"}, args...)...)
			require.NotEqual(t, 1, r.code, "a failure is no refusal\n%s", r.out)
			if r.out == "" {
				return false
			}
			report = promotion.Report{}
			readJSON(t, r.out, &report)
			return r.code == 0
		})
	}
	for repo, n := range map[string]int64{sandbox.Staging: files - moved, sandbox.Release: promoted} {
		var sweep api.Sweep
		r := hallmark(t, s, "sweep", "--repo", repo, "--full", "-o", "json")
		require.Equal(t, 0, r.code, "%s%s", r.out, r.err)
		readJSON(t, r.out, &sweep)
		require.Equal(t, map[string]int64{"signed": n, "signature-file": 2 * n}, sweep.Findings, repo)
	}
	struck := mend()
	for how, n := range struck {
		require.Greater(t, n, 20, how)
	}
	end()
	require.InDelta(t, files, signaturesMade(t, s), 0, "each artifact once")
	for repo, n := range map[string]int{sandbox.Staging: files - moved, sandbox.Release: promoted} {
		require.Len(t, s.Artifactory.Paths(repo), 3*n)
		for _, path := range s.Artifactory.Paths(repo) {
			if strings.HasSuffix(path, ".bin") {
				f, _ := s.Artifactory.File(repo, path)
				require.Equal(t, []string{"signed"}, f.Properties["hallmark.state"], "%s/%s", repo, path)
				require.Equal(t, []string{f.SHA256}, f.Properties["hallmark.sha256"], "%s/%s", repo, path)
			}
		}
	}
}
