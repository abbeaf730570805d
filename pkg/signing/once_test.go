package signing_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// queue runs the rig's service the way the program does.
func (r *rig) queue() *job.Queue {
	r.t.Helper()
	q, err := job.New(r.ledger, job.Config{Workers: 8, RetryBase: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond}, job.Options{Log: r.service.Log},
		func(ctx context.Context, w job.Work) error { return r.service.Do(ctx, w.Event) })
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, q.Stop(context.Background())) })
	r.order = q.AcceptMany
	return q
}

// settled waits until no work is left on an artifact and it has ended like this.
func (r *rig) settled(path string, state ledger.State) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		st, err := r.ledger.Status(context.Background(), r.ref(path))
		return err == nil && !st.Pending && st.Current.State == state
	}, waitFor, tick, path)
}

// Invariant 9: same bytes, same rule, same key: one signature.
func TestSameBytesSameRuleSameKeyIsOneSignature(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		r.upload("app/a.tgz", "hello")
		for range 3 {
			require.NoError(t, r.do("app/a.tgz"), "a replay")
		}
		r.restart()
		require.NoError(t, r.do("app/a.tgz"), "a restart")
		r.upload("app/promoted/a.tgz", "hello")
		require.NoError(t, r.do("app/promoted/a.tgz"), "the same bytes elsewhere")
		r.requireSigned("app/a.tgz", "hello")
		r.requireSigned("app/promoted/a.tgz", "hello")
		require.Equal(t, 1, r.uses())
		require.Equal(t, [3]int{0, 1, 0}, r.intents())
		require.InDelta(t, 2, sum(t, r.metrics, "hallmark_signatures_reused_total"), 0, "since the restart")
		for path, pulls := range map[string]int{"app/a.tgz": 1, "app/promoted/a.tgz": 0} {
			files := r.art.CountRequests(http.MethodGet, "/artifactory/"+repo+"/"+path+".")
			require.Equal(t, pulls, r.art.CountRequests(http.MethodGet, "/artifactory/"+repo+"/"+path)-files, "bytes that are signed are not pulled again")
		}
	})
}

func TestConcurrentDuplicatesEndInOneSignature(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		paths := []string{"app/a.tgz", "app/b.tgz", "app/c/a.tgz"}
		for _, p := range paths {
			r.upload(p, "hello")
		}
		q := r.queue()
		var wg sync.WaitGroup
		for i := range 60 {
			ev := r.event(paths[i%len(paths)])
			ev.Key = fmt.Sprint(i) // or else the queue would coalesce them
			wg.Go(func() { require.NoError(t, q.Accept(context.Background(), ev)) })
		}
		wg.Wait()
		require.NoError(t, q.Start(t.Context()))
		for _, p := range paths {
			r.settled(p, ledger.Signed)
			r.requireSigned(p, "hello")
		}
		require.Equal(t, 1, r.uses())
		require.Equal(t, 1, r.intents()[1])
		require.Zero(t, r.intents()[0])
	})
}

func TestDoFromManyGoroutinesEndsInOneSignature(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		r.upload("app/a.tgz", "hello")
		var wg sync.WaitGroup
		for range 40 {
			ev := r.event("app/a.tgz")
			wg.Go(func() {
				for deadline := time.Now().Add(waitFor); time.Now().Before(deadline); time.Sleep(tick) { // the queue's pauses
					if r.service.Do(context.Background(), ev) == nil {
						return
					}
				}
				t.Error("does not converge")
			})
		}
		wg.Wait()
		r.requireSigned("app/a.tgz", "hello")
		require.Equal(t, 1, r.uses())
	})
}

func TestReorderedEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI})
	first := r.event("app/a.tgz")
	require.NoError(t, r.service.Do(t.Context(), first), "the event of a file that is deleted by now")
	require.Equal(t, ledger.Gone, r.outcome("app/a.tgz").State)
	r.upload("app/a.tgz", "one")
	require.NoError(t, r.do("app/a.tgz"))
	r.upload("app/a.tgz", "two")
	require.NoError(t, r.do("app/a.tgz"))
	r.requireSigned("app/a.tgz", "two")
	require.NoError(t, r.service.Do(t.Context(), first), "late")
	r.requireSigned("app/a.tgz", "two")
	r.upload("app/a.tgz", "one")
	require.NoError(t, r.do("app/a.tgz"), "back to what was there before")
	r.requireSigned("app/a.tgz", "one")
	require.Equal(t, 2, r.uses())
}

func TestASecondKeyOrFormatAddsWhatIsMissing(t *testing.T) {
	t.Parallel()
	two := twoKeys()
	r := newRig(t, setup{keys: two.keys, policy: strings.ReplaceAll(oneKey, "[sigstore, raw]", "[sigstore]")})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	r.setPolicy(policy.Skip, two.policy)
	require.NoError(t, r.do("app/a.tgz"))
	r.requireSigned("app/a.tgz", "hello", "app/a.tgz.sigstore.json", "app/a.tgz.second-2026.sigstore.json")
	require.Equal(t, 2, r.uses(), "one for each key")
	require.Equal(t, []string{key, "second-2026"}, r.props("app/a.tgz")["hallmark.keys"])
	content, err := r.art.Content(repo, "app/a.tgz.second-2026.sigstore.json")
	require.NoError(t, err)
	require.Equal(t, "second-2026", r.verifies("app/a.tgz.second-2026.sigstore.json", []byte("hello"), content))
}

// A key whose signatures are not over SHA-256 needs the bytes to check what the ledger has kept, but no second use.
func TestReuseWithAnotherHash(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{keys: map[string]hsm.Algorithm{key: hsm.P384}})
	r.upload("app/a.tgz", "hello")
	r.upload("app/b.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	require.NoError(t, r.do("app/b.tgz"))
	r.requireSigned("app/b.tgz", "hello")
	require.Equal(t, 1, r.uses())
}

