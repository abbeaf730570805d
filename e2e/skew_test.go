package e2e

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// settableClock is Artifactory's, so far ahead of ours.
type settableClock struct{ ahead atomic.Int64 }

func (c *settableClock) set(d time.Duration) { c.ahead.Store(int64(d)) }
func (c *settableClock) now() time.Time      { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Artifactory's clock is wrong by an hour, and is put right while Hallmark runs. The sweep finds everything that no event
// announced, at once; it counts exactly those events as lost; what is asked for by hand sees the newest files, too.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock settableClock
			clock.set(skew)
			var c sandbox.Config
			shim := counted(t, &c)
			// Files are left to their webhooks for as long as a busy machine takes to deliver them.
			c.Sweep, c.Standin = "{every: 200ms, delay: 4s, pageSize: 20}", func(c *standin.Config) { c.Now = clock.now }
			s := start(t, c)
			before := shim.Calls(t, "C_Sign")

			const each = 5
			number := 0
			put := func(announced bool) (paths []string) {
				s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return !announced }, Omit: []string{"sha256"}})
				for range each {
					number++
					path := fmt.Sprintf("app/skew/%02d.bin", number)
					upload(t, s, path, "content of "+path)
					paths = append(paths, path)
				}
				return paths
			}
			lost := func() int { return int(scrape(t, s).value("hallmark_sweep_lost_events_total")) }
			phase := func(want int) {
				t.Helper()
				awaitSigned(t, s, put(true)...)
				awaitSigned(t, s, put(false)...)
				eventually(t, func() string { return fmt.Sprintf("%d lost, want %d", lost(), want) }, func() bool { return lost() == want })
			}
			phase(each)
			r := hallmark(t, s, "sweep", "--repo", sandbox.Staging, "--since", "1m", "--dry-run", "-o", "json")
			var report api.Sweep
			readJSON(t, r.out, &report)
			require.EqualValues(t, 2*each, report.Findings["signed"], "a sweep by hand goes by the same clock: %s", r.out)

			clock.set(0) // a time server is found; ahead, this makes an hour happen twice
			phase(2 * each)
			clock.set(-skew)
			phase(3 * each)
			require.Equal(t, 6*each, shim.Calls(t, "C_Sign")-before)
			require.Len(t, s.Artifactory.Paths(sandbox.Staging), 3*6*each)
		})
	}
}
