package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// eager sweeps without the patience that real clocks need.
const eager = "{every: 200ms, delay: 1ms, pageSize: 20}"

func readJSON(t *testing.T, out string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(out), into), out)
}

// share strikes one request in so many.
func share(of int64) func(*http.Request) bool {
	var n atomic.Int64
	return func(*http.Request) bool { return n.Add(1)%of == 0 }
}

// Every webhook is lost. Everything is signed nevertheless, and the metrics say how many were lost.
func TestEveryWebhookLost(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c sandbox.Config) {
		c.Sweep = eager
		s := start(t, c)
		s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
		paths := make([]string, 50)
		for i := range paths {
			paths[i] = fmt.Sprintf("app/lost/%02d.bin", i)
			upload(t, s, paths[i], "content of "+paths[i])
		}
		awaitSigned(t, s, paths...)
		require.Empty(t, s.Artifactory.Deliveries())
		for _, path := range paths {
			require.Equal(t, rawSignature(t, s, path), bundledSignature(t, s, path), "two files, one signature: %s", path)
		}
		lost := func() string { return fmt.Sprint(scrape(t, s).value("hallmark_sweep_lost_events_total")) }
		eventually(t, lost, func() bool { return lost() == "50" })
		eventually(t, func() string { return "a sweep that has nothing to do" }, func() bool {
			var report api.Sweep
			r := hallmark(t, s, "sweep", "--repo", sandbox.Staging, "--since", "1h", "-o", "json")
			require.NotEmpty(t, r.out, r.err)
			readJSON(t, r.out, &report)
			return r.code == 0 && report.Findings["signed"] == 50 && report.Repaired == 0
		})
		require.Equal(t, "50", lost(), "nothing is counted twice")
		require.Len(t, s.Artifactory.Paths(sandbox.Staging), 3*len(paths))
	})
}

// Hallmark is down for hours, and JFrog gives up its events. What came meanwhile is signed when it is back.
func TestAnOutageEndsWithEverythingSigned(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: eager, Timing: standin.WebhookTiming{Tries: 1, Pause: 10 * time.Millisecond}})
	upload(t, s, "app/before.bin", "before")
	awaitSigned(t, s, "app/before.bin")
	eventually(t, func() string { return "a periodic sweep has seen it" }, func() bool {
		all, err := (&api.Client{URL: s.URL, Token: s.Secret("caller")}).Sweeps(t.Context())
		return err == nil && len(all) > 0 && all[0].Kind == "periodic" && all[0].Items > 0
	})
	require.NoError(t, s.Kill())
	for i := range 30 {
		upload(t, s, fmt.Sprintf("app/meanwhile/%02d.bin", i), fmt.Sprint("meanwhile ", i))
	}
	require.NoError(t, s.Artifactory.WaitDelivered(t.Context()))
	require.NoError(t, s.Serve(t.Context()))
	for i := range 30 {
		awaitSigned(t, s, fmt.Sprintf("app/meanwhile/%02d.bin", i))
	}
}

// The service is killed in the middle of a backfill of what was there before it, and goes on where it was. The same
// command then follows it to its end. Nothing is signed twice.
func TestKilledDuringBackfill(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c sandbox.Config) {
		const files = 120
		shim := counted(t, &c)
		c.Sweep = "{off: true, pageSize: 10}"
		s := start(t, c)
		s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
		paths := make([]string, files)
		for i := range paths {
			paths[i] = fmt.Sprintf("app/old/%03d.bin", i)
			upload(t, s, paths[i], "content of "+paths[i])
		}
		before := shim.Calls(t, "C_Sign")
		dry := hallmark(t, s, "backfill", sandbox.Staging+"/app/old", "--dry-run")
		require.Equal(t, 1, dry.code, "something is to be done\n%s%s", dry.out, dry.err)
		require.Contains(t, dry.out, "120  would be ordered to be signed")
		require.Equal(t, before, shim.Calls(t, "C_Sign"))

		client := &api.Client{URL: s.URL, Token: s.Secret("caller")}
		order := api.SweepRequest{Repository: sandbox.Staging, Prefix: "app/old", Backfill: true, Rate: 40}
		run, err := client.Sweep(t.Context(), order)
		require.NoError(t, err)
		var at api.Sweep
		eventually(t, func() string { return fmt.Sprintf("the backfill has begun: %+v", at) }, func() bool {
			at, err = client.SweepStatus(t.Context(), run.ID)
			return err == nil && at.Items >= 20
		})
		require.NoError(t, s.Kill())
		require.Less(t, at.Items, int64(files))
		require.NoError(t, s.Serve(t.Context()))

		r := hallmark(t, s, "backfill", sandbox.Staging+"/app/old", "-o", "json")
		require.Equal(t, 0, r.code, "%s%s", r.out, r.err)
		require.Contains(t, r.err, fmt.Sprintf("taking up number %d", run.ID))
		var report api.Sweep
		readJSON(t, r.out, &report)
		require.Equal(t, run.ID, report.ID)
		require.Equal(t, "done", report.State)
		require.EqualValues(t, files, report.Items-report.Findings["signature-file"], "each file once: %+v", report)
		require.Zero(t, report.LostEvents)
		awaitSigned(t, s, paths...)
		require.NoError(t, s.Terminate())
		require.LessOrEqual(t, shim.Calls(t, "C_Sign")-before-1, files+32, "what a kill kept from being recorded, and nothing else, is made again")
		require.Equal(t, [3]int{2 * files, files, files}, ledgerCounts(t, s.Database), "each signature once")
	})
}

// Artifactory fails one request in five in every way, and no webhook arrives. Everything converges.
func TestSweepOverFaults(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: eager})
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	paths := make([]string, 60)
	for i := range paths {
		paths[i] = fmt.Sprintf("app/faults/%02d.bin", i)
		upload(t, s, paths[i], "content of "+paths[i])
	}
	for _, f := range []standin.Fault{{Status: http.StatusServiceUnavailable}, {Reset: true}, {Truncate: 30}, {Status: http.StatusBadGateway, When: standin.After}} {
		f.Times, f.Match = -1, share(20)
		s.Artifactory.Fail(f)
	}
	awaitSigned(t, s, paths...)
	for _, path := range paths {
		require.Equal(t, rawSignature(t, s, path), bundledSignature(t, s, path), "two files, one signature: %s", path)
	}
	require.InDelta(t, 60, scrape(t, s).value("hallmark_sweep_lost_events_total"), 0)
}

func TestSweepSaysWhatItFinds(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: "{off: true}"})
	upload(t, s, "app/good.bin", "good")
	awaitSigned(t, s, "app/good.bin")
	require.NoError(t, s.Artifactory.Put(sandbox.Annotator, sandbox.Staging, "app/gone.bin.sig", strings.NewReader("?"), nil))
	r := hallmark(t, s, "sweep", "--repo", sandbox.Staging, "--full")
	require.Equal(t, 1, r.code, "%s%s", r.out, r.err)
	require.Contains(t, r.out, "orphan  app/gone.bin.sig\n")
	require.Contains(t, r.out, "signature-orphaned")
	for _, args := range [][]string{
		{"sweep"}, {"sweep", "--repo", "a/b"}, {"sweep", "--repo", sandbox.Staging, "--since", "soon"}, {"sweep", "--repo", sandbox.Staging, "--since", "1h", "--full"},
		{"backfill"}, {"backfill", sandbox.Staging, "--rate", "-1"},
	} {
		r := hallmark(t, s, args...)
		require.Equal(t, 2, r.code, "%v: %s%s", args, r.out, r.err)
		require.NotEmpty(t, r.err)
	}
}