// A pull that takes longer than a lease keeps it: duplicates that come meanwhile do not sign too.
func TestALongPullKeepsItsLease(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d, ledger: func(c *ledger.Config) { c.Lease = time.Second }})
		r.upload("app/a.tgz", "hello")
		pulling := make(chan struct{})
		r.art.Fail(standin.Fault{Method: http.MethodGet, Path: atFiles, Match: func(*http.Request) bool { close(pulling); return true }, Delay: 2500 * time.Millisecond})
		done := make(chan error, 1)
		ev := r.event("app/a.tgz")
		go func() { done <- r.service.Do(context.Background(), ev) }()
		<-pulling
		r.converge("app/a.tgz")
		require.NoError(t, <-done)
		r.requireSigned("app/a.tgz", "hello")
		require.Equal(t, 1, r.uses())
		require.Equal(t, [3]int{0, 1, 0}, r.intents())
	})
}

// Another process took the lease while this one was away, and it noticed: the key is not used here, and the work comes
// back when the other's lease is over too.
func TestALostLeaseStopsTheWork(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{ledger: func(c *ledger.Config) { c.Lease = 600 * time.Millisecond }})
	digest := r.upload("app/a.tgz", "hello")
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: atFiles, Delay: time.Minute, Match: func(*http.Request) bool {
		r.takeOver(digest.String())
		return true
	}})
	q := r.queue()
	require.NoError(t, q.Accept(t.Context(), r.event("app/a.tgz")))
	require.NoError(t, q.Start(t.Context()))
	r.settled("app/a.tgz", ledger.Signed)
	require.NoError(t, q.Stop(t.Context()))
	r.requireSigned("app/a.tgz", "hello")
	require.Equal(t, 1, r.uses())
	log := r.log.all(t)
	for _, line := range log[:len(log)-1] {
		require.Equal(t, "later", line["outcome"], "waiting for another is no failure")
	}
	require.Contains(t, log[0]["error"], "ended", "the pull was given up")
}

// It did not notice before it had signed: nothing is lost, and what was stored first is what is published.
func TestALateSignatureIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	digest := r.upload("app/a.tgz", "hello")
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: atFiles, Match: func(*http.Request) bool {
		r.takeOver(digest.String())
		return true
	}})
	require.NoError(t, r.do("app/a.tgz"))
	r.requireSigned("app/a.tgz", "hello")
	require.Equal(t, 1, r.uses())
}

func TestTwoSignaturesMeetAndTheFirstCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/a.tgz", "hello")
	r.upload("app/b.tgz", "hello")
	var once sync.Once
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: atFiles, Match: func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, "a.tgz") }, Do: func(*http.Request) {
		once.Do(func() {
			r.endIntents()
			require.NoError(t, r.do("app/b.tgz"), "another replica")
		})
	}})
	require.ErrorIs(t, r.do("app/a.tgz"), ledger.ErrSealed)
	require.Empty(t, r.signatureFiles("app/a.tgz"), "the second signature is dropped")
	r.converge("app/a.tgz")
	r.requireSigned("app/a.tgz", "hello")
	a, err := r.art.Content(repo, "app/a.tgz.sig")
	require.NoError(t, err)
	b, err := r.art.Content(repo, "app/b.tgz.sig")
	require.NoError(t, err)
	require.True(t, slices.Equal(a, b))
	require.Equal(t, 2, r.uses())
}

// endIntents is what a lease that ran out looks like to its holder.
func (r *rig) endIntents() {
	_, err := r.ledger.SQL().ExecContext(context.Background(), "UPDATE intent SET state = 2 WHERE state = 0")
	require.NoError(r.t, err)
}

// takeOver ends the intents and lets another replica have the lease.
func (r *rig) takeOver(subject string) {
	r.endIntents()
	_, err := r.ledger.SQL().ExecContext(context.Background(), `INSERT INTO intent (id, grant_id, instance, repo, path, subject, key_name, key_spki,
			formats, policy, rule, policy_set, event_id, replica, started_at, held_at, state, ended_at, why)
		SELECT id + 1000, 'other', instance, repo, path, subject, key_name, key_spki,
			formats, policy, rule, policy_set, event_id, 'other', started_at, held_at, 0, 0, '' FROM intent WHERE subject = $1`, subject)
	require.NoError(r.t, err)
}

// A lost ledger must not make artifacts unsigned: what stands beside them is as good as what would be made anew, and the
// token may not replace it.
func TestSignaturesOutliveTheLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	before, err := r.art.Content(artifactorytest.Staging, "app/a.tgz.sigstore.json")
	require.NoError(t, err)
	for _, table := range []string{"signature", "intent", "outcome"} {
		_, err := r.ledger.SQL().ExecContext(t.Context(), "DELETE FROM "+table)
		require.NoError(t, err)
	}
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, ledger.Signed, r.outcome("app/a.tgz").State)
	after, err := r.art.Content(artifactorytest.Staging, "app/a.tgz.sigstore.json")
	require.NoError(t, err)
	require.Equal(t, before, after, "what stands there was not replaced")

	r.upload("app/b.tgz", "other")
	require.NoError(t, r.art.Put(artifactorytest.CI, artifactorytest.Staging, "app/b.tgz.sigstore.json", strings.NewReader(string(before)), nil))
	require.Error(t, r.do("app/b.tgz"), "a signature for other bytes is not as good")
	require.Equal(t, ledger.Failed, r.outcome("app/b.tgz").State)
}
