package signing_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// atHand lets nothing happen by itself.
var atHand = signing.SweepConfig{Off: true, Every: 40 * time.Millisecond, PageSize: 7}

// sweeper runs a sweep over the rig's service and a queue that works.
type sweeper struct {
	*signing.Sweeper
	r       *rig
	queue   *job.Queue
	metrics *prometheus.Registry
	stop    func()
}

func (r *rig) sweeper(cfg signing.SweepConfig) *sweeper {
	r.t.Helper()
	s := &sweeper{r: r, queue: r.queue(), metrics: prometheus.NewRegistry()}
	require.NoError(r.t, s.queue.Start(context.Background()))
	s.Sweeper = &signing.Sweeper{Service: r.service, Accept: s.queue.Accept, Standing: r.gate().Standing, Config: cfg}
	require.NoError(r.t, s.Init(s.metrics))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	s.stop = func() { cancel(); wg.Wait() }
	r.t.Cleanup(s.stop)
	return s
}

// run asks for a sweep and returns it when it has ended.
func (s *sweeper) run(want ledger.Sweep) ledger.Sweep {
	s.r.t.Helper()
	want.Instance = "main"
	if want.Repo == "" {
		want.Repo = repo
	}
	if want.Kind == "" {
		want.Kind = signing.SweepManual
	}
	run, err := s.Request(context.Background(), want)
	require.NoError(s.r.t, err)
	return s.await(run.ID)
}

func (s *sweeper) await(id int64) (run ledger.Sweep) {
	s.r.t.Helper()
	require.Eventually(s.r.t, func() bool {
		all, err := s.r.ledger.Sweeps(context.Background())
		if err != nil {
			return false
		}
		for _, one := range all {
			if one.ID == id {
				run = one
			}
		}
		return run.State == ledger.SweepDone
	}, waitFor, tick)
	return run
}

// found is what a run told, by path.
func (s *sweeper) found(run ledger.Sweep) map[string]string {
	s.r.t.Helper()
	list, err := s.r.ledger.Findings(context.Background(), run.ID, 10_000)
	require.NoError(s.r.t, err)
	found := map[string]string{}
	for _, f := range list {
		found[f.Path] = f.Name
		require.True(s.r.t, f.Repaired || f.Name == "unmarked" || len(f.Reasons) > 0, "%s %s: nobody learns what to do", f.Path, f.Name)
		for _, why := range f.Reasons {
			require.Contains(s.r.t, reason.Codes, why.Code)
			require.NotEmpty(s.r.t, why.Who)
		}
	}
	return found
}

func (s *sweeper) idle() {
	s.r.t.Helper()
	require.Eventually(s.r.t, func() bool {
		for _, p := range s.r.art.Paths(repo) {
			if waiting, err := s.r.ledger.Waiting(context.Background(), s.r.ref(p)); err != nil || waiting {
				return false
			}
		}
		return true
	}, waitFor, tick)
}

func (r *rig) put(path, content string, props map[string][]string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("mallory", repo, path, strings.NewReader(content), props))
}

