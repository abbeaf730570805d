package promotion_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A dry run changes nothing and says what would happen; confirmed, it happens; repeated, it is done already.
func TestCopyAndMove(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		for name, move := range map[string]bool{"copy": false, "move": true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, d)
				paths := []string{"app/1/a.tgz", "app/1/sub/b ü+#.tgz", "app/1/c.tgz"}
				r.signed(paths...)
				r.art.ForgetRequests()
				req := r.request(staging + "/app/1/")
				req.Move = move
				dry := r.promote(req)
				require.Equal(t, promotion.StateAllowed, dry.State, "%+v", dry)
				require.Zero(t, dry.ID)
				require.Len(t, dry.Items, 3)
				require.Equal(t, []string{"a.tgz.sigstore.json", "a.tgz.sig"}, dry.Items[0].Files)
				for _, method := range []string{"PUT", "POST", "DELETE", "PATCH"} {
					require.Zero(t, r.art.CountRequests(method, "/"), "a dry run writes nothing")
				}

				req.Confirm = true
				done := r.promote(req)
				require.Equal(t, promotion.StateDone, done.State, "%+v", done)
				r.stands(paths...)
				want := 9
				if move {
					want = 0
				}
				require.Len(t, r.art.Paths(staging), want)
				require.Len(t, r.art.Paths(release), 9)

				r.art.ForgetRequests()
				req.Artifacts = []string{staging + "/app/1/a.tgz"}
				again := r.promote(req)
				require.Equal(t, promotion.StateDone, again.State, "%+v", again)
				require.Zero(t, r.art.CountRequests("POST", "/artifactory/api/copy"), "what is there is not copied again")
				require.NotEqual(t, done.ID, again.ID)
				r.stands(paths...)
			})
		}
	})
}

// One refusal refuses everything.
func TestNothingMovesUnlessAllMay(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("app/1/a.tgz", "app/1/b.tgz")
	r.put(staging, "app/1/unsigned.tgz", "x")
	report := r.move(staging + "/app/1/")
	require.Equal(t, promotion.StateRefused, report.State)
	require.Zero(t, report.ID)
	require.Equal(t, map[string]string{"app/1/a.tgz": "allowed", "app/1/b.tgz": "allowed", "app/1/unsigned.tgz": "refused"}, states(report))
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(report))
	require.Empty(t, r.art.Paths(release))
	require.Len(t, r.art.Paths(staging), 7)
}

// A development signature opens nothing and does not come along.
func TestDevelopmentSignaturesStayBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.put(staging, "app/d.tgz", "d")
	r.put(staging, "app/d.tgz.sigstore.json", r.signature(dev, "sigstore", "d"))
	require.Equal(t, []reason.Code{reason.KeyDevelopment}, codes(r.confirm(staging+"/app/d.tgz")))
	require.Empty(t, r.art.Paths(release))

	r.put(staging, "app/d.tgz."+keyB+".sigstore.json", r.signature(keyB, "sigstore", "d"))
	r.put(staging, "app/d.tgz."+dev+".sig", r.signature(dev, "raw", "d"))
	report := r.move(staging + "/app/d.tgz")
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	require.ElementsMatch(t, []string{"app/d.tgz", "app/d.tgz." + keyB + ".sigstore.json"}, r.art.Paths(release))
	require.ElementsMatch(t, []string{"d.tgz.sigstore.json", "d.tgz." + dev + ".sig"}, report.Items[0].Left)
	require.Len(t, r.art.Paths(staging), 2)
	f, _ := r.art.File(release, "app/d.tgz")
	require.Equal(t, []string{keyB}, f.Properties["hallmark.keys"])
}

