package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "sigstore")
	r.sign("dev-a", "raw")
	v := r.check(path)
	require.True(t, v.Allow)
	require.Equal(t, staging+"/"+path, v.Artifact)
	require.Equal(t, staging+"/"+path, v.Subject)
	require.Equal(t, release+"/"+path, v.Target)
	require.Equal(t, artifact.Attachment{Content: []byte(content)}.SHA256(), v.SHA256)
	require.Equal(t, "policies/gate.yaml:8 (libs-release)", v.Policy)
	require.WithinDuration(t, time.Now(), v.At, time.Minute)
	require.ElementsMatch(t, []gate.Signature{
		{File: "a.tgz.sigstore.json", Format: "sigstore", Key: "release-a", SHA256: r.stored("a.tgz.sigstore.json"), Counts: true, Along: true, Level: 2},
		{File: "a.tgz.sig", Format: "raw", Key: "dev-a", SHA256: r.stored("a.tgz.sig"), Level: 2},
	}, v.Signatures)
	require.Len(t, r.art.Requests(), 4, "facts, two files, facts again")
	require.Empty(t, r.log.String(), "who asked through the API stands in its line")
}

func TestOnlyTheTargetDecidesWhichPolicyApplies(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "raw")
	v := r.ask(gate.Request{Artifact: ref(staging, path), Target: ref("elsewhere", path)})
	require.True(t, v.Decided)
	require.Equal(t, []reason.Code{reason.NoGatePolicy}, codes(v))
	require.Empty(t, r.art.Requests(), "without a policy nothing has to be learnt")
	v = r.ask(gate.Request{Artifact: ref(staging, path), Target: ref(release, "app/a.zip")})
	require.Equal(t, []reason.Code{reason.NoGatePolicy}, codes(v))
}

func TestPathsThatAreNotAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.ReplaceAll(oneSignature, "**/*.tgz", "**"))
	for name, code := range map[string]reason.Code{
		"app": reason.NotAFile, "app/1.0/a;hallmark.state=signed": reason.PathRefused, "app/1.0/x.zip!/a.tgz": reason.PathRefused, "app/../a.tgz": reason.PathRefused,
	} {
		v := r.check(name)
		require.True(t, v.Decided, name)
		require.Equal(t, []reason.Code{code}, codes(v), name)
	}
}

func TestSeveralSignatures(t *testing.T) {
	t.Parallel()
	two := strings.ReplaceAll(oneSignature, "{lane: release, count: 1}", "{keys: [release-a, release-b], count: 2, formats: [sigstore]}")
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
	}{
		"both":                   {func(r *rig) { r.sign("release-a", "sigstore"); r.signAs("release-b", "sigstore", false) }, ""},
		"both under their names": {func(r *rig) { r.signAs("release-a", "sigstore", false); r.signAs("release-b", "sigstore", false) }, ""},
		"one":                    {func(r *rig) { r.sign("release-a", "sigstore") }, reason.SignatureMissing},
		"one under both names": {func(r *rig) {
			r.sign("release-a", "sigstore")
			r.put("app/1.0/a.tgz.release-b.sigstore.json", r.made(r.keys["release-a"], "sigstore", content))
		}, reason.SignatureMissing},
		"second in another format": {func(r *rig) { r.sign("release-a", "sigstore"); r.signAs("release-b", "raw", false) }, reason.SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, two)
			c.prepare(r)
			v := r.check(path)
			require.Equal(t, c.code == "", v.Allow, "%+v", v.Reasons)
			if c.code != "" {
				require.Equal(t, []reason.Code{c.code}, codes(v))
			}
		})
	}
}

