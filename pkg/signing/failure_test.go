package signing_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// failure is one thing that goes wrong with app/a.tgz, what must be told about it, and what happens when it is over.
type failure struct {
	setup  setup
	cause  func(r *rig)
	heal   func(r *rig) // nil: the cause was there once only
	state  ledger.State
	code   reason.Code
	found  string // part of what the reason has found
	done   bool   // the matter is settled: no error
	unseen bool   // nothing is left to be signed afterwards
	uses   int    // of the key, before it heals
	again  string // what is signed after it healed; default the same bytes
}

const artifactPath = "app/a.tgz"

func replace(with string) func(r *rig) func(*http.Request) {
	return func(r *rig) func(*http.Request) {
		return func(*http.Request) {
			require.NoError(r.t, r.art.Put("dev", repo, artifactPath, strings.NewReader(with), nil))
		}
	}
}

func remove(r *rig) func(*http.Request) {
	return func(*http.Request) { require.NoError(r.t, r.art.Delete("dev", repo, artifactPath)) }
}

// meanwhile lets something happen just before the service's next call of that kind.
func meanwhile(method, path string, do func(r *rig) func(*http.Request)) func(r *rig) {
	return func(r *rig) { r.art.Fail(standin.Fault{Method: method, Path: path, Do: do(r)}) }
}

// answer makes Artifactory answer every call of that kind with a status, until it heals.
func answer(method, path string, status int, body string) func(r *rig) {
	return func(r *rig) {
		disarm := r.art.Fail(standin.Fault{Method: method, Path: path, Status: status, Body: body, Times: -1})
		r.disarm = func() { require.Positive(r.t, disarm(), "the fault never struck") }
	}
}

func disarm(r *rig) { r.disarm() }

// rights changes what the service's token may do.
func rights(letters string) func(r *rig) {
	return func(r *rig) {
		require.NoError(r.t, r.art.AddToken(standin.Token{Value: artifactorytest.Signer, User: "hallmark", Rights: map[string]string{"*": letters}}))
	}
}

