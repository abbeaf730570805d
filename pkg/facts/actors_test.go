package facts_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Who brought a file is on Artifactory's word, with the groups of now; who promoted, when it was promoted to this place.
func TestActors(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	groups := []string{"ci", "release-engineers"}
	r.put("mallory", staging, file, "first", nil)
	r.put("ci", staging, file, "content", marked("app", "7"))
	f := r.facts(policy.NeedActors|policy.NeedGroups, staging, file)
	require.Len(t, f.Actors, 2, "%v", f.Actors)
	require.Equal(t, policy.Actor{User: "ci", Role: policy.Modifier, Groups: groups}, f.Actors[1])

	r.publish("", "app", "7", began, of("content"))
	promote := func(token, status, target, at string) {
		r.post(token, http.MethodPost, "/artifactory/api/build/promote/app/7", `{"status":"`+status+`","targetRepo":"`+target+`","copy":true,"ciUser":"release-manager","timestamp":"`+at+`"}`)
	}
	roles := func(repo string) (out []string) {
		for _, a := range r.facts(policy.NeedActors|policy.NeedGroups, repo, file).Actors {
			out = append(out, a.Role+" "+a.User)
		}
		return out
	}
	promote(artifactorytest.CI, "tested", "", "2026-11-21T09:00:00.000+0000")
	promote(artifactorytest.CI, "released", release, "2026-11-21T10:00:00.000+0000")
	require.NotContains(t, roles(staging), "promoter ci", "it was promoted to elsewhere, or only its status changed")
	require.Contains(t, roles(release), "promoter ci")
	promote(artifactorytest.Admin, "released", artifactorytest.Federated, "2026-11-21T11:00:00.000+0000")
	require.Contains(t, roles(release), "promoter ci", "the newest that led here counts")
	promote(artifactorytest.Admin, "released", release, "2026-11-21T12:00:00.000+0000")
	require.Contains(t, roles(release), "promoter admin")
	require.NotContains(t, roles(release), "promoter release-manager", "the caller's own word")

	r.put("gone", staging, "left.tgz", "x", nil)
	for _, a := range r.facts(policy.NeedActors|policy.NeedGroups, staging, "left.tgz").Actors {
		require.Empty(t, a.Groups, "who is gone is in no group")
	}
}

// A token that may not know groups is an error that names what to grant.
func TestGroupsThatTheTokenMayNotKnow(t *testing.T) {
	t.Parallel()
	r := newRig(t, artifactorytest.Reader, standin.Quirks{})
	r.put("ci", staging, file, "content", nil)
	_, err := r.gather(policy.NeedActors|policy.NeedGroups, staging, file)
	var no *facts.Unavailable
	require.ErrorAs(t, err, &no)
	require.Equal(t, policy.NeedGroups, no.Fact)
	require.Contains(t, no.Reason("x").Expected, "system:identities:r")
	require.Len(t, r.facts(policy.NeedActors, staging, file).Actors, 2, "names alone it may know")
}
