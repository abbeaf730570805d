package artifactory_test

import (
	"strings"
	"testing"

	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// classes has one repository of each class. What lies behind the remote one is one file.
func classes(t *testing.T, quirks standin.Quirks) *standin.Server {
	t.Helper()
	return artifactorytest.Start(t, standin.Config{
		Quirks: quirks,
		Repositories: []standin.Repository{
			{Key: "a-local"},
			{Key: "b-local", Project: "fw"},
			{Key: "fed", Class: standin.Federated},
			{Key: "mirror", Class: standin.Remote, Fetch: func(path string) ([]byte, bool) { return []byte("far"), path == "far/f" }},
			{Key: "inner", Class: standin.Virtual, Members: []string{"b-local", "fed"}},
			{Key: "all", Class: standin.Virtual, Members: []string{"a-local", "inner", "mirror"}, DeployTo: "a-local"},
		},
		Tokens:       []standin.Token{{Value: "not-a", User: "not-a", Rights: map[string]string{"b-local": "r", "fed": "r", "mirror": "r"}}},
		Environments: map[string][]string{"PROD": {"b-local"}, "DEV": {"a-local", "b-local"}},
	})
}

func TestReadThroughVirtual(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	for repo, paths := range map[string][]string{"a-local": {"x", "dir/y"}, "b-local": {"x", "z"}, "fed": {"z", "w"}} {
		for _, p := range paths {
			require.NoError(t, s.Put("ci", repo, p, strings.NewReader(repo), map[string][]string{"from": {repo}}))
		}
	}
	for _, tt := range []struct {
		name, token, path, holder string
		status                    int
	}{
		{"first member", artifactorytest.Reader, "x", "a-local", 200},
		{"nested member", artifactorytest.Reader, "z", "b-local", 200},
		{"last of the nested", artifactorytest.Reader, "w", "fed", 200},
		{"not allowed in the first", "not-a", "x", "b-local", 200},
		{"allowed nowhere it lies", "not-a", "dir/y", "", 403},
		{"nowhere", artifactorytest.Reader, "v", "", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "HEAD"} {
				resp, body := send(t, s, request{method: method, target: "/artifactory/all/" + tt.path, token: tt.token})
				require.Equal(t, tt.status, resp.StatusCode, body)
				if tt.status == 200 && method == "GET" {
					require.Equal(t, tt.holder, body)
				}
			}
			resp, body := send(t, s, request{method: "GET", target: "/artifactory/api/storage/all/" + tt.path, token: tt.token})
			require.Equal(t, tt.status, resp.StatusCode, body)
			if tt.status == 200 {
				require.Contains(t, body, `"repo":"`+tt.holder+`"`)
				_, body = send(t, s, request{method: "GET", target: "/artifactory/api/storage/all/" + tt.path + "?properties", token: tt.token})
				require.Contains(t, body, `"properties":{"from":["`+tt.holder+`"]}`)
			}
		})
	}
}

func TestVirtualInfoQuirk(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{VirtualInfo: "virtual"})
	put(t, s, "a-local", "x")
	_, body := send(t, s, request{method: "GET", target: "/artifactory/api/storage/all/x", token: artifactorytest.Reader})
	require.Contains(t, body, `"repo":"all"`)
}

func TestConfigurationsQuirk(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	ask := func(token string) (int, string) {
		resp, body := send(t, s, request{method: "GET", target: "/artifactory/api/repositories/all", token: token})
		return resp.StatusCode, body
	}
	status, body := ask(artifactorytest.Reader)
	require.Equal(t, 200, status)
	require.Contains(t, body, `"repositories":["a-local","inner","mirror"]`)
	require.NoError(t, s.SetQuirks(standin.Quirks{Configurations: "partial"}))
	_, body = ask(artifactorytest.Reader)
	require.JSONEq(t, `{"key":"all","description":"","rclass":"virtual","packageType":"generic"}`, body)
	_, body = ask(artifactorytest.Admin)
	require.Contains(t, body, `"defaultDeploymentRepo":"a-local"`)
	require.NoError(t, s.SetQuirks(standin.Quirks{Configurations: "closed"}))
	status, _ = ask(artifactorytest.Reader)
	require.Equal(t, 403, status)
}

func TestWritesByClass(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		repo   string
		status int
		holder string
	}{
		{"a-local", 201, "a-local"},
		{"fed", 201, "fed"},
		{"all", 201, "a-local"},
		{"inner", 403, ""},
		{"mirror", 403, ""},
		{"mirror-cache", 403, ""},
	} {
		t.Run(tt.repo, func(t *testing.T) {
			t.Parallel()
			s := classes(t, standin.Quirks{})
			r := newReceiver(t)
			sub := subscription(r)
			sub.EventFilter.Criteria = standin.Criteria{AnyLocal: true, AnyFederated: true}
			require.NoError(t, s.AddSubscription(sub))
			resp, body := send(t, s, request{method: "PUT", target: "/artifactory/" + tt.repo + "/d/f", token: artifactorytest.CI, body: "x"})
			require.Equal(t, tt.status, resp.StatusCode, body)
			if tt.status == 201 {
				_, ok := s.File(tt.holder, "d/f")
				require.True(t, ok)
				require.Contains(t, body, `"repo":"`+tt.holder+`"`)
				delivered(t, s)
				require.Equal(t, []string{"deployed " + tt.holder + "/d/f"}, r.events(t))
			}
			require.NoError(t, s.SetQuirks(standin.Quirks{NoDeployTarget: "missing"}))
			if tt.status == 403 {
				resp, _ = send(t, s, request{method: "PUT", target: "/artifactory/" + tt.repo + "/d/f", token: artifactorytest.CI, body: "x"})
				require.Equal(t, 404, resp.StatusCode)
			}
		})
	}
	s := classes(t, standin.Quirks{})
	put(t, s, "a-local", "x")
	for _, r := range []request{
		{method: "PUT", target: "/artifactory/api/storage/all/x?properties=a=b"},
		{method: "DELETE", target: "/artifactory/api/storage/all/x?properties=a"},
		{method: "PATCH", target: "/artifactory/api/metadata/all/x", body: `{"props":{"a":"b"}}`},
		{method: "DELETE", target: "/artifactory/all/x"},
		{method: "POST", target: "/artifactory/api/move/all/x?to=/fed/x"},
	} {
		r.token = artifactorytest.CI
		resp, body := send(t, s, r)
		require.Contains(t, []int{403, 404}, resp.StatusCode, body)
	}
	resp, body := send(t, s, request{method: "POST", target: "/artifactory/api/copy/a-local/x?to=/all/y", token: artifactorytest.CI})
	require.Equal(t, 200, resp.StatusCode, body)
	require.ElementsMatch(t, []string{"x", "y"}, s.Paths("a-local"))
}

