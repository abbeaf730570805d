package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// The repositories whose policies ask for facts, and who brings what there.
const (
	teamRepo    = "team-local"
	builtRepo   = "built-local"
	channelRepo = "channel-local"
	warnRepo    = "warn-local"
	member      = "rita"
	stranger    = "mallory"
)

// teamed is all policy of one world: its key is used through a configuration, which members of a group may submit to.
const teamed = `kind: SigningConfiguration
name: team-keys
owner: security
lane: release
submitters: {groups: [release-engineers]}
sign: [{key: ` + sandbox.Key + `, formats: [raw]}]
---
kind: SigningPolicy
name: team
owner: release-managers
match: {repositories: [` + teamRepo + `]}
configuration: team-keys
`

const asking = `---
kind: SigningPolicy
name: team
owner: release-managers
match: {repositories: [` + teamRepo + `]}
sign: [{key: ` + sandbox.Key + `, formats: [raw]}]
---
kind: SigningPolicy
name: built
owner: release-managers
match: {repositories: [` + builtRepo + `]}
require: [{name: by-ci, build: {names: [app]}}]
sign: [{key: ` + sandbox.Key + `, formats: [raw]}]
---
kind: SigningPolicy
name: channel
owner: release-managers
match: {repositories: [` + channelRepo + `]}
require: [{name: channel, property: {name: channel, values: [stable]}}]
sign: [{key: ` + sandbox.Key + `, formats: [raw]}]
---
kind: SigningPolicy
name: lenient
owner: release-managers
mode: warn
match: {repositories: [` + warnRepo + `]}
require: [{name: channel, property: {name: channel, values: [stable]}}]
sign: [{key: ` + sandbox.Key + `, formats: [raw]}]
`

// asked is a world whose policies ask for facts.
func asked(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	return start(t, sandbox.Config{Policies: asking, Standin: func(c *standin.Config) {
		publishers(c)
		c.Users = []standin.User{{Name: member, Groups: []string{"release-engineers"}}, {Name: stranger, Groups: []string{"developers"}}}
		for _, key := range []string{teamRepo, builtRepo, channelRepo, warnRepo} {
			c.Repositories = append(c.Repositories, standin.Repository{Key: key})
			for i := range c.Tokens {
				if c.Tokens[i].User == "hallmark" {
					c.Tokens[i].Identities = true
					c.Tokens[i].Rights[key], c.Tokens[i].Rights["artifactory-build-info"] = "rwa", "r"
				}
			}
		}
	}})
}

func bring(t *testing.T, s *sandbox.Sandbox, by, repo, path, content string, props map[string][]string) {
	t.Helper()
	require.NoError(t, s.Artifactory.Put(by, repo, path, strings.NewReader(content), props))
}

// comesToBe waits for the state that the properties of an artifact tell.
func comesToBe(t *testing.T, s *sandbox.Sandbox, repo, path, state string) standin.File {
	t.Helper()
	var f standin.File
	eventually(t, func() string { return repo + "/" + path + " is " + state + "\n" + complaints(t, s) }, func() bool {
		f, _ = s.Artifactory.File(repo, path)
		return strings.Join(f.Properties["hallmark.state"], "") == state
	})
	return f
}