func TestSelections(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a/1.0/x.tgz", "a/1.0/y.zip", "a/1.1/x.tgz", "a/2.0/x.tgz", "a/odd[1].tgz", "top.tgz")
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"file":              {[]string{"a/1.0/x.tgz"}, []string{"a/1.0/x.tgz"}},
		"folder":            {[]string{"a/1.0/"}, []string{"a/1.0/x.tgz", "a/1.0/y.zip"}},
		"repository":        {[]string{""}, []string{"a/1.0/x.tgz", "a/1.0/y.zip", "a/1.1/x.tgz", "a/2.0/x.tgz", "a/odd[1].tgz", "top.tgz"}},
		"pattern":           {[]string{"a/*/x.tgz"}, []string{"a/1.0/x.tgz", "a/1.1/x.tgz", "a/2.0/x.tgz"}},
		"folders":           {[]string{"a/1.*"}, []string{"a/1.0/x.tgz", "a/1.0/y.zip", "a/1.1/x.tgz"}},
		"any depth":         {[]string{"**/*.{zip,deb}"}, []string{"a/1.0/y.zip"}},
		"several, one each": {[]string{"a/1.0/", "a/1.0/x.tgz", "top.tgz"}, []string{"a/1.0/x.tgz", "a/1.0/y.zip", "top.tgz"}},
		"a literal bracket": {[]string{"a/odd[1].tgz"}, []string{"a/odd[1].tgz"}},
	} {
		var args []string
		for _, a := range c.args {
			args = append(args, staging+"/"+a)
		}
		report := r.promote(r.request(args...))
		require.Equal(t, promotion.StateAllowed, report.State, "%s: %+v", name, report)
		var got []string
		for _, it := range report.Items {
			got = append(got, strings.TrimPrefix(it.Artifact, staging+"/"))
			require.Equal(t, release+"/"+strings.TrimPrefix(it.Artifact, staging+"/"), it.Target)
		}
		require.ElementsMatch(t, c.want, got, name)
	}
	for _, nothing := range []string{"a/3.0/", "b/*", "a/**/*.sig"} {
		report := r.confirm(staging+"/"+nothing, staging+"/top.tgz")
		require.Equal(t, promotion.StateRefused, report.State, nothing)
		require.Equal(t, []reason.Code{reason.NothingSelected}, codes(report))
	}
	require.Equal(t, []reason.Code{reason.ArtifactGone}, codes(r.confirm(staging+"/a/none.tgz")))
	require.Empty(t, r.art.Paths(release))
}

func TestRequestsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	good := r.request(staging + "/a.tgz")
	for name, change := range map[string]func(*promotion.Request){
		"instance":       func(q *promotion.Request) { q.Instance = "other" },
		"target":         func(q *promotion.Request) { q.Target = "rel/x" },
		"no target":      func(q *promotion.Request) { q.Target = "" },
		"nothing":        func(q *promotion.Request) { q.Artifacts = nil },
		"no path":        func(q *promotion.Request) { q.Artifacts = []string{staging} },
		"dots":           func(q *promotion.Request) { q.Artifacts = []string{staging + "/../x"} },
		"own repository": func(q *promotion.Request) { q.Target = staging },
		"signature":      func(q *promotion.Request) { q.Artifacts = []string{staging + "/a.tgz.sig"} },
		"open class":     func(q *promotion.Request) { q.Artifacts = []string{staging + "/a[.tgz"} },
		"many braces":    func(q *promotion.Request) { q.Artifacts = []string{staging + "/" + strings.Repeat("{a,b}", 5)} },
		"long":           func(q *promotion.Request) { q.Artifacts = []string{staging + "/" + strings.Repeat("*a", 300)} },
	} {
		req := good
		req.Confirm = true
		change(&req)
		_, err := r.service.Promote(t.Context(), req)
		refused := &reason.Refused{}
		require.ErrorAs(t, err, &refused, name)
	}
	require.Empty(t, r.art.Paths(release))
}

// A target without a gate policy is closed.
func TestTargetWithoutPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	require.NoError(t, r.art.AddRepository(standin.Repository{Key: "other-local"}))
	req := r.request(staging + "/a.tgz")
	req.Target, req.Confirm = "other-local", true
	report := r.promote(req)
	require.Equal(t, promotion.StateRefused, report.State)
	require.Equal(t, []reason.Code{reason.NoGatePolicy}, codes(report))
	require.Empty(t, r.art.Paths("other-local"))
}

// What stands at the target stays.
func TestOverwritesNothing(t *testing.T) {
	t.Parallel()
	for name, occupy := range map[string]func(r *rig){
		"other artifact": func(r *rig) { r.put(release, "a.tgz", "older") },
		"a folder":       func(r *rig) { r.put(release, "a.tgz/x", "x") },
		"signature of other bytes": func(r *rig) {
			r.put(release, "a.tgz.sigstore.json", r.signature(keyA, "sigstore", "older"))
		},
		"signature that is not to come":        func(r *rig) { r.put(release, "a.tgz."+keyB+".sig", r.signature(keyB, "raw", "older")) },
		"the artifact and a strange signature": func(r *rig) { r.put(release, "a.tgz", "content of a.tgz"); r.put(release, "a.tgz.sig", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.signed("a.tgz", "b.tgz")
			occupy(r)
			before := r.art.Paths(release)
			report := r.confirm(staging+"/a.tgz", staging+"/b.tgz")
			require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
			require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report))
			require.ElementsMatch(t, before, r.art.Paths(release))
		})
	}
}

