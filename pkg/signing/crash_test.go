package signing_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// world counts everything that the service does to the outside: requests to Artifactory and commits of the ledger. It
// fails the one with the chosen number, before or after its effect, and everything from there on when the process is to
// be dead.
type world struct {
	mu    sync.Mutex
	done  []string
	fail  int // number of the operation that fails; -1 for none
	after bool
	death bool // nothing works from then on
	dead  bool
	now   int // the operation under way
}

var errCut = errors.New("cut off on purpose")

// watch puts the world between the rig's service and everything else.
func watch(r *rig) *world {
	w := &world{fail: -1}
	_, err := r.client.Repository(r.t.Context(), repo)
	require.NoError(r.t, err, "what a repository is, is asked once in a while, not for each artifact")
	r.art.Fail(standin.Fault{Times: -1, When: standin.Before, Status: http.StatusServiceUnavailable, Match: func(q *http.Request) bool {
		return w.begin(q.Method + " " + place(q))
	}})
	r.art.Fail(standin.Fault{Times: -1, When: standin.After, Status: http.StatusServiceUnavailable, Match: func(*http.Request) bool { return w.end() }})
	r.commits.set(func(p ledger.CommitPhase) error {
		if p == ledger.BeforeCommit && w.begin("commit") || p == ledger.AfterCommit && w.end() {
			return errCut
		}
		return nil
	})
	return w
}

// place is what a request is about, without the artifact's own path.
func place(q *http.Request) string {
	switch {
	case q.Method == http.MethodGet && slices.Contains([]string{"/artifactory/api/storage/"}, q.URL.Path[:min(25, len(q.URL.Path))]):
		return "info"
	case q.Method == http.MethodPut:
		return "file"
	case q.Method == http.MethodPatch:
		return "properties"
	}
	return "bytes"
}

func (w *world) begin(what string) (cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = len(w.done)
	w.done = append(w.done, what)
	strike := w.now == w.fail && !w.after
	w.dead = w.dead || strike && w.death
	return w.dead || strike
}

func (w *world) end() (cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	strike := w.now == w.fail && w.after
	w.dead = w.dead || strike && w.death
	return w.dead || strike
}

// plan sets what fails next, counting from now, and forgets what was done.
func (w *world) plan(fail int, after, death bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done, w.fail, w.after, w.death, w.dead = nil, fail, after, death, false
}

func (w *world) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.done)
}

// way is what signing one file does to the outside, in order. The steps of a crash are its points.
var way = []string{
	"GET info", "commit", "GET bytes", "commit", "PUT file", "PUT file", "GET bytes", "GET bytes", "GET info", "PATCH properties", "commit",
}

// The first two names say what the commits are.
const (
	recordedAt = 3 // the place in way from which on the signature is in the ledger
)

func TestTheWayIsTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	w := watch(r)
	r.upload("app/a.tgz", "hello")
	w.plan(-1, false, false)
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, way, w.list(), "intent before pull, pull before signatures are recorded, those before files, files before they and the digest are read again, properties last")
}

// A process that dies at any point, before or after what it was doing took effect, leaves nothing that lies; the next
// process finishes the work and does not use the key again for a signature that had been recorded.
func TestDeathAtEveryPoint(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		w := watch(r)
		everyPoint(t, func(t *testing.T, point int, after bool) {
			r := r.in(t)
			path, content := r.path("dead"), t.Name()
			digest := r.upload(path, content)
			before := r.uses()

			w.plan(point, after, true)
			require.Error(t, r.do(path))
			w.plan(-1, false, false)
			require.NotEqual(t, ledger.Signed, r.outcomeUnlessLast(path, point, after))
			r.requireHonest(path)
			kept, err := r.ledger.Signatures(t.Context(), digest)
			require.NoError(t, err)
			wasRecorded := point > recordedAt || point == recordedAt && after
			require.Equal(t, wasRecorded, len(kept) > 0)
			if point < recordedAt-1 || point == recordedAt-1 && !after {
				require.Equal(t, before, r.uses(), "the key was used before intent and bytes were there")
			}

			r.restart()
			r.converge(path)
			r.requireSigned(path, content)
			if wasRecorded {
				require.Equal(t, 1, r.uses()-before, "a recorded signature is not made again")
			}
			require.LessOrEqual(t, r.uses()-before, 2)
			require.Zero(t, r.intents()[0], "no intent is left live")
		})
	})
}

// One operation fails and everything after it works: the work fails with a reason, and succeeds the next time without
// waiting for a lease.
func TestFailureAtEveryPoint(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		w := watch(r)
		everyPoint(t, func(t *testing.T, point int, after bool) {
			r := r.in(t)
			path, content := r.path("fail"), t.Name()
			r.upload(path, content)
			before := r.uses()

			w.plan(point, after, false)
			require.Error(t, r.do(path))
			r.requireHonest(path)
			if last := point == len(way)-1; !last || !after {
				o := r.outcome(path)
				require.Equal(t, ledger.Failed, o.State)
				require.NotEmpty(t, o.Reasons[0].Message)
				require.NotEmpty(t, o.Reasons[0].Who)
			}
			require.Zero(t, r.intents()[0], "a failed attempt gives its intent back")

			r.converge(path)
			r.requireSigned(path, content)
			if point > recordedAt || point == recordedAt && after {
				require.Equal(t, 1, r.uses()-before, "a recorded signature is not made again")
			}
			require.LessOrEqual(t, r.uses()-before, 2)
		})
	})
}

func everyPoint(t *testing.T, test func(t *testing.T, point int, after bool)) {
	t.Helper()
	for point, what := range way {
		for _, after := range []bool{false, true} {
			when := map[bool]string{false: "before", true: "after"}[after]
			t.Run(fmt.Sprintf("%s %d %s", when, point, what), func(t *testing.T) { test(t, point, after) })
		}
	}
}

// in is the same rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	r.t = t
	return r
}

// outcomeUnlessLast is the state of an artifact, except at the one point where it was durable and nobody learned.
func (r *rig) outcomeUnlessLast(path string, point int, after bool) ledger.State {
	if point == len(way)-1 && after {
		return ""
	}
	return r.outcome(path).State
}
