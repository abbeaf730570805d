package e2e

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

// groovyConfig has the user plugin guard repositories with the sandbox's Hallmark.
func groovyConfig(s *sandbox.Sandbox, repositories ...string) map[string]any {
	return map[string]any{
		"url": s.URL, "tokenFile": "hallmark.token", "instance": sandbox.Main, "hallmarkUsers": []string{"hallmark", sandbox.Promoter}, "timeoutSeconds": 30,
		"promotion": map[string]any{"repositories": repositories}, "download": map[string]any{"repositories": repositories},
	}
}

// The user plugin, in real Groovy, asks the real service: what is signed passes, and who is refused reads what the command
// line would have said.
func TestGroovyPluginAsksHallmark(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	upload(t, s, app, "good")
	upload(t, s, "app/ünï 1+2.tgz", "good, too")
	upload(t, s, "app/tampered.bin", "as signed")
	upload(t, s, "manual/unsigned.bin", "unsigned")
	awaitSigned(t, s, app, "app/ünï 1+2.tgz", "app/tampered.bin")
	s.Artifactory.HoldEvents()
	upload(t, s, "app/tampered.bin", "as an attacker wants it")
	require.Equal(t, 0, hallmark(t, s, "promote", sandbox.Staging+"/"+app, "--target", sandbox.Release, "--confirm").code)
	require.NoError(t, s.Artifactory.Put(sandbox.Promoter, sandbox.Release, "app/smuggled.tgz", strings.NewReader("past every gate"), nil))

	artifactory := plugintest.Start(t)
	t.Cleanup(artifactory.Stop)
	etc := plugintest.Configure(t, groovyConfig(s, sandbox.Release), s.Secret("caller"))
	ask := func(hook, etc, path string) plugintest.Outcome {
		t.Helper()
		c := plugintest.Call{Hook: hook, Etc: etc, User: sandbox.Developer, Item: &plugintest.Path{Repo: sandbox.Staging, Path: path}, Target: &plugintest.Path{Repo: sandbox.Release, Path: path}}
		if hook == "altResponse" {
			c.Item, c.Target = c.Target, nil
		}
		o := artifactory.Do(t, c)
		noSecrets(t, s, o.Message+strings.Join(o.Log, "\n"))
		return o
	}
	for name, c := range map[string]struct{ hook, path, reason string }{
		"signed":                      {"beforeCopy", app, ""},
		"signed, moved":               {"beforeMove", app, ""},
		"odd name":                    {"beforeCopy", "app/ünï 1+2.tgz", ""},
		"its signature":               {"beforeCopy", app + ".sigstore.json", ""},
		"unsigned":                    {"beforeCopy", "manual/unsigned.bin", "signature-missing"},
		"tampered":                    {"beforeMove", "app/tampered.bin", "signature-wrong-bytes"},
		"not there":                   {"beforeCopy", "app/none.bin", "artifact-gone"},
		"two readings":                {"beforeCopy", "app/semi;a=b", "path-refused"},
		"a name that tells of a tag":  {"beforeCopy", "app/app:1.0", "artifact-gone"},
		"download":                    {"altResponse", app, ""},
		"download of its signature":   {"altResponse", app + ".sig", ""},
		"download of what slipped in": {"altResponse", "app/smuggled.tgz", "signature-missing"},
	} {
		o := ask(c.hook, etc, c.path)
		if c.reason == "" {
			require.True(t, o.Passed(), "%s: %v", name, o)
			continue
		}
		require.Equal(t, http.StatusForbidden, o.Status, name)
		require.Contains(t, o.Message, sandbox.Release+"/"+c.path+". "+c.reason+": ", name)
		require.Contains(t, o.Message, "; fix: ", name)
	}

	o := ask("beforeCopy", plugintest.Configure(t, groovyConfig(s, sandbox.Release), "wrong-token"), app)
	require.Equal(t, http.StatusForbidden, o.Status)
	require.Contains(t, o.Message, "HTTP 401: the bearer token is not known")
	require.NotContains(t, o.Message, "wrong-token")

	disarm := s.Artifactory.Fail(standin.Fault{Match: func(*http.Request) bool { return true }, Status: http.StatusServiceUnavailable, Times: -1})
	require.Contains(t, ask("beforeCopy", etc, app).Message, "It could not be decided. undecided: ")
	disarm()
	require.True(t, ask("beforeCopy", etc, app).Passed())
	require.NoError(t, s.Kill())
	require.Contains(t, ask("beforeCopy", etc, app).Message, "Hallmark could not be asked")
	require.NoError(t, s.Serve(t.Context()))
	require.True(t, ask("beforeCopy", etc, app).Passed())
}

// Artifactory's own promotion of an image calls the plugin for every file of it: none of a signed image is stopped, and
// nothing of another arrives.
func TestGroovyPluginJudgesAPromotedImage(t *testing.T) {
	t.Parallel()
	s, registry := imageWorld(t, standin.Quirks{PromotedReferrers: "stay"}, sandbox.Config{})
	artifactory := plugintest.Start(t)
	t.Cleanup(artifactory.Stop)
	etc := plugintest.Configure(t, groovyConfig(s, ociRelease), s.Secret("caller"))
	split := func(address string) *plugintest.Path {
		repo, path, _ := strings.Cut(address, "/")
		return &plugintest.Path{Repo: repo, Path: path}
	}
	refusals := make(chan string, 100)
	s.Artifactory.Interrupt(func(from, to string) error {
		o := artifactory.Do(t, plugintest.Call{Hook: "beforeCopy", Etc: etc, User: sandbox.Developer, Item: split(from), Target: split(to)})
		if !o.Passed() {
			refusals <- o.Message
			return errors.New(o.Message)
		}
		return nil
	})
	promote := func(tag string) error {
		p := services.NewDockerPromoteParams(imageName, ociStaging, ociRelease)
		p.SourceTag, p.Copy = tag, true
		return jfrogClient(t, s).PromoteDocker(p)
	}
	registry.Push(imageName, ":1.0", registry.New("linux/amd64"))
	awaitImage(t, s, ociStaging, imageName+"/1.0/manifest.json", "images")
	require.NoError(t, promote("1.0"))
	requireAccepted(t, s, ociStaging, ":1.0")
	arrived := s.Artifactory.Paths(ociRelease)
	require.True(t, slices.ContainsFunc(arrived, func(p string) bool { return strings.Contains(p, "/sha256__") }), arrived)

	s.Artifactory.HoldEvents()
	registry.Push(imageName, ":2.0", registry.New("linux/amd64"))
	require.Empty(t, refusals)
	require.Error(t, promote("2.0"))
	require.NotEmpty(t, refusals)
	require.Contains(t, <-refusals, "signature-missing")
	require.False(t, slices.ContainsFunc(s.Artifactory.Paths(ociRelease), func(p string) bool { return strings.HasPrefix(p, imageName+"/2.0/") }))
}