// What cannot be learnt in time is a no.
func TestUndecidedIsNo(t *testing.T) {
	t.Parallel()
	const facts, files = "/artifactory/api/storage/**", "/artifactory/" + staging + "/**"
	for name, f := range map[string]struct {
		fault standin.Fault
		found string
	}{
		"facts fail":            {standin.Fault{Path: facts, Status: 503}, "503"},
		"facts are refused":     {standin.Fault{Path: facts, Status: 403}, "403"},
		"token is rejected":     {standin.Fault{Status: 401}, "401"},
		"facts are nonsense":    {standin.Fault{Path: facts, Status: 200, Body: "{"}, "service's log"},
		"facts hang":            {standin.Fault{Path: facts, Delay: 6 * time.Second}, "no answer within"},
		"busy":                  {standin.Fault{Path: facts, Status: 429, RetryAfter: time.Minute}, "429"},
		"connections break":     {standin.Fault{Path: facts, Reset: true}, "cannot be reached"},
		"files fail":            {standin.Fault{Path: files, Status: 500}, "500"},
		"files are refused":     {standin.Fault{Path: files, Status: 403}, "403"},
		"files hang":            {standin.Fault{Path: files, Delay: 6 * time.Second}, "no answer within"},
		"files are truncated":   {standin.Fault{Path: files, Truncate: 3}, "cannot be reached"},
		"files drip":            {standin.Fault{Path: files, Drip: 6 * time.Second}, "no answer within"},
		"facts fail at the end": {standin.Fault{Path: facts, Status: 502, Match: after(1)}, "502"},
		"facts hang at the end": {standin.Fault{Path: facts, Delay: 6 * time.Second, Match: after(1)}, "no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			r.sign("release-a", "sigstore")
			struck := r.fail(f.fault)
			v := r.check(path)
			require.Positive(t, struck())
			require.False(t, v.Allow)
			require.False(t, v.Decided)
			require.Equal(t, []reason.Code{reason.Undecided}, codes(v))
			require.Contains(t, v.Reasons[0].Found, f.found)
			require.Contains(t, r.log.String(), "the gate could not decide")
			kept, err := r.ledger.Verdicts(t.Context(), ref(staging, path), 10)
			require.NoError(t, err)
			require.Len(t, kept, 1)
			require.False(t, kept[0].Allow)
			if f.fault.RetryAfter == 0 { // else it is not over for the client
				require.True(t, r.check(path).Allow, "when it is over")
			}
		})
	}
}

// after lets n requests pass.
func after(n int) func(*http.Request) bool {
	return func(*http.Request) bool { n--; return n < 0 }
}

func TestUnknownInstanceIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	req := gate.Request{Artifact: ref(staging, path), Target: ref(release, path)}
	req.Artifact.Instance = "other"
	require.Equal(t, []reason.Code{reason.PathRefused}, codes(r.ask(req)))
	r.gate.Instances = map[string]*artifactory.Client{}
	require.Equal(t, []reason.Code{reason.PathRefused}, codes(r.check(path)))
}

// A yes that is not on the books is not given; a no is a no.
func TestAnAllowanceIsOnTheBooks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	for name, hook := range map[string]func(ledger.CommitPhase) error{
		"ledger is down": func(ledger.CommitPhase) error { return errors.New("disk full") },
		"answer is lost": func(p ledger.CommitPhase) error {
			if p == ledger.AfterCommit {
				return errors.New("connection lost")
			}
			return nil
		},
		"ledger hangs": func(ledger.CommitPhase) error { <-release; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			t.Cleanup(func() { r.commits.Store(nil) })
			r.sign("release-a", "sigstore")
			r.commits.Store(&hook)
			if name == "ledger hangs" {
				defer close(release)
			}
			v := r.check(path)
			require.False(t, v.Allow)
			require.False(t, v.Decided)
			require.Equal(t, []reason.Code{reason.Undecided}, codes(v))
		})
	}
}

// A caller who has gone changes nothing about the books.
func TestCallerWhoHasGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "sigstore")
	ctx, cancel := context.WithCancel(t.Context())
	r.meanwhile(cancel)
	v := r.gate.Check(ctx, gate.Request{Artifact: ref(staging, path), Target: ref(release, path)})
	require.False(t, v.Allow)
	kept, err := r.ledger.Verdicts(t.Context(), ref(staging, path), 10)
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

