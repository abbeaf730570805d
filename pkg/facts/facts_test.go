package facts_test

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Without needs nobody is asked, whatever is broken.
func TestNoNeedsNoRequests(t *testing.T) {
	t.Parallel()
	f, err := (&facts.Gatherer{}).Gather(context.Background(), 0, artifact.Subject{}, artifact.Subject{})
	require.NoError(t, err)
	require.Equal(t, policy.Facts{}, f)
}

// What all facts together cost, and that each costs what it must and no more.
func TestRequestsOfEachFact(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	r.put("ci", staging, file, "content", marked("app", "7"))
	r.publish("", "app", "7", began, of("content"))
	r.facts(policy.NeedProject, staging, file) // the repository's configuration is asked for with every artifact anyway
	for needs, want := range map[policy.Needs]int{
		policy.NeedProperties: 1, policy.NeedProject: 0, policy.NeedBuild: 3, policy.NeedActors: 3, policy.NeedRepositories: 1,
		policy.NeedSignatures: 4, policy.NeedProperties | policy.NeedBuild | policy.NeedActors: 3,
	} {
		before := len(r.art.Requests()) + 1 // Info
		r.facts(needs, staging, file)
		require.Len(t, r.art.Requests(), before+want, needs.String())
	}
	before := len(r.art.Requests())
	r.facts(policy.NeedActors|policy.NeedGroups, staging, file)
	require.Len(t, r.art.Requests(), before+5, "the groups of one user, who is in two roles")
	r.facts(policy.NeedActors|policy.NeedGroups, staging, file)
	require.Len(t, r.art.Requests(), before+9, "and they are remembered")
}

func TestPropertiesWithoutOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	r.put("ci", staging, file, "content", map[string][]string{"channel": {"stable", "beta"}, "hallmark.state": {"signed"}})
	require.Equal(t, map[string][]string{"channel": {"stable", "beta"}}, r.facts(policy.NeedProperties, staging, file).Properties)
	r.put("ci", staging, "bare.tgz", "x", nil)
	require.Empty(t, r.facts(policy.NeedProperties, staging, "bare.tgz").Properties)
}

// A project is told, or it is an error: never none because the token may not know.
func TestProject(t *testing.T) {
	t.Parallel()
	for told, known := range map[string]bool{"open": true, "partial": false, "closed": false} {
		r := newRig(t, identities, standin.Quirks{Configurations: told})
		for repo, want := range map[string]string{inProject: "fw", staging: ""} {
			r.put("ci", repo, file, "content", nil)
			f, err := r.gather(policy.NeedProject, repo, file)
			if known {
				require.NoError(t, err)
				require.Equal(t, want, f.Project)
				continue
			}
			var no *facts.Unavailable
			require.ErrorAs(t, err, &no, told)
			why := no.Reason("hallmark sign x")
			require.Equal(t, reason.FactsUnavailable, why.Code)
			require.Contains(t, why.Expected, "the whole configuration of "+repo)
			require.Contains(t, why.Fix, "hallmark sign x")
			require.Equal(t, policy.Facts{}, f)
		}
	}
}

// Where bytes stand, and where they were seen.
func TestRepositories(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	r.put("ci", release, file, "content", nil)
	r.put("ci", artifactorytest.Federated, "other-name", "content", nil)
	r.put("ci", staging, file, "other", nil)
	require.NoError(t, r.Ledger.Finish(t.Context(), ledger.Outcome{
		Ref: artifact.Ref{Instance: "main", Repo: "libs-dev-local", Path: file}, Subject: sha256.Sum256([]byte("content")), State: ledger.Skipped,
	}))
	require.Equal(t, []string{"libs-dev-local", artifactorytest.Federated, release}, r.facts(policy.NeedRepositories, release, file).Repositories)
	require.Equal(t, []string{staging}, r.facts(policy.NeedRepositories, staging, file).Repositories)
}

// Whatever fails, there is no answer rather than half of one, and a passing trouble is known for one.
func TestFailuresOfEachFact(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	r.put("ci", staging, file, "content", marked("app", "7"))
	r.publish("", "app", "7", began, of("content"))
	info, err := r.client.Info(t.Context(), artifact.Ref{Instance: "main", Repo: staging, Path: file})
	require.NoError(t, err)
	subject := artifact.Subject{Kind: artifact.KindFile, Info: info}
	for path, needs := range map[string]policy.Needs{
		"/artifactory/api/storage/" + staging + "/**": policy.NeedProperties, "/artifactory/api/build/**": policy.NeedBuild, "/access/**": policy.NeedGroups,
		"/artifactory/api/search/aql": policy.NeedRepositories, "/artifactory/" + staging + "/**": policy.NeedSignatures,
	} {
		for _, fault := range []standin.Fault{{Status: 503}, {Status: 429}, {Reset: true}, {Status: 500}} {
			fault.Path, fault.Times = path, -1
			disarm := r.art.Fail(fault)
			f, err := r.Gather(t.Context(), needs, subject, subject)
			disarm()
			var no *facts.Unavailable
			require.ErrorAs(t, err, &no, "%s %v", path, fault)
			require.True(t, artifactory.Temporary(err), "%s: %v", path, err)
			require.Empty(t, no.Need, "no right would help")
			require.Equal(t, policy.Facts{}, f)
		}
		disarm := r.art.Fail(standin.Fault{Path: path, Status: 403, Times: -1})
		if needs == policy.NeedGroups {
			r.art.Fail(standin.Fault{Path: "/artifactory/api/security/**", Status: 403})
		}
		_, err := r.Gather(t.Context(), needs, subject, subject)
		disarm()
		var no *facts.Unavailable
		require.ErrorAs(t, err, &no, path)
		require.NotEmpty(t, no.Need, path)
	}
	require.NoError(t, r.art.Delete("ci", staging, file))
	_, err = r.Gather(t.Context(), policy.NeedProperties, subject, subject)
	require.ErrorIs(t, err, artifact.ErrGone)
	subject.Ref.Instance = "nowhere"
	_, err = r.Gather(t.Context(), policy.NeedProperties, subject, subject)
	require.ErrorContains(t, err, "nowhere")
}