// Everything that can be wrong in a repository is found for what it is, repaired when policy wants it, and found to be
// right the next time.
func TestSweepFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d, token: artifactorytest.CI, policy: twoPolicies().policy + `---
kind: SigningPolicy
name: single
owner: release-managers
match: {repositories: [` + repo + `], paths: ["one/**"]}
sign:
  - {key: ` + key + `, formats: [sigstore, raw]}
---
kind: GatePolicy
name: guarded
owner: release-managers
target: {repositories: [` + repo + `], paths: ["gate/**"]}
require: {signatures: [{keys: [` + key + `], count: 1, formats: [raw]}]}
`})
		s := r.sweeper(atHand)
		signed := []string{"fine", "overwritten", "damaged", "foreign", "deleted", "unmarked", "marked-wrongly", "owner-gone", "gated"}
		for _, name := range signed {
			r.upload("one/"+name+".tgz", name)
			require.NoError(t, r.do("one/"+name+".tgz"))
		}
		before := r.uses()
		signature, err := r.art.Content(repo, "one/gated.tgz.sig")
		require.NoError(t, err)

		r.upload("one/new.tgz", "new")
		r.upload(clashPath, "two policies want different things")
		r.upload("else/where.tgz", "no policy")
		r.upload("one/overwritten.tgz", "other bytes")
		r.put("one/damaged.tgz.sig", "damaged", nil)
		r.put("one/foreign.tgz.sig", string(signature), nil)
		require.NoError(t, r.art.Delete("mallory", repo, "one/deleted.tgz.sig"))
		require.NoError(t, r.client.Merge(t.Context(), r.ref("one/unmarked.tgz"), map[string][]string{"hallmark.state": nil}))
		require.NoError(t, r.client.Merge(t.Context(), r.ref("one/marked-wrongly.tgz"), map[string][]string{"hallmark.sha256": {strings.Repeat("0", 64)}}))
		require.NoError(t, r.art.Delete("mallory", repo, "one/owner-gone.tgz"))
		claim := map[string][]string{"hallmark.state": {"signed"}, "hallmark.sha256": {strings.Repeat("1", 64)}}
		r.put("one/lie.tgz", "lie", claim)
		r.put("else/lie.tgz", "lie", claim)
		r.upload("gate/unsigned.tgz", "gate")
		r.upload("gate/signed.tgz", "gated")
		r.put("gate/signed.tgz.sig", string(signature), nil)
		r.upload("gate/forged.tgz", "forged")
		r.put("gate/forged.tgz.sig", string(signature), nil)

		want := map[string]string{
			"one/new.tgz": "unsigned", clashPath: "refused", "one/overwritten.tgz": "overwritten", "one/damaged.tgz": "wrongly-signed",
			"one/foreign.tgz": "wrongly-signed", "one/marked-wrongly.tgz": "lying-property", "one/unmarked.tgz": "unmarked", "one/lie.tgz": "lying-property",
			"else/lie.tgz": "lying-property", "one/owner-gone.tgz.sig": "orphan", "one/owner-gone.tgz.sigstore.json": "orphan",
			"gate/unsigned.tgz": "unsigned", "gate/forged.tgz": "wrongly-signed", "one/deleted.tgz": "lying-property",
		}
		dry := s.run(ledger.Sweep{Kind: signing.SweepCheck})
		require.Equal(t, want, s.found(dry))
		require.Equal(t, len(r.art.Paths(repo)), int(dry.Items))
		require.EqualValues(t, 9, dry.Repaired, "would be")
		s.idle()
		require.Equal(t, before, r.uses(), "a check repairs nothing")

		run := s.run(ledger.Sweep{})
		require.Equal(t, want, s.found(run))
		require.EqualValues(t, 9, run.Repaired)
		s.idle()
		for _, name := range []string{"new", "damaged", "foreign", "deleted", "unmarked", "marked-wrongly", "fine", "lie"} {
			r.requireSigned("one/"+name+".tgz", name)
		}
		r.requireSigned("one/overwritten.tgz", "other bytes")
		require.Equal(t, 3, r.uses()-before, "new bytes alone need the key")
		require.Equal(t, []string{"denied"}, r.props(clashPath)["hallmark.state"])

		again := s.run(ledger.Sweep{})
		require.Equal(t, map[string]string{
			clashPath: "refused", "else/lie.tgz": "lying-property", "gate/unsigned.tgz": "unsigned", "gate/forged.tgz": "wrongly-signed",
			"one/owner-gone.tgz.sig": "orphan", "one/owner-gone.tgz.sigstore.json": "orphan",
		}, s.found(again), "what policy cannot repair is told again")
		require.Zero(t, again.Repaired)
	})
}

// A ledger that was lost makes nothing signed twice: what verifies is signed, whoever remembers.
func TestSweepBelievesSignaturesNotTheLedger(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{keys: map[string]hsm.Algorithm{key: algorithm}})
			for i := range 5 {
				path := fmt.Sprintf("app/%d.tgz", i)
				r.upload(path, path)
				require.NoError(t, r.do(path))
			}
			before := r.uses()
			require.NoError(t, r.ledger.Close())
			r.config.URL = ledgertest.URL(t, ledger.SQLite)
			r.boot()
			s := r.sweeper(atHand)
			run := s.run(ledger.Sweep{})
			require.Equal(t, map[string]int64{"signed": 5, "signature-file": 10}, run.Findings)
			require.Zero(t, run.Repaired)
			require.Equal(t, before, r.uses())
		})
	}
}