var failures = map[string]failure{
	"deleted before it is looked at": {cause: func(r *rig) { remove(r)(nil) }, state: ledger.Gone, code: reason.ArtifactGone, done: true, unseen: true},
	"deleted before the pull":        {cause: meanwhile("GET", atFiles, remove), state: ledger.Gone, code: reason.ArtifactGone, done: true, unseen: true},
	"deleted before attaching":       {cause: meanwhile("PUT", atFiles, remove), state: ledger.Gone, code: reason.ArtifactGone, done: true, unseen: true, uses: 1},
	"deleted before marking":         {cause: meanwhile("PATCH", atProperties, remove), state: ledger.Gone, code: reason.ArtifactGone, done: true, unseen: true, uses: 1},

	"replaced before the pull": {cause: meanwhile("GET", atFiles, replace("new")), state: ledger.Changed, code: reason.ArtifactChanged, again: "new"},
	"replaced before attaching": {
		cause: meanwhile("PUT", atFiles, replace("new")), setup: setup{token: artifactorytest.CI},
		state: ledger.Changed, code: reason.ArtifactChanged, again: "new", uses: 1,
	},
	"replaced, and the old signature file stands in the way": {
		cause: func(r *rig) {
			r.upload(artifactPath, "old")
			require.NoError(r.t, r.do(artifactPath))
			r.upload(artifactPath, "hello")
		},
		heal:  rights("rwda"),
		state: ledger.Failed, code: reason.StoreRefused, found: "403", uses: 2,
	},

	"facts are not told": {cause: answer("GET", atFacts, 500, ""), heal: disarm, state: ledger.Failed, code: reason.StoreUnavailable, found: "500"},
	"facts are refused":  {cause: rights("wa"), heal: rights("rwa"), state: ledger.Failed, code: reason.StoreRefused, found: "403"},
	"token is rejected":  {cause: answer("", "", 401, ""), heal: disarm, state: ledger.Failed, code: reason.StoreRefused, found: "access token is not accepted"},
	"facts are nonsense": {cause: answer("GET", atFacts, 200, "<html>"), heal: disarm, state: ledger.Failed, code: reason.StoreUnavailable, found: "file information"},
	"facts of another file": {
		cause: answer("GET", atFacts, 200, `{"repo":"`+repo+`","path":"/app/b.tgz","size":"5","checksums":{}}`), heal: disarm,
		state: ledger.Failed, code: reason.PathRefused, found: "another item",
	},
	"no digest is known": {
		cause: answer("GET", atFacts, 200, `{"repo":"`+repo+`","path":"/app/a.tgz","size":"5","checksums":{}}`), heal: disarm,
		state: ledger.Denied, code: reason.DigestUnknown, found: "no SHA-256", done: true,
	},

	"download is truncated": {
		cause: func(r *rig) { r.art.Fail(standin.Fault{Method: "GET", Path: atFiles, Truncate: 2}) },
		state: ledger.Failed, code: reason.StoreUnavailable, found: "ended early",
	},
	"download has other bytes": {cause: answer("GET", atFiles, 200, "HELLO"), heal: disarm, state: ledger.Failed, code: reason.DigestMismatch, found: "not those that Artifactory reports"},
	"download is refused":      {cause: answer("GET", atFiles, 403, ""), heal: disarm, state: ledger.Failed, code: reason.StoreRefused, found: "403"},

	"files are refused":       {cause: rights("ra"), heal: rights("rwa"), state: ledger.Failed, code: reason.StoreRefused, found: "403", uses: 1},
	"no room for files":       {cause: answer("PUT", atFiles, 507, ""), heal: disarm, state: ledger.Failed, code: reason.StoreRefused, found: "507", uses: 1},
	"files are not taken now": {cause: answer("PUT", atFiles, 503, ""), heal: disarm, state: ledger.Failed, code: reason.StoreUnavailable, found: "503", uses: 1},
	"properties are refused":  {cause: rights("rw"), heal: rights("rwa"), state: ledger.Failed, code: reason.PropertyRefused, found: "403", uses: 1},
	"properties are too long": {
		cause: answer("PATCH", atProperties, 400, "The value of property 'hallmark.keys' has 2401 characters, the limit is 2400"), heal: disarm,
		state: ledger.Failed, code: reason.PropertyRefused, found: "limit is 2400", uses: 1,
	},
	"properties are not taken now": {cause: answer("PATCH", atProperties, 502, ""), heal: disarm, state: ledger.Failed, code: reason.StoreUnavailable, found: "502", uses: 1},

	"key is refused": {
		setup: setup{shim: true}, cause: func(r *rig) { r.shim.Fail(r.t, "C_Sign", 0x68, 1) }, // CKR_KEY_FUNCTION_NOT_PERMITTED
		state: ledger.Failed, code: reason.KeyUnavailable, found: "CKR_KEY_FUNCTION_NOT_PERMITTED",
	},
	"token is gone": {
		setup: setup{shim: true}, cause: func(r *rig) { r.shim.Fail(r.t, "C_Sign", 0x32, 1) }, // CKR_DEVICE_REMOVED
		state: ledger.Failed, code: reason.KeyUnavailable, found: "CKR_DEVICE_REMOVED",
	},
	"token hangs": {
		setup: setup{shim: true, hsm: func(c *hsm.Config) { c.SignTimeout = 200 * time.Millisecond }},
		cause: func(r *rig) { r.shim.Hang(r.t, 1) }, heal: func(r *rig) { r.shim.Release(r.t) },
		state: ledger.Failed, code: reason.KeyUnavailable, found: "did not answer in time",
	},
}

