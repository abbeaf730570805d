package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
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