// A remote repository fills its cache on the first download, with an event; properties go to the cache.
func TestRemoteCache(t *testing.T) {
	t.Parallel()
	s, r := classes(t, standin.Quirks{}), newReceiver(t)
	sub := subscription(r)
	sub.EventFilter.EventTypes, sub.EventFilter.Criteria = []string{"cached", "deployed"}, standin.Criteria{AnyRemote: true}
	require.NoError(t, s.AddSubscription(sub))
	get := func(target string) (int, string) {
		resp, body := send(t, s, request{method: "GET", target: target, token: artifactorytest.CI})
		return resp.StatusCode, body
	}
	status, _ := get("/artifactory/api/storage/mirror/far/f")
	require.Equal(t, 404, status, "info does not fetch")
	for _, target := range []string{"/artifactory/all/far/f", "/artifactory/mirror/far/f", "/artifactory/mirror-cache/far/f"} {
		status, body := get(target)
		require.Equal(t, 200, status)
		require.Equal(t, "far", body)
	}
	status, _ = get("/artifactory/mirror/far/g")
	require.Equal(t, 404, status)
	delivered(t, s)
	require.Equal(t, []string{"cached mirror-cache/far/f"}, r.events(t), "once")
	_, body := get("/artifactory/api/storage/mirror/far/f")
	require.Contains(t, body, `"repo":"mirror-cache"`)
	resp, _ := send(t, s, request{method: "PUT", target: "/artifactory/api/storage/mirror-cache/far/f?properties=a=b", token: artifactorytest.CI})
	require.Equal(t, 204, resp.StatusCode)
}

func TestMirror(t *testing.T) {
	t.Parallel()
	for quirk, want := range map[string]int{"": 1, "announce": 1, "silent": 0} {
		s, r := classes(t, standin.Quirks{Mirrored: quirk}), newReceiver(t)
		sub := subscription(r)
		sub.EventFilter.Criteria = standin.Criteria{AnyFederated: true}
		require.NoError(t, s.AddSubscription(sub))
		require.NoError(t, s.Mirror("fed", "a/f", []byte("x"), nil))
		require.Error(t, s.Mirror("a-local", "a/f", []byte("x"), nil))
		delivered(t, s)
		require.Len(t, r.received(), want)
		require.Equal(t, []string{"a/f"}, s.Paths("fed"))
	}
}

func TestServicesRepositories(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	m := client(t, s, artifactorytest.CI)
	list := func(p services.RepositoriesFilterParams) []string {
		repos, err := m.GetAllRepositoriesFiltered(p)
		require.NoError(t, err)
		var out []string
		for _, r := range *repos {
			out = append(out, r.Key+" "+r.GetRepoType())
		}
		return out
	}
	require.Equal(t, []string{"a-local LOCAL", "all VIRTUAL", "b-local LOCAL", "fed FEDERATED", "inner VIRTUAL", "mirror REMOTE"}, list(services.RepositoriesFilterParams{}))
	require.Equal(t, []string{"all VIRTUAL", "inner VIRTUAL"}, list(services.RepositoriesFilterParams{RepoType: "virtual"}))
	require.Equal(t, []string{"b-local LOCAL"}, list(services.RepositoriesFilterParams{ProjectKey: "fw", PackageType: "Generic"}))

	var virtual struct {
		services.VirtualRepositoryBaseParams
		Environments []string
	}
	require.NoError(t, m.GetRepository("all", &virtual))
	require.Equal(t, "virtual", virtual.Rclass)
	require.Equal(t, []string{"a-local", "inner", "mirror"}, virtual.Repositories)
	require.Equal(t, "a-local", virtual.DefaultDeploymentRepo)
	var local services.LocalRepositoryBaseParams
	require.NoError(t, m.GetRepository("b-local", &local))
	require.Equal(t, []string{"DEV", "PROD"}, local.Environments)
	require.Equal(t, "fw", local.ProjectKey)
	require.Error(t, m.GetRepository("mirror-cache", &local))
}

func TestRepositoryConfiguration(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	for _, r := range []standin.Repository{
		{Key: "a-local"}, {Key: "1st"}, {Key: "v2"}, {Key: "x", Class: "odd"}, {Key: "x", Members: []string{"a-local"}},
		{Key: "x", Class: standin.Virtual, Members: []string{"nowhere"}}, {Key: "x", Class: standin.Virtual, PackageType: "docker", Members: []string{"a-local"}},
		{Key: "x", Class: standin.Virtual, Members: []string{"a-local"}, DeployTo: "b-local"},
		{Key: "x", Class: standin.Virtual, Members: []string{"mirror"}, DeployTo: "mirror"},
	} {
		require.Error(t, s.AddRepository(r), "%+v", r)
	}
}