// Every failure ends in a clear reason, the right state in the ledger, and nothing half-written; when its cause is gone
// the artifact is signed, with no more uses of the key than needed.
func TestEveryFailureTellsItsReason(t *testing.T) {
	t.Parallel()
	for name, f := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, f.setup)
			r.upload(artifactPath, "hello")
			f.cause(r)
			err := r.do(artifactPath)
			require.Equal(t, f.done, err == nil, "%v", err)
			o := r.outcome(artifactPath)
			require.Equal(t, f.state, o.State, "%v", err)
			requireExplained(t, o, f.code)
			require.Contains(t, o.Reasons[0].Found, f.found)
			require.NotContains(t, o.Reasons[0].Found, artifactorytest.Signer, "a token in a reason")
			require.Equal(t, f.uses, r.uses())
			require.Zero(t, r.intents()[0])
			if f.unseen {
				return
			}
			require.NotEqual(t, []string{"signed"}, r.props(artifactPath)["hallmark.state"])
			if f.again == "" && f.code != reason.StoreRefused { // else files of the old bytes may be there
				r.requireHonest(artifactPath)
			}
			if f.heal != nil {
				f.heal(r)
			}
			r.converge(artifactPath)
			if f.again == "" {
				f.again = "hello"
			}
			r.requireSigned(artifactPath, f.again)
			if f.again == "hello" {
				require.Equal(t, max(f.uses, 1), r.uses())
			}
		})
	}
}

// requireExplained holds a reason to invariant 8: every refusal explains itself.
func requireExplained(t *testing.T, o ledger.Outcome, want ...reason.Code) {
	t.Helper()
	require.Equal(t, want, codes(o))
	for _, why := range o.Reasons {
		require.Contains(t, reason.Codes, why.Code)
		require.NotEmpty(t, why.Message)
		require.NotEmpty(t, why.Found)
		switch why.Code {
		case reason.ArtifactGone, reason.ArtifactChanged: // nobody has to do anything
			continue
		}
		require.NotEmpty(t, why.Expected)
		require.NotEmpty(t, why.Fix)
		require.NotEmpty(t, why.Who)
	}
}

// The properties of other bytes are not left behind by the narrowest race there is: replaced between the last look and
// the mark. The new bytes' own event comes, and whatever it ends in, it tells the truth.
func TestReplacedJustBeforeTheMark(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI})
	r.upload(artifactPath, "hello")
	meanwhile("PATCH", atProperties, replace("new"))(r)
	require.NoError(t, r.do(artifactPath))
	answer("PUT", atFiles, 403, "")(r)
	require.Error(t, r.do(artifactPath))
	require.Empty(t, r.props(artifactPath))
	r.disarm()
	r.converge(artifactPath)
	r.requireSigned(artifactPath, "new")
}

// Work that is cancelled because the process ends records nothing false and gives its intents back.
func TestCancelledWorkLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{client: func(c *artifactory.Config) { c.Timeout = time.Minute }})
	r.upload(artifactPath, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	r.art.Fail(standin.Fault{Method: "GET", Path: atFiles, Do: func(*http.Request) { cancel() }, Delay: 100 * time.Millisecond})
	require.ErrorIs(t, r.service.Do(ctx, r.event(artifactPath)), context.Canceled)
	require.Equal(t, ledger.State(""), r.outcome(artifactPath).State)
	require.Equal(t, [3]int{0, 0, 1}, r.intents())
	r.converge(artifactPath)
	r.requireSigned(artifactPath, "hello")
}

// Whether Artifactory itself failed can be told from what an attempt ends with, however it is to be repeated.
func TestFailuresThatAreArtifactorys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault standin.Fault
		down  bool
	}{
		"unavailable":            {standin.Fault{Path: atFiles, Status: 503}, true},
		"unavailable, told when": {standin.Fault{Path: atFiles, Status: 503, RetryAfter: time.Minute}, true},
		"no connection":          {standin.Fault{Path: atFiles, Reset: true}, true},
		"refused":                {standin.Fault{Path: atFiles, Status: 403}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{client: func(c *artifactory.Config) { c.Retries = -1 }})
			r.upload(artifactPath, "content")
			c.fault.Times = -1
			r.art.Fail(c.fault)
			err := r.do(artifactPath)
			require.Error(t, err)
			require.Equal(t, c.down, artifactory.Down(err), "%v", err)
		})
	}
	require.False(t, artifactory.Down(artifactory.ErrMemberDiffers))
	require.False(t, artifactory.Down(context.DeadlineExceeded), "it may be anybody's")
}
