package signing_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const (
	buildName   = "my app"
	buildNumber = "7"
	buildBegan  = "2026-11-21T21:26:55.486+0200" // 1795289215486
	buildRecord = "my app/7-1795289215486.json"
	buildRepo   = "artifactory-build-info"
)

// buildPolicy signs what arrives in the release repository by a build's promotion, and nothing else there.
var buildPolicy = strings.NewReplacer("artifact/copied, artifact/moved", "build/promoted, build/uploaded").Replace(followPolicy(devKey))

func twoLanes() setup {
	return setup{policy: buildPolicy, keys: map[string]hsm.Algorithm{key: hsm.P256, devKey: hsm.P256}, token: artifactorytest.CI}
}

// ci sends a request as CI does.
func (r *rig) ci(method, target, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.art.URL()+"/artifactory/api/"+target, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Contains(r.t, []int{http.StatusOK, http.StatusNoContent}, resp.StatusCode)
}

// built uploads files, by path, as CI does, and publishes the build-info that names them.
func (r *rig) built(files map[string]string) {
	r.t.Helper()
	type entry struct {
		Name string `json:"name"`
		SHA1 string `json:"sha1"`
	}
	var entries []entry
	for path, content := range files {
		props := map[string][]string{"build.name": {buildName}, "build.number": {buildNumber}}
		require.NoError(r.t, r.art.Put("ci", repo, path, strings.NewReader(content), props))
		sum := sha1.Sum([]byte(content))
		entries = append(entries, entry{path[strings.LastIndexByte(path, '/')+1:], hex.EncodeToString(sum[:])})
	}
	r.published(entries)
}

func (r *rig) published(entries any) {
	r.t.Helper()
	doc, err := json.Marshal(map[string]any{
		"name": buildName, "number": buildNumber, "started": buildBegan, "modules": []any{map[string]any{"id": "m", "artifacts": entries}},
	})
	require.NoError(r.t, err)
	r.ci(http.MethodPut, "build", string(doc))
}

// promoteBuild promotes by copy to a repository, at a time.
func (r *rig) promoteBuild(to string, at time.Time) {
	r.t.Helper()
	r.ci(http.MethodPost, "build/promote/my%20app/7", fmt.Sprintf(`{"status":"released","timestamp":%q,"targetRepo":%q,"copy":true}`, at.Format("2006-01-02T15:04:05.000-0700"), to))
}

func (r *rig) buildEvent(typ string) ledger.Event {
	ev := r.event(buildRecord)
	ev.Domain, ev.Type, ev.Repo, ev.Lane, ev.Key = "build", typ, buildRepo, job.Promotion, typ
	return ev
}

// build is the ledger's present state of the build's record.
func (r *rig) build() ledger.Status {
	r.t.Helper()
	st, err := r.ledger.Status(context.Background(), artifact.Ref{Instance: "main", Repo: buildRepo, Path: buildRecord})
	if err != nil {
		require.ErrorIs(r.t, err, ledger.ErrUnknown)
	}
	return st
}

func (r *rig) stateIn(repo, path string) ledger.State {
	r.t.Helper()
	st, err := r.ledger.Status(context.Background(), artifact.Ref{Instance: "main", Repo: repo, Path: path})
	if err != nil || st.Pending {
		return ""
	}
	return st.Current.State
}

// requireReleased waits until every file is signed in the release repository as its policy demands.
func (r *rig) requireReleased(files map[string]string) {
	r.t.Helper()
	for path, content := range files {
		require.Eventually(r.t, func() bool { return r.stateIn(releaseRepo, path) == ledger.Signed }, waitFor, tick, path)
		for suffix, format := range map[string]string{".sigstore.json": "sigstore", ".sig": "raw"} {
			r.holds(key, path+suffix, format, content)
		}
		f, _ := r.art.File(releaseRepo, path)
		require.Equal(r.t, []string{"signed"}, f.Properties["hallmark.state"], path)
		require.Equal(r.t, []string{key}, f.Properties["hallmark.keys"], path)
	}
}

