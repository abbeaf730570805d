package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const remoteCache = artifactorytest.Remote + "-cache"

// everyClass gives the stand-in a repository of each class; the signer may read all and write where files are kept.
func everyClass(c *standin.Config) {
	c.Repositories = append(c.Repositories,
		standin.Repository{Key: artifactorytest.Federated, Class: standin.Federated},
		standin.Repository{Key: artifactorytest.Remote, Class: standin.Remote, Fetch: func(path string) ([]byte, bool) { return []byte(path), true }},
		standin.Repository{Key: artifactorytest.LibsVirtual, Class: standin.Virtual, Members: []string{sandbox.Release, sandbox.Staging, artifactorytest.Remote}, DeployTo: sandbox.Staging},
	)
	for i := range c.Tokens {
		if r := c.Tokens[i].Rights; r != nil {
			r[artifactorytest.Federated], r[artifactorytest.LibsVirtual], r[artifactorytest.Remote], r[remoteCache] = "rwa", "r", "r", "r"
		}
	}
}

// A policy that names a repository without files of its own is about nothing. The doctor says so, and what to write.
func TestDoctorKnowsClasses(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Standin: everyClass, Policies: policyFor("federated", "", artifactorytest.Federated, "app")})
	var checks []hsm.Check
	hallmarkJSON(t, s, 0, &checks, "doctor")
	found := func(name string) hsm.Check {
		t.Helper()
		for _, c := range checks {
			if c.Name == "artifactory main: "+name {
				return c
			}
		}
		require.Fail(t, "no such check", "%s in %+v", name, checks)
		return hsm.Check{}
	}
	require.Contains(t, found("signs in "+artifactorytest.Federated).Detail, "federated repository; read yes, annotate yes, deploy yes")
	require.Contains(t, found("signs in "+sandbox.Staging).Detail, "local repository")

	policies := s.Path("policies", "release.yaml")
	edit(t, policies, "["+artifactorytest.Federated+"]", "["+artifactorytest.LibsVirtual+"]")
	edit(t, policies, "["+sandbox.Staging+"]", "["+sandbox.Staging+", "+artifactorytest.Remote+", "+remoteCache+"]")
	edit(t, policies, "["+sandbox.Release+"]", "["+artifactorytest.LibsVirtual+"]")
	hallmarkJSON(t, s, 1, &checks, "doctor")
	virtual := found("signs in " + artifactorytest.LibsVirtual)
	require.False(t, virtual.OK)
	require.Contains(t, virtual.Detail, "virtual repository")
	require.Equal(t, "policies match the local repository that holds the bytes: write "+sandbox.Release+" or "+sandbox.Staging, virtual.Fix)
	for _, key := range []string{artifactorytest.Remote, remoteCache} {
		require.False(t, found("signs in "+key).OK)
		require.Contains(t, found("signs in "+key).Fix, "promoted to")
	}
	require.True(t, found("signs in "+sandbox.Staging).OK)

	require.NoError(t, s.Artifactory.SetQuirks(standin.Quirks{Configurations: "closed"}))
	hallmarkJSON(t, s, 1, &checks, "doctor")
	require.Contains(t, found("signs in "+artifactorytest.LibsVirtual).Fix, "write its name")
}

// signNow asks for a signature by name and returns the status when the work has ended.
func signNow(t *testing.T, s *sandbox.Sandbox, path string) (status api.Status) {
	t.Helper()
	require.Equal(t, 0, hallmark(t, s, "sign", path).code)
	eventually(t, func() string { return path + " is settled\n" + serviceLog(t, s) }, func() bool {
		r := hallmark(t, s, "status", path, "-o", "json")
		status = api.Status{}
		if r.code == 0 {
			readJSON(t, r.out, &status)
		}
		return !status.Pending && status.Current != nil
	})
	return status
}

// deaf are worlds whose webhooks are lost: only what somebody asks for happens.
func deaf(t *testing.T, q standin.Quirks) *sandbox.Sandbox {
	t.Helper()
	s := start(t, sandbox.Config{Standin: func(c *standin.Config) {
		everyClass(c)
		c.Quirks = q
	}})
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	return s
}

