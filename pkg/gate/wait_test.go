package gate_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// job is work on the artifact as the queue would tell of it: under way until the n-th time that it is asked about, when do
// is done, and over from then on.
func (r *rig) job(n int64, do func()) {
	var asked atomic.Int64
	r.ledger.WatchWaiting(func(_ context.Context, about artifact.Ref) (int64, bool, error) {
		if about != ref(staging, path) {
			return 0, false, nil
		}
		switch now := asked.Add(1); {
		case now < n:
			return 7, true, nil
		case now == n && do != nil:
			do()
		}
		return 0, false, nil
	})
}

// ends puts the end of work on the books.
func (r *rig) ends(state ledger.State, bytes string, why ...reason.Reason) {
	r.t.Helper()
	require.NoError(r.t, r.ledger.Finish(r.t.Context(), ledger.Outcome{
		Ref: ref(staging, path), Subject: artifact.Attachment{Content: []byte(bytes)}.SHA256(), State: state, Reasons: why, EventID: 7,
	}))
}

// waits asks, and tells how long the answer took.
func (r *rig) waits(ctx context.Context, wait time.Duration) (gate.Verdict, time.Duration) {
	r.t.Helper()
	start := time.Now()
	v := r.gate.Check(ctx, gate.Request{Artifact: ref(staging, path), Target: ref(release, path), Caller: "ci", Wait: wait})
	kept, err := r.ledger.Verdicts(r.t.Context(), ref(staging, path), 10)
	require.NoError(r.t, err)
	require.Len(r.t, kept, 1, "what was not given is not on the books")
	require.Equal(r.t, v.Allow, kept[0].Allow)
	return v, time.Since(start)
}

func TestWaitingForASignature(t *testing.T) {
	t.Parallel()
	never := strings.Replace(oneSignature, "match: {repositories: ["+staging+"]}", "match: {repositories: [elsewhere]}", 1)
	denied := reason.Reason{Code: reason.KeyRetired, Message: "m", Found: "f", Expected: "e", Fix: "x", Who: "w"}
	const long, soon = gate.MaxWait, 10 * time.Second
	for name, c := range map[string]struct {
		policy  string
		wait    time.Duration
		prepare func(r *rig)
		codes   []reason.Code
		found   string
	}{
		"made meanwhile": {wait: long, prepare: func(r *rig) {
			r.job(3, func() { r.sign("release-a", "sigstore"); r.ends(ledger.Signed, content) })
		}},
		"made at last, and its news came late": {wait: long, prepare: func(r *rig) {
			r.job(0, nil) // nobody has heard of the artifact
			time.AfterFunc(500*time.Millisecond, func() { r.sign("release-a", "sigstore"); r.ends(ledger.Signed, content) })
		}},
		"overwritten, and signed again": {wait: long, prepare: func(r *rig) {
			r.sign("release-a", "sigstore")
			r.ends(ledger.Signed, content)
			r.put(path, "new")
			r.job(3, func() { r.put(bundle, r.made(r.keys["release-a"], "sigstore", "new")); r.ends(ledger.Signed, "new") })
		}},
		"denied": {
			wait: long, prepare: func(r *rig) { r.job(3, func() { r.ends(ledger.Denied, content, denied) }) },
			codes: []reason.Code{reason.SignatureMissing, reason.KeyRetired}, found: ": denied",
		},
		"denied long ago": {
			wait: long, prepare: func(r *rig) { r.ends(ledger.Denied, content, denied) },
			codes: []reason.Code{reason.SignatureMissing, reason.KeyRetired}, found: ": denied",
		},
		"failed": {
			wait: long, prepare: func(r *rig) { r.job(2, func() { r.ends(ledger.Failed, content) }) },
			codes: []reason.Code{reason.SignatureMissing}, found: ": failed",
		},
		"signed with what does not count": {
			wait: long, prepare: func(r *rig) { r.job(2, func() { r.sign("dev-a", "raw"); r.ends(ledger.Signed, content) }) },
			codes: []reason.Code{reason.KeyDevelopment},
		},
		"signed long ago, and the file deleted": {
			wait: long, prepare: func(r *rig) { r.ends(ledger.Signed, content) }, codes: []reason.Code{reason.SignatureMissing},
		},
		"too slow": {
			wait: 700 * time.Millisecond, prepare: func(r *rig) { r.job(1000, nil) },
			codes: []reason.Code{reason.SignatureMissing}, found: "its signing is still under way after",
		},
		"no policy signs it": {
			policy: never, wait: long, prepare: func(*rig) {}, codes: []reason.Code{reason.SignatureMissing},
		},
		"nobody hears of it": {wait: 500 * time.Millisecond, prepare: func(*rig) {}, codes: []reason.Code{reason.SignatureMissing}},
		"something else is missing": {
			policy: strings.Replace(oneSignature, release, "other", 1), wait: long, prepare: func(r *rig) { r.job(1000, nil) },
			codes: []reason.Code{reason.NoGatePolicy},
		},
		"the service stops": {
			wait: long, prepare: func(r *rig) { r.job(1000, nil); time.AfterFunc(300*time.Millisecond, r.gate.Stop) },
			codes: []reason.Code{reason.SignatureMissing},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.policy == "" {
				c.policy = oneSignature
			}
			r := newRig(t, c.policy)
			c.prepare(r)
			v, took := r.waits(t.Context(), c.wait)
			require.Less(t, took, soon)
			require.True(t, v.Decided)
			if c.codes == nil {
				require.True(t, v.Allow, "%+v", v.Reasons)
				require.NotEmpty(t, v.Waited)
				return
			}
			require.Equal(t, c.codes, codes(v))
			require.Contains(t, v.Reasons[0].Found, c.found)
		})
	}
}

// Who asked and went away is waited for no longer; the answer is on the books all the same.
func TestTheCallerLeavesWhileItIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.job(1000, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	v, took := r.waits(ctx, gate.MaxWait)
	require.False(t, v.Allow)
	require.Less(t, took, 5*time.Second)
}

// Who does not wait is told that waiting would help.
func TestARefusalTellsThatSigningIsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.job(1000, nil)
	v := r.check(path)
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
	require.Contains(t, v.Reasons[0].Found, "its signing is under way")
	require.Contains(t, v.Reasons[0].Fix, "--wait 30s")
	r.job(0, nil)
	require.NotContains(t, r.check(path).Reasons[0].Found, "under way")
}