// In good order nothing is asked about single files, whatever their number.
func TestSweepIsCheap(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	const files = 60
	for i := range files {
		path := fmt.Sprintf("app/%02d.tgz", i)
		r.upload(path, path)
		require.NoError(t, r.do(path))
	}
	s := r.sweeper(signing.SweepConfig{Off: true, PageSize: 50})
	r.art.ForgetRequests()
	run := s.run(ledger.Sweep{})
	require.Equal(t, map[string]int64{"signed": files, "signature-file": 2 * files}, run.Findings)
	require.Equal(t, r.art.CountRequests(http.MethodPost, "/artifactory/api/search/aql"), len(r.art.Requests()), "queries and nothing else")
	require.LessOrEqual(t, len(r.art.Requests()), 2*(3*files/50+1))
}

// Webhooks never come. Sweeps by themselves sign everything that came since the service was there, and count what was
// lost; what an event announced is not counted.
func TestPeriodicSweepSignsWhatNobodyAnnounced(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	s := r.sweeper(signing.SweepConfig{Every: 50 * time.Millisecond, Delay: time.Millisecond, PageSize: 10})
	for i := range 40 {
		path := fmt.Sprintf("app/%02d.tgz", i)
		r.upload(path, path)
		if i%4 == 0 {
			ev := r.event(path)
			require.NoError(t, s.queue.Accept(t.Context(), ev))
		}
	}
	for i := range 40 {
		path := fmt.Sprintf("app/%02d.tgz", i)
		r.settled(path, ledger.Signed)
		r.requireSigned(path, path)
	}
	require.Equal(t, 40, r.uses())
	require.Eventually(t, func() bool { return sum(t, s.metrics, "hallmark_sweep_lost_events_total") == 30 }, waitFor, tick)
	require.Eventually(t, func() bool {
		families, err := s.metrics.Gather()
		if err != nil {
			return false
		}
		for _, f := range families {
			if f.GetName() == "hallmark_sweep_last_success_timestamp_seconds" {
				return time.Since(time.UnixMilli(int64(f.GetMetric()[0].GetGauge().GetValue()*1e3))) < waitFor
			}
		}
		return false
	}, waitFor, tick)
	// Sweeps overlap; nothing is counted twice for it.
	all, err := r.ledger.Sweeps(t.Context())
	require.NoError(t, err)
	first := all[0].ID
	require.Eventually(t, func() bool {
		all, err := r.ledger.Sweeps(context.Background())
		return err == nil && all[0].ID > first+2
	}, waitFor, tick)
	require.InDelta(t, 30, sum(t, s.metrics, "hallmark_sweep_lost_events_total"), 0)
	require.Equal(t, 40, r.uses())
}

// What was there before Hallmark is left alone until somebody asks for it.
func TestPeriodicSweepLeavesThePastAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/old.tgz", "old")
	time.Sleep(3 * time.Millisecond) // times have milliseconds
	s := r.sweeper(signing.SweepConfig{Every: 30 * time.Millisecond, Delay: time.Nanosecond, Overlap: time.Nanosecond})
	var seen ledger.Sweep
	require.Eventually(t, func() bool {
		all, err := r.ledger.Sweeps(context.Background())
		if err != nil || len(all) == 0 {
			return false
		}
		seen = all[0]
		return seen.State == ledger.SweepDone
	}, waitFor, tick)
	r.upload("app/new.tgz", "new")
	r.settled("app/new.tgz", ledger.Signed)
	require.Empty(t, r.outcome("app/old.tgz").State)
	run := s.run(ledger.Sweep{Kind: signing.SweepBackfill, Prefix: "app"})
	require.EqualValues(t, 1, run.Findings["unsigned"])
	require.Zero(t, run.Lost, "nobody promised events for what was there before")
	r.settled("app/old.tgz", ledger.Signed)
}