// Whoever names a path in a virtual repository means the file that it shows, in the repository that stores it.
func TestVirtualPathsMeanTheLocalFile(t *testing.T) {
	t.Parallel()
	const libs = artifactorytest.LibsVirtual
	for _, q := range []standin.Quirks{{}, {VirtualInfo: "virtual"}, {Configurations: "closed"}} {
		t.Run(fmt.Sprintf("%s %s", q.VirtualInfo, q.Configurations), func(t *testing.T) {
			t.Parallel()
			s := deaf(t, q)
			upload(t, s, "app/v.bin", "v")
			status := signNow(t, s, libs+"/app/v.bin")
			require.Equal(t, "signed", status.Current.State)
			require.Equal(t, sandbox.Staging+"/app/v.bin", status.Artifact)
			require.Equal(t, libs+"/app/v.bin", status.Asked)
			require.Contains(t, hallmark(t, s, "status", libs+"/app/v.bin").out, "asked as  "+libs)
			require.ElementsMatch(t, []string{"app/v.bin", "app/v.bin.sig", "app/v.bin.sigstore.json"}, s.Artifactory.Paths(sandbox.Staging))

			for _, asked := range []string{"/app/v.bin", "/app/v.bin.sig", "/app/v.bin.sigstore.json"} {
				var v gate.Verdict
				hallmarkJSON(t, s, 0, &v, "gate", "check", libs+asked, "--target", sandbox.Release)
				require.Equal(t, sandbox.Staging+"/app/v.bin", v.Subject)
				require.Len(t, v.Signatures, 2)
			}
			var v gate.Verdict
			hallmarkJSON(t, s, 1, &v, "gate", "check", libs+"/app/none.bin", "--target", sandbox.Release)
			require.Equal(t, reason.ArtifactGone, v.Reasons[0].Code)

			// What is done to a repository as a whole is done where the files are.
			r := hallmark(t, s, "promote", libs+"/app/", "--target", sandbox.Release)
			require.Equal(t, 1, r.code, r.out)
			require.Contains(t, r.out, "virtual-repository")
			r = hallmark(t, s, "sweep", "--repo", libs)
			require.NotZero(t, r.code)
			require.Contains(t, r.out, "virtual-repository")
		})
	}
}

// The server names no member and the token may not know them: that is what users are told.
func TestVirtualPathsThatNobodyExplains(t *testing.T) {
	t.Parallel()
	const path = artifactorytest.LibsVirtual + "/app/v.bin"
	s := deaf(t, standin.Quirks{VirtualInfo: "virtual", Configurations: "partial"})
	upload(t, s, "app/v.bin", "v")
	status := signNow(t, s, path)
	require.Equal(t, "failed", status.Current.State)
	require.Equal(t, reason.MembersUnknown, status.Current.Reasons[0].Code)
	var v gate.Verdict
	hallmarkJSON(t, s, 1, &v, "gate", "check", path, "--target", sandbox.Release)
	require.Equal(t, reason.MembersUnknown, v.Reasons[0].Code)
	require.Equal(t, "signed", signNow(t, s, sandbox.Staging+"/app/v.bin").Current.State)
}

// Nothing can be stored in the cache of a remote repository, so nothing is signed there. A gate still judges the
// signatures that came along.
func TestRemoteCache(t *testing.T) {
	t.Parallel()
	const path = "app/far.bin" // also its content
	s := deaf(t, standin.Quirks{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Artifactory.URL()+"/artifactory/"+artifactorytest.Remote+"/"+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+sandbox.Developer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	for _, repo := range []string{artifactorytest.Remote, remoteCache, artifactorytest.LibsVirtual} {
		status := signNow(t, s, repo+"/"+path)
		require.Equal(t, "skipped", status.Current.State)
		require.Equal(t, reason.RemoteCache, status.Current.Reasons[0].Code)
		require.Equal(t, remoteCache+"/"+path, status.Artifact)
		var v gate.Verdict
		hallmarkJSON(t, s, 1, &v, "gate", "check", repo+"/"+path, "--target", sandbox.Release)
		require.Equal(t, reason.SignatureMissing, v.Reasons[0].Code)
	}
	require.Zero(t, signaturesMade(t, s))
	r := hallmark(t, s, "backfill", remoteCache)
	require.NotZero(t, r.code)
	require.Contains(t, r.out, "remote-cache")

	upload(t, s, path, path)
	require.Equal(t, "signed", signNow(t, s, sandbox.Staging+"/"+path).Current.State)
	sig := content(t, s.Artifactory, sandbox.Staging, path+".sigstore.json")
	require.NoError(t, s.Artifactory.Put("_system_", remoteCache, path+".sigstore.json", strings.NewReader(sig), nil))
	var v gate.Verdict
	hallmarkJSON(t, s, 0, &v, "gate", "check", artifactorytest.Remote+"/"+path, "--target", sandbox.Release)
	require.Equal(t, remoteCache+"/"+path, v.Subject)
}

// A policy that names a virtual repository is complained about once; the others are swept all the same.
func TestTheSweepComplainsOfVirtualRepositories(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: eager, Standin: everyClass, Policies: policyFor("virtual", "", artifactorytest.LibsVirtual, "app")})
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	for _, path := range []string{"app/1.bin", "app/2.bin"} { // a sweep after the other
		upload(t, s, path, path)
		awaitSigned(t, s, path)
	}
	said := complaints(t, s)
	require.Equal(t, 1, strings.Count(said, "cannot be swept"), said)
	require.Contains(t, said, "virtual-repository")
}