// A promoted build ends in one piece of work per artifact where it was promoted to, whether properties came along or not.
func TestPromotedBuild(t *testing.T) {
	t.Parallel()
	for _, copied := range []string{"follow", "drop"} {
		ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
			s := twoLanes()
			s.dialect, s.quirks = d, standin.Quirks{Copied: copied}
			r := newRig(t, s)
			q := r.queue()
			files := map[string]string{"a/1.tgz": "one", "a/same.tgz": "one", "b/2.tgz": "two", "ü +#%/x y": "three"}
			r.built(files)
			r.promoteBuild(releaseRepo, time.Now())
			require.NoError(t, r.art.Put("ci", releaseRepo, "a/1.tgz.sig.sig", strings.NewReader("x"), map[string][]string{"build.name": {buildName}, "build.number": {buildNumber}}))
			require.NoError(t, q.Accept(t.Context(), r.buildEvent("promoted")))
			require.NoError(t, q.Start(t.Context()))
			r.requireReleased(files)
			require.Equal(t, 3, r.uses(), "one for each content: the same bytes at two paths share theirs")
			st := r.build()
			require.Equal(t, ledger.Expanded, st.Current.State)
			require.Equal(t, 4, st.Current.Parts)
			require.Empty(t, r.stateIn(repo, "a/1.tgz"), "what stays in staging is not worked on again")

			require.NoError(t, q.Accept(t.Context(), r.buildEvent("promoted")), "again")
			require.NoError(t, q.Accept(t.Context(), r.buildEvent("uploaded")))
			require.Eventually(t, func() bool { return r.stateIn(repo, "b/2.tgz") == ledger.Signed }, waitFor, tick, "everywhere")
			r.requireReleased(files)
			require.LessOrEqual(t, r.uses(), 6, "development keys in staging, nothing twice")
		})
	}
}

// What is lacking is said, and what is there is worked on.
func TestIncompleteBuild(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLanes())
	var ordered []ledger.Event
	r.order = func(_ context.Context, events []ledger.Event) error { ordered = append(ordered, events...); return nil }
	r.built(map[string]string{"a": "one"})
	require.NoError(t, r.art.Put("ci", repo, "evil", strings.NewReader("evil"), map[string][]string{"build.name": {buildName}, "build.number": {buildNumber}}))
	sum := sha1.Sum([]byte("one"))
	r.published([]map[string]string{{"name": "a", "sha1": hex.EncodeToString(sum[:])}, {"name": "without"}, {"name": "away", "sha1": strings.Repeat("a", 40)}})
	ev := r.buildEvent("uploaded")
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.Len(t, ordered, 1)
	require.Equal(t, ledger.Event{Instance: "main", Domain: "build", Type: "uploaded", Repo: repo, Path: "a", Key: ordered[0].Key, ReceivedAt: ev.ReceivedAt, Lane: job.Promotion}, ordered[0])
	now := r.build().Current
	require.Equal(t, ledger.Expanded, now.State)
	require.Equal(t, 1, now.Parts)
	require.Equal(t, []reason.Code{reason.BuildIncomplete}, codes(now))
	for _, said := range []string{"evil has other bytes", "without has no digest", "away (SHA-1 aaaa"} {
		require.Contains(t, now.Reasons[0].Found, said)
	}
	require.Contains(t, now.Reasons[0].Fix, "hallmark sign "+buildRepo+"/"+buildRecord)
}

// An event may come before the promotion is on record, and another promotion may be there already.
func TestPromotionThatIsNotOnRecordYet(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLanes())
	var places []string
	r.order = func(_ context.Context, events []ledger.Event) error {
		for _, e := range events {
			places = append(places, e.Repo)
		}
		return nil
	}
	ev := r.buildEvent("promoted")
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.Equal(t, ledger.Gone, r.build().Current.State)
	r.built(map[string]string{"a": "one"})
	require.ErrorIs(t, r.service.Do(t.Context(), ev), artifact.ErrUnpromoted)
	require.Equal(t, []reason.Code{reason.NotPromoted}, codes(r.build().Current))

	require.NoError(t, r.art.AddRepository(standin.Repository{Key: "qa-local"}))
	r.promoteBuild("qa-local", time.Now().Add(-time.Hour))
	ev = r.buildEvent("promoted")
	require.ErrorContains(t, r.service.Do(t.Context(), ev), "before the event")
	require.Empty(t, places)
	r.promoteBuild(releaseRepo, time.Now())
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.ElementsMatch(t, []string{"qa-local", releaseRepo}, places)

	places, ev.ReceivedAt = nil, time.Now().Add(-time.Minute)
	require.NoError(t, r.service.Do(t.Context(), ev), "no event waits for long")
}

