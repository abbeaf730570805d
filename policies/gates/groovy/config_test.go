package groovy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

// Without a configuration the plugin cannot know what is guarded, so nothing moves, is fetched, or marked.
func TestNoConfigurationStopsEverything(t *testing.T) {
	t.Parallel()
	part := func(key string, x any) map[string]any { return config("http://127.0.0.1:1", map[string]any{key: x}) }
	promotion := func(key string, x any) map[string]any {
		return part("promotion", map[string]any{"repositories": []string{release}, key: x})
	}
	for name, c := range map[string]struct {
		content any
		told    string
	}{
		"no file":             {nil, "hallmark.json is not there or cannot be read"},
		"empty":               {"", "hallmark.json"},
		"no JSON":             {"url: https://hallmark", "hallmark.json"},
		"too long":            {strings.Repeat(" ", 2<<20), "too long"},
		"array":               {"[]", "not a JSON object"},
		"unknown key":         {part("repositories", []string{release}), "unknown key repositories"},
		"unknown key inside":  {promotion("repos", []string{}), "promotion has the unknown key repos"},
		"promotion is false":  {part("promotion", false), "promotion is not a JSON object"},
		"no url":              {part("url", nil), "url must be a String"},
		"blank url":           {part("url", " "), "url must be a String"},
		"url in the clear":    {part("url", "http://hallmark.example"), "url must be https"},
		"url with a password": {part("url", "https://me:x@hallmark.example"), "url must be https"},
		"url with a query":    {part("url", "https://hallmark.example/?x=y"), "url must be https"},
		"url of a file":       {part("url", "file:///etc/passwd"), "url must be https"},
		"no address":          {part("url", "hallmark"), "url must be https"},
		"no users":            {part("hallmarkUsers", []string{}), "hallmarkUsers must be a list of texts"},
		"blank user":          {part("hallmarkUsers", []string{" "}), "hallmarkUsers must be a list of texts"},
		"users as a text":     {part("hallmarkUsers", "hallmark"), "hallmarkUsers must be a List"},
		"time as a text":      {part("timeoutSeconds", "6"), "timeoutSeconds must be a Integer"},
		"no time":             {part("timeoutSeconds", 0), "timeoutSeconds must be from 1 to 60"},
		"time without end":    {part("timeoutSeconds", 3600), "timeoutSeconds must be from 1 to 60"},
		"no questions":        {part("concurrent", 0), "concurrent must be from 1 to 1000"},
		"pattern":             {promotion("repositories", []string{"{a,b}"}), "more than *, ** and ?"},
		"folders as a text":   {promotion("folders", "no"), "folders must be a Boolean"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etc := plugintest.Configure(t, map[string]any{}, secret)
			path := filepath.Join(etc, "plugins", "hallmark.json")
			switch content := c.content.(type) {
			case nil:
				require.NoError(t, os.Remove(path))
			case string:
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			default:
				rewrite(t, etc, content)
			}
			elsewhere := promote(etc)
			elsewhere.Target.Repo = "libs-other-local"
			for _, call := range []plugintest.Call{promote(etc), elsewhere, download(etc), mark(etc, "dev1", "beforePropertyCreate", "hallmark.state")} {
				requireRefused(t, do(t, call), c.told, "fix: an Artifactory administrator corrects the file")
			}
			require.True(t, do(t, mark(etc, "dev1", "beforePropertyCreate", "build.name")).Passed(), "no concern of the plugin's")
		})
	}
}

func rewrite(t *testing.T, etc string, content any) {
	t.Helper()
	b, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(etc, "plugins", "hallmark.json"), b, 0o600))
}

func mark(etc, user, hook, name string) plugintest.Call {
	return plugintest.Call{Hook: hook, Etc: etc, User: user, Item: at(staging, file), Name: name}
}

// A change is in force with the next call; a mistake takes no guard away.
func TestConfigurationIsReadAnew(t *testing.T) {
	t.Parallel()
	yes, no := serve(t, allow), serve(t, refuse)
	etc := plugintest.Configure(t, config(yes.URL, nil), secret)
	require.True(t, do(t, promote(etc)).Passed())
	rewrite(t, etc, config(no.URL, nil))
	requireRefused(t, do(t, promote(etc)), "signature-missing")

	rewrite(t, etc, map[string]any{"promotion": map[string]any{}})
	o := do(t, promote(etc))
	requireRefused(t, o, "signature-missing")
	require.Contains(t, strings.Join(o.Log, "\n"), "error: hallmark.json: url must be a String. The configuration that was read before stays in force.")
	require.NotContains(t, strings.Join(do(t, promote(etc)).Log, "\n"), "error:", "once a minute is enough")
	require.NoError(t, os.Remove(filepath.Join(etc, "plugins", "hallmark.json")))
	requireRefused(t, do(t, promote(etc)), "signature-missing")
	rewrite(t, etc, config(yes.URL, nil))
	require.True(t, do(t, promote(etc)).Passed())
}

// The token is read for every question, and never told.
func TestToken(t *testing.T) {
	t.Parallel()
	h := serve(t, allow)
	etc := plugintest.Configure(t, config(h.URL, nil), "")
	token := filepath.Join(etc, "plugins", "hallmark.token")
	requireRefused(t, do(t, promote(etc)), "hallmark.token is not there or cannot be read")
	for _, content := range []string{"", " \n", "two\nlines " + secret, secret + "\x00x", "ünicode" + secret, strings.Repeat("x", 5000)} {
		require.NoError(t, os.WriteFile(token, []byte(content), 0o600))
		requireRefused(t, do(t, promote(etc)), "No verdict", "hallmark.token")
	}
	require.Empty(t, h.questions())
	require.NoError(t, os.WriteFile(token, []byte(secret+"\r\n"), 0o600))
	require.True(t, do(t, promote(etc)).Passed())
	require.NoError(t, os.Remove(token))
	requireRefused(t, do(t, promote(etc)), "hallmark.token")
	require.NoError(t, os.Mkdir(token, 0o700))
	requireRefused(t, do(t, promote(etc)), "hallmark.token")

	absolute := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(absolute, []byte(secret), 0o600))
	require.True(t, do(t, promote(plugintest.Configure(t, config(h.URL, map[string]any{"tokenFile": absolute}), ""))).Passed())
}

// The example beside the plugin is one that it takes: what stops it is the token that is not there.
func TestExample(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "policies", "gates", "groovy", "hallmark.json"))
	require.NoError(t, err)
	etc := plugintest.Configure(t, map[string]any{}, "")
	require.NoError(t, os.WriteFile(filepath.Join(etc, "plugins", "hallmark.json"), example, 0o600))
	requireRefused(t, do(t, promote(etc)), "No verdict, and without one nothing passes: hallmark.token is not there")
	require.True(t, do(t, download(etc)).Passed(), "the download gate is a choice")
}