// A run continues where the last process ended, and the artifacts in between are signed once.
func TestSweepContinues(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		const files = 40
		for i := range files {
			path := fmt.Sprintf("app/%02d.tgz", i)
			r.upload(path, path)
		}
		s := r.sweeper(atHand)
		run, err := s.Request(t.Context(), ledger.Sweep{Instance: "main", Repo: repo, Kind: signing.SweepBackfill, Rate: 15})
		require.NoError(t, err)
		_, err = s.Request(t.Context(), ledger.Sweep{Instance: "main", Repo: repo, Kind: signing.SweepBackfill})
		require.ErrorIs(t, err, ledger.ErrSweeping)
		items := func() int64 {
			all, err := r.ledger.Sweeps(context.Background())
			require.NoError(t, err)
			return all[0].Items
		}
		require.Eventually(t, func() bool { return items() > 0 }, waitFor, tick)
		s.stop()
		require.NoError(t, s.queue.Stop(context.Background()))
		was := items()
		require.Less(t, was, int64(files))
		r.restart()
		s = r.sweeper(atHand)
		r.art.ForgetRequests()
		run = s.await(run.ID)
		require.EqualValues(t, files, run.Items-run.Findings["signature-file"], "each once")
		s.idle()
		for i := range files {
			path := fmt.Sprintf("app/%02d.tgz", i)
			r.settled(path, ledger.Signed)
		}
		require.Equal(t, files, r.uses())
	})
}

// Artifactory fails one request in five, in every way it can. Everything is signed, once.
func TestSweepOverAServerThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{client: func(c *artifactory.Config) { c.Retries = 3 }})
	const files = 40
	for i := range files {
		path := fmt.Sprintf("app/%02d.tgz", i)
		r.upload(path, path)
	}
	var mu sync.Mutex
	n := 0
	oneIn := func(k, of int) func(*http.Request) bool {
		return func(q *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if k == 0 {
				n++
			}
			return n%of == k
		}
	}
	r.art.Fail(standin.Fault{Times: -1, Match: oneIn(0, 20), Status: http.StatusServiceUnavailable})
	r.art.Fail(standin.Fault{Times: -1, Match: oneIn(5, 20), Reset: true})
	r.art.Fail(standin.Fault{Times: -1, Match: oneIn(10, 20), Truncate: 40})
	r.art.Fail(standin.Fault{Times: -1, Match: oneIn(15, 20), When: standin.After, Status: http.StatusBadGateway})
	s := r.sweeper(atHand)
	run := s.run(ledger.Sweep{})
	require.EqualValues(t, files, run.Findings["unsigned"])
	for i := range files {
		path := fmt.Sprintf("app/%02d.tgz", i)
		r.settled(path, ledger.Signed)
		r.requireSigned(path, path)
	}
	require.Equal(t, files, r.uses())
	last := s.run(ledger.Sweep{})
	require.EqualValues(t, files, last.Findings["signed"], "%v", last.Findings)
}

func TestSweepWaitsAsArtifactoryAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/a.tgz", "a")
	r.art.Fail(standin.Fault{Path: "/artifactory/api/search/aql", Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Second})
	s := r.sweeper(atHand)
	began := time.Now()
	run := s.run(ledger.Sweep{})
	require.GreaterOrEqual(t, time.Since(began), 2*time.Second)
	require.EqualValues(t, 1, run.Repaired)
	require.Empty(t, run.Problem)
}

// An event list in a policy does not keep the sweep from repairing: which event was lost cannot be known.
func TestSweepIsNotHeldToEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: strings.Replace(oneKey, `paths: ["app/**"]`, `paths: ["app/**"], events: [artifact/deployed]`, 1)})
	r.upload("app/a.tgz", "a")
	require.EqualValues(t, 1, r.sweeper(atHand).run(ledger.Sweep{}).Repaired)
	r.settled("app/a.tgz", ledger.Signed)
}

func TestSweepConfig(t *testing.T) {
	t.Parallel()
	require.NoError(t, signing.SweepConfig{}.Validate())
	err := signing.SweepConfig{Every: -1, FullEvery: -1, Delay: -1, Overlap: -1, PageSize: 2001}.Validate()
	for _, name := range []string{"every", "fullEvery", "delay", "overlap", "pageSize"} {
		require.ErrorContains(t, err, name)
	}
	require.Error(t, (&signing.Sweeper{}).Init(prometheus.NewRegistry()))
	_, err = newRig(t, setup{noMatch: policy.Skip}).sweeper(atHand).Request(t.Context(), ledger.Sweep{Instance: "other"})
	require.ErrorContains(t, err, `"other"`)
}