// An upload by a member of the group is signed; one by a stranger is denied, whoever an event says that it was.
func TestSubmitters(t *testing.T) {
	t.Parallel()
	s := asked(t)
	require.NoError(t, os.WriteFile(s.Path("policies", "release.yaml"), []byte(teamed), 0o600))
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGHUP))
	eventually(t, func() string { return "the new policies are in force\n" + complaints(t, s) }, func() bool {
		return strings.Contains(serviceLog(t, s), `"changed policies are in force"`)
	})
	bring(t, s, member, teamRepo, "a.tgz", "by a member", nil)
	comesToBe(t, s, teamRepo, "a.tgz", "signed")
	bring(t, s, stranger, teamRepo, "b.tgz", "by a stranger", nil)
	f := comesToBe(t, s, teamRepo, "b.tgz", "denied")
	require.Contains(t, f.Properties["hallmark.reason"][0], "trigger-refused")

	told := func() (st api.Status) {
		hallmarkJSON(t, s, 0, &st, "status", teamRepo+"/b.tgz")
		return st
	}
	require.Equal(t, reason.TriggerRefused, told().Current.Reasons[0].Code)
	before := len(told().History)
	forged := strings.Replace(event("deployed", teamRepo, "b.tgz"), `"id":"dev1"`, `"id":"`+member+`"`, 1)
	require.Contains(t, forged, member)
	status, answer := send(t, s.URL+"/webhook/main", mac(s.Secret("webhook"), forged), forged)
	require.Equal(t, 202, status, answer)
	eventually(t, func() string { return "the forged event is judged" }, func() bool { return len(told().History) > before })
	require.Equal(t, "denied", told().Current.State)
	require.NotContains(t, s.Artifactory.Paths(teamRepo), "b.tgz.sig")

	// A token that may not read users any more: nothing is signed, doctor and status tell what to grant.
	require.Equal(t, 0, hallmark(t, s, "doctor").code)
	require.NoError(t, s.Artifactory.AddToken(standin.Token{Value: s.Secret("artifactory"), User: "hallmark", Rights: map[string]string{"*": "rwa"}}))
	var checks []hsm.Check
	hallmarkJSON(t, s, 1, &checks, "doctor")
	for _, c := range checks {
		require.Equal(t, c.Name != "artifactory main: groups of users", c.OK, "%+v", c)
		if !c.OK {
			require.Contains(t, c.Fix, "system:identities:r")
		}
	}
}

// A property names a build; its record says whether the bytes are its own.
func TestBuiltByCI(t *testing.T) {
	t.Parallel()
	s := asked(t)
	m := jfrogClient(t, s)
	props := map[string][]string{"build.name": {"app"}, "build.number": {"7"}}
	bring(t, s, stranger, builtRepo, "forged.tgz", "not of the build", props)
	f := comesToBe(t, s, builtRepo, "forged.tgz", "denied")
	require.Contains(t, f.Properties["hallmark.reason"][0], "check-failed")
	bring(t, s, member, builtRepo, "app.tgz", "of the build", props)
	comesToBe(t, s, builtRepo, "app.tgz", "denied")
	publishBuild(t, m, map[string][]byte{"app.tgz": []byte("of the build")})
	require.Equal(t, 0, hallmark(t, s, "sign", builtRepo+"/app.tgz").code)
	comesToBe(t, s, builtRepo, "app.tgz", "signed")
	hallmark(t, s, "sign", builtRepo+"/forged.tgz")
	comesToBe(t, s, builtRepo, "forged.tgz", "denied")
}

// A property that is set after the upload counts when somebody asks again; a policy that only warns signs and tells.
func TestPropertiesAndWarnings(t *testing.T) {
	t.Parallel()
	s := asked(t)
	bring(t, s, member, channelRepo, "a.tgz", "a", nil)
	comesToBe(t, s, channelRepo, "a.tgz", "denied")
	bring(t, s, member, warnRepo, "a.tgz", "a", nil)
	comesToBe(t, s, warnRepo, "a.tgz", "signed")
	eventually(t, func() string { return "the warning is counted" }, func() bool {
		return scrape(t, s).value("hallmark_policy_warnings_total", "policy", "lenient") == 1
	})
	require.Contains(t, complaints(t, s), "only warns")
	require.Contains(t, hallmark(t, s, "status", warnRepo+"/a.tgz").out, "check-failed")
	setProperty(t, s, channelRepo+"/a.tgz", "channel=stable")
	require.Equal(t, 0, hallmark(t, s, "sign", channelRepo+"/a.tgz").code)
	comesToBe(t, s, channelRepo, "a.tgz", "signed")
}

// setProperty sets one property as anybody may who annotates.
func setProperty(t *testing.T, s *sandbox.Sandbox, item, property string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Artifactory.URL()+"/artifactory/api/storage/"+item+"?properties="+property, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.Secret("admin"))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Less(t, resp.StatusCode, 300)
}