// However many keys there are and however much lies beside the artifact, the answer comes in time and is right.
func TestManyKeysAndMuchJunk(t *testing.T) {
	t.Parallel()
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("release-%03d", i)
	}
	r := newRig(t, strings.ReplaceAll(oneSignature, "release-a", "release-000"), names...)
	junk := r.made(stranger(r), "sigstore", content) + strings.Repeat(" ", 100_000)
	for _, n := range names[:20] {
		for _, format := range seal.FormatsOf(artifact.KindFile) {
			r.put("app/1.0/"+seal.FileName("a.tgz", format, n, false), junk)
		}
	}
	require.Equal(t, []reason.Code{reason.SignatureInvalid}, codes(r.check(path)), "the raw ones are no signatures")
	r.signAs("release-099", "sigstore", false)
	require.True(t, r.check(path).Allow)
	r.sign("release-075", "sigstore")
	r.art.ForgetRequests()
	require.True(t, r.check(path).Allow)
	require.LessOrEqual(t, len(r.art.Requests()), 4, "the likely names are read first")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.check(path)
	r.sign("release-a", "raw")
	r.check(path)
	problems, err := testutil.GatherAndLint(r.metrics)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, testutil.GatherAndCompare(r.metrics, strings.NewReader(`
# HELP hallmark_gate_verdicts_total Verdicts of the gate, by reason code; allow and every reason of a refusal are counted.
# TYPE hallmark_gate_verdicts_total counter
hallmark_gate_verdicts_total{reason="allow"} 1
hallmark_gate_verdicts_total{reason="signature-missing"} 1
hallmark_gate_verdicts_total{reason="undecided"} 0
`), "hallmark_gate_verdicts_total"))
	require.Error(t, (&gate.Gate{}).Init(nil))
}

// Who carries an artifact away with its signature files wants to know all of them, in every format and by every key that
// counts; the answer is the same.
func TestEverySignatureFileOnRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.Replace(oneSignature, "count: 1", "count: 1, formats: [sigstore]", 1))
	r.sign("release-a", "sigstore")
	r.sign("release-a", "raw")
	r.signAs("release-b", "raw", false)
	req := gate.Request{Artifact: ref(staging, path), Target: ref(release, path), Caller: "ci"}
	require.Len(t, r.ask(req).Signatures, 1)
	req.All = true
	v := r.ask(req)
	require.True(t, v.Allow)
	require.Len(t, v.Signatures, 3)
	for _, s := range v.Signatures {
		require.Equal(t, r.stored(s.File), s.SHA256)
	}
}

// What keeps a path from being followed is told by its own name, also where it may pass.
func TestPathsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	require.NoError(t, r.art.AddRepository(standin.Repository{Key: "all", Class: standin.Virtual, Members: []string{staging}}))
	r.sign("release-a", "sigstore")
	ask := func(path string) gate.Verdict {
		return r.gate.Check(t.Context(), gate.Request{Artifact: ref("all", path), Target: ref(release, path)})
	}
	require.True(t, ask(path).Allow)

	fault := r.art.Fail(standin.Fault{Path: "/artifactory/api/storage/" + staging + "/**", Status: 404, Times: -1})
	v := ask(path)
	require.Equal(t, []reason.Code{reason.MembersUnknown}, codes(v))
	require.False(t, v.Decided)
	require.Contains(t, v.Reasons[0].Found, "disagree")
	require.Contains(t, v.Reasons[0].Fix, "try again")
	fault()

	require.NoError(t, r.art.SetQuirks(standin.Quirks{VirtualInfo: "virtual", Configurations: "closed"}))
	r.gate.Instances["main"] = newClient(t, r.art.URL(), artifactorytest.Reader) // nothing is remembered
	v = ask(path)
	require.Equal(t, []reason.Code{reason.MembersUnknown}, codes(v))
	require.True(t, v.Decided)
	require.Contains(t, v.Reasons[0].Found, "api/repositories/all")

	r.art.Fail(standin.Fault{Path: "/artifactory/api/repositories", Status: 403, Times: -1})
	r.gate.Instances["main"] = newClient(t, r.art.URL(), artifactorytest.Reader)
	v = r.ask(gate.Request{Artifact: ref(staging, "app/1.0/manifest.json"), Target: ref(release, path)})
	require.Equal(t, []reason.Code{reason.PackageUnknown}, codes(v))
	require.False(t, v.Decided)
	require.Contains(t, v.Reasons[0].Expected, "GET api/repositories")
}

// A policy that only warns is told the whole truth: the search does not end when those that enforce are content.
func TestWarningsAreAboutAllSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature+beside+"mode: warn\nrequire: {signatures: [{keys: [release-b]}]}\n")
	r.sign("release-a", "sigstore")
	v := r.check(path)
	require.True(t, v.Allow)
	require.Len(t, v.Warnings, 1)
	require.Equal(t, reason.SignatureWrongKey, v.Warnings[0].Code)
	r.signAs("release-b", "sigstore", false)
	v = r.check(path)
	require.True(t, v.Allow)
	require.Empty(t, v.Warnings)
}