// Where a signing policy covers the target, it is carried out as after any other event, and its word counts.
func TestTheTargetsSigningPolicyFollows(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.setPolicy(gatePolicy + `---
kind: SigningPolicy
name: release-copies
owner: release-managers
match: {repositories: [` + release + `]}
sign: [{key: release-b, formats: [raw]}]
`)
	r.signed("a.tgz")
	require.Equal(t, promotion.StateDone, r.confirm(staging+"/a.tgz").State)
	require.Equal(t, []artifact.Ref{{Instance: "main", Repo: release, Path: "a.tgz"}}, r.followed)
	f, _ := r.art.File(release, "a.tgz")
	require.Empty(t, f.Properties["hallmark.state"], "not everything that the target's policy demands is there yet")
}

// Properties come along on servers that do not let them follow.
func TestPropertiesFollow(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	q := r.art.Quirks()
	q.Copied = "drop"
	require.NoError(t, r.art.SetQuirks(q))
	r.signed("a.tgz")
	require.Equal(t, promotion.StateDone, r.confirm(staging+"/a.tgz").State)
	r.stands("a.tgz")
}

// Policies that change while a promotion runs change nothing for it: all of it is judged by the set that it is on record
// with.
func TestPoliciesChangeMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	var paths, names []string
	for n := range 12 {
		paths = append(paths, fmt.Sprintf("app/%02d.tgz", n))
		names = append(names, staging+"/"+paths[n])
	}
	r.signed(paths...)
	began := r.policies.Load().Digest()
	strict := strings.Replace(gatePolicy, "count: 1", "count: 2", 1)
	require.NotEqual(t, gatePolicy, strict)
	r.after = func() { r.setPolicy(strict) }
	report := r.confirm(names...)
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	record, err := r.ledger.Promotion(t.Context(), report.ID)
	require.NoError(t, err)
	require.Equal(t, began, record.PolicySet)
	require.NotEqual(t, began, r.policies.Load().Digest())
	for _, path := range paths {
		verdicts, err := r.ledger.Verdicts(t.Context(), artifact.Ref{Instance: "main", Repo: staging, Path: path}, 1)
		require.NoError(t, err)
		require.Equal(t, began, verdicts[0].PolicySet, path)
	}
}

// A policy of the target that asks for facts is carried out where they are met, or may be: what is denied keeps the mark of
// what was promoted.
func TestTheTargetsSigningPolicyAsksForFacts(t *testing.T) {
	t.Parallel()
	asking := func(require string) string {
		return gatePolicy + `---
kind: SigningPolicy
name: release-copies
owner: release-managers
match: {repositories: [` + release + `]}
require: [{name: asked, ` + require + `}]
sign: [{key: release-b, formats: [raw]}]
`
	}
	for name, tt := range map[string]struct {
		require string
		status  int // of every look at where bytes are
		follows bool
	}{
		"met":              {require: "history: {repositories: [" + staging + "]}", follows: true},
		"not met":          {require: "history: {repositories: [elsewhere]}"},
		"not to be learnt": {require: "history: {repositories: [elsewhere]}", status: 403, follows: true},
		"of the size":      {require: "size: {min: 1B}", follows: true},
		"not of the size":  {require: "size: {min: 1GiB}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.setPolicy(asking(tt.require))
			r.signed("a.tgz")
			if tt.status != 0 {
				r.fail(standin.Fault{Path: "/artifactory/api/search/aql", Status: tt.status, Times: -1})
			}
			require.Equal(t, promotion.StateDone, r.confirm(staging+"/a.tgz").State)
			require.Equal(t, tt.follows, len(r.followed) == 1)
			f, _ := r.art.File(release, "a.tgz")
			require.Equal(t, !tt.follows, len(f.Properties["hallmark.state"]) == 1)
		})
	}
}