func TestAFullQueueDelaysAnExpansion(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLanes())
	r.built(map[string]string{"a": "one"})
	r.order = func(context.Context, []ledger.Event) error { return fmt.Errorf("backlog: %w", job.ErrFull) }
	require.ErrorIs(t, r.service.Do(t.Context(), r.buildEvent("uploaded")), job.ErrFull)
	require.Zero(t, r.build().Current, "nothing is wrong with the build")
}

// Two builds are looked into at once. A third steps back and leaves its worker to others.
func TestFewExpansionsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLanes())
	r.built(map[string]string{"a": "one"})
	within, release := make(chan struct{}), make(chan struct{})
	r.order = func(context.Context, []ledger.Event) error { within <- struct{}{}; <-release; return nil }
	done := make(chan error)
	for range 2 {
		go func() { done <- r.service.Do(context.WithoutCancel(t.Context()), r.buildEvent("uploaded")) }()
		<-within
	}
	require.ErrorContains(t, r.service.Do(t.Context(), r.buildEvent("uploaded")), "other builds and release bundles are being looked into")
	require.Zero(t, r.build().Current, "nothing is wrong with the build")
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	r.order = func(context.Context, []ledger.Event) error { return nil }
	require.NoError(t, r.service.Do(t.Context(), r.buildEvent("uploaded")))
	require.Equal(t, ledger.Expanded, r.build().Current.State)
}

// A process that dies between two pages orders the rest when it comes back, and nothing that waits twice.
func TestExpansionIsCutOff(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		s := twoLanes()
		s.dialect, s.policy = d, oneKey // nothing here matches: the work is quick
		r := newRig(t, s)
		files := map[string]string{}
		for i := range 5000 {
			files[fmt.Sprintf("lib/%d/%d.tgz", i%7, i)] = fmt.Sprint(i % 4000)
		}
		r.built(files)
		q := r.queue()
		pages, largest := 0, 0
		r.order = func(ctx context.Context, events []ledger.Event) error {
			if pages++; pages == 3 {
				return errCut
			}
			largest = max(largest, len(events))
			return q.AcceptMany(ctx, events)
		}
		ev := r.buildEvent("uploaded")
		require.ErrorIs(t, r.service.Do(t.Context(), ev), errCut)
		require.Equal(t, 2000, r.jobs())
		require.NotEqual(t, ledger.Expanded, r.build().Current.State)

		require.NoError(t, q.Stop(t.Context()))
		r.restart()
		q = r.queue()
		require.NoError(t, r.service.Do(t.Context(), ev))
		require.Equal(t, 5000, r.jobs())
		require.Equal(t, 1000, largest)
		require.Equal(t, 5000, r.build().Current.Parts)
	})
}

// jobs counts the work that waits.
func (r *rig) jobs() (n int) {
	r.t.Helper()
	require.NoError(r.t, r.ledger.Reader().QueryRowContext(context.Background(), "SELECT count(*) FROM river_job WHERE state = 'available'").Scan(&n))
	return n
}

// Every fifth request fails in some way, and a build's promotion still ends as it should, with no key used twice.
func TestPromotedBuildConverges(t *testing.T) {
	t.Parallel()
	r := newRig(t, twoLanes())
	files := map[string]string{}
	for i := range 150 {
		files[fmt.Sprintf("lib/%d.tgz", i)] = fmt.Sprint(i % 100)
	}
	r.built(files)
	r.promoteBuild(releaseRepo, time.Now())
	dice := func(*http.Request) bool { return rand.N(25) == 0 } // #nosec G404 -- any will do
	for _, f := range []standin.Fault{{Status: http.StatusServiceUnavailable}, {Reset: true}, {Truncate: 50}, {When: standin.After, Status: http.StatusBadGateway}, {Drip: drip}} {
		f.Times, f.Match = -1, dice
		r.art.Fail(f)
	}
	q := r.queue()
	require.NoError(t, q.Accept(t.Context(), r.buildEvent("promoted")))
	require.NoError(t, q.Start(t.Context()))
	require.Eventually(t, func() bool { return r.build().Current.State == ledger.Expanded }, waitFor, tick)
	r.requireReleased(files)
	require.Equal(t, 100, r.uses())
	require.Equal(t, 150, r.build().Current.Parts)
}
