package groovy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

// Only the guarded repositories are asked about, by the name of the target of a copy and the place of a download.
func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	h := serve(t, refuse)
	etc := plugintest.Configure(t, config(h.URL, map[string]any{
		"promotion": map[string]any{"repositories": []string{"*-release-local", "fw-prod"}, "except": []string{"docs/**", "**/?.txt"}},
	}), secret)
	for name, c := range map[string]struct {
		hook, user, from, to, path string
		folder, targetFolder       bool
		refused                    bool
	}{
		"copy":                             {hook: "beforeCopy", to: release, path: file, refused: true},
		"move":                             {hook: "beforeMove", to: release, path: file, refused: true},
		"by its plain name":                {hook: "beforeMove", to: "fw-prod", path: file, refused: true},
		"within the repository":            {hook: "beforeMove", from: release, to: release, path: file, refused: true},
		"elsewhere":                        {hook: "beforeCopy", to: "libs-other-local", path: file},
		"out of it, to the trash":          {hook: "beforeMove", from: release, to: "auto-trashcan", path: file},
		"a name that begins alike":         {hook: "beforeCopy", to: "fw-prod-local", path: file},
		"a folder":                         {hook: "beforeCopy", to: release, path: "app", folder: true},
		"a file that is to be in a folder": {hook: "beforeCopy", to: release, path: file, targetFolder: true, refused: true},
		"let through":                      {hook: "beforeCopy", to: release, path: "docs/a/b.html"},
		"let through, at the top":          {hook: "beforeCopy", to: release, path: "a.txt"},
		"let through, deep":                {hook: "beforeCopy", to: release, path: "x/y/a.txt"},
		"not let through":                  {hook: "beforeCopy", to: release, path: "x/docs/b.html", refused: true},
		"not let through: two letters":     {hook: "beforeCopy", to: release, path: "x/ab.txt", refused: true},
		"metadata is not promoted unasked": {hook: "beforeCopy", to: release, path: "app/maven-metadata.xml", refused: true},
		"Hallmark promotes":                {hook: "beforeCopy", user: "hallmark-promoter", to: release, path: file},
		"somebody called much alike":       {hook: "beforeCopy", user: "Hallmark-promoter", to: release, path: file, refused: true},
		"nobody promotes":                  {hook: "beforeCopy", user: "-", to: release, path: file, refused: true},

		"download":                       {hook: "altResponse", from: release, path: file, refused: true},
		"download elsewhere":             {hook: "altResponse", from: "fw-prod", path: file},
		"a signature":                    {hook: "altResponse", from: release, path: file + ".sigstore.json", refused: true},
		"metadata":                       {hook: "altResponse", from: release, path: "app/maven-metadata.xml"},
		"metadata at the top":            {hook: "altResponse", from: release, path: "maven-metadata.xml"},
		"checksum":                       {hook: "altResponse", from: release, path: file + ".sha256"},
		"called metadata":                {hook: "altResponse", from: release, path: "app/maven-metadata.xml/app.tgz", refused: true},
		"what calls itself a folder":     {hook: "altResponse", from: release, path: file, folder: true, refused: true},
		"Hallmark reads what it judges":  {hook: "altResponse", user: "hallmark", from: release, path: file},
		"exceptions of promotions alone": {hook: "altResponse", from: release, path: "docs/a/b.html", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, user := c.from, c.user
			if from == "" {
				from = staging
			}
			switch user {
			case "":
				user = "dev1"
			case "-":
				user = ""
			}
			call := plugintest.Call{Hook: c.hook, Etc: etc, User: user, Item: &plugintest.Path{Repo: from, Path: c.path, Folder: c.folder}}
			if c.to != "" {
				call.Target = &plugintest.Path{Repo: c.to, Path: c.path, Folder: c.folder || c.targetFolder}
			}
			o := do(t, call)
			require.Equal(t, c.refused, !o.Passed(), o)
			if c.refused {
				requireRefused(t, o, "signature-missing")
			}
		})
	}
}

// Who may fetch from a guarded repository unasked: Hallmark, and whom the configuration names for downloads. That one may
// not promote.
func TestReadersOfGuardedRepositories(t *testing.T) {
	t.Parallel()
	etc := plugintest.Configure(t, config(serve(t, refuse).URL, map[string]any{"download": map[string]any{"repositories": []string{release}, "users": []string{"xray"}, "except": []string{}}}), secret)
	fetch, copied := download(etc), promote(etc)
	fetch.User, copied.User = "xray", "xray"
	require.True(t, do(t, fetch).Passed())
	requireRefused(t, do(t, copied), "signature-missing")
	fetch.User, fetch.Item.Path = "dev1", "app/maven-metadata.xml"
	requireRefused(t, do(t, fetch), "signature-missing")
}

func TestFoldersCanBeRefused(t *testing.T) {
	t.Parallel()
	h := serve(t, allow)
	etc := plugintest.Configure(t, config(h.URL, map[string]any{"promotion": map[string]any{"repositories": []string{release}, "folders": false}}), secret)
	folder := promote(etc)
	folder.Item.Folder, folder.Target.Folder = true, true
	requireRefused(t, do(t, folder), "Folders are not carried as such here", "fix: ")
	require.Empty(t, h.questions())
	require.True(t, do(t, promote(etc)).Passed())
}

// A layer has no signature of its own: the manifest in its folder is asked about, under the layer's own name only.
func TestLayersGoWithTheirManifest(t *testing.T) {
	t.Parallel()
	layer := "team/app/1.0/sha256__" + strings.Repeat("ab", 32)
	part := func(w http.ResponseWriter, q question, code string) {
		write(w, 200, verdict(q, false, map[string]any{"reasons": []any{map[string]any{"code": code, "message": "goes with its image"}}}))
	}
	good := true
	h := serve(t, func(w http.ResponseWriter, r *http.Request, q question) {
		switch {
		case strings.Contains(q.Artifact, "sha256__"):
			part(w, q, "part-of-image")
		case strings.HasSuffix(q.Artifact, "/attachment/manifest.json"):
			part(w, q, "signature-file")
		case strings.HasSuffix(q.Artifact, "/odd/manifest.json"):
			part(w, q, "part-of-image")
		case good:
			allow(w, r, q)
		default:
			refuse(w, r, q)
		}
	})
	etc := plugintest.Configure(t, config(h.URL, nil), secret)
	call := func(hook, from, to string) plugintest.Call {
		return plugintest.Call{Hook: hook, Etc: etc, User: "dev1", Item: at("oci-staging-local", from), Target: at("oci-release-local", to)}
	}
	require.True(t, do(t, call("beforeCopy", layer, layer)).Passed())
	require.Equal(t, []question{
		{"", "oci-staging-local/" + layer, "oci-release-local/" + layer},
		{"", "oci-staging-local/team/app/1.0/manifest.json", "oci-release-local/team/app/1.0/manifest.json"},
	}, h.questions())
	requireRefused(t, do(t, call("beforeCopy", layer, "team/app/1.0/tool.sh")), "part-of-image")
	requireRefused(t, do(t, call("beforeCopy", "team/app/odd/manifest.json", "team/app/odd/manifest.json")), "part-of-image")
	good = false
	requireRefused(t, do(t, call("beforeCopy", layer, layer)), "signature-missing")

	attachment := "team/app/attachment/manifest.json"
	requireRefused(t, do(t, call("beforeCopy", attachment, attachment)), "signature-file")
	rewrite(t, etc, config(h.URL, map[string]any{"imageSignatures": true}))
	require.True(t, do(t, call("beforeCopy", attachment, attachment)).Passed())
	requireRefused(t, do(t, call("beforeCopy", "team/app/1.0/manifest.json", "team/app/1.0/manifest.json")), "signature-missing")
}

// hallmark.* is Hallmark's, however it is written.
func TestPropertyShield(t *testing.T) {
	t.Parallel()
	etc := plugintest.Configure(t, config("http://127.0.0.1:1", nil), secret) // nobody is asked
	reserved := []string{
		"hallmark.state", "hallmark.keys", "hallmark.", "hallmark", "Hallmark.State", "HALLMARK.STATE", " hallmark.state", "hallmark.state ", "hallmark .state", "hall mark.state",
		"\thallmark.state", "hallmark\u00a0.state", "hall\u200bmark.state", "\ufeffhallmark.state", "\uff48\uff41\uff4c\uff4c\uff4d\uff41\uff52\uff4b.state", "hallmark\uff0estate",
	}
	for _, hook := range []string{"beforePropertyCreate", "beforePropertyDelete"} {
		for _, name := range reserved {
			for _, user := range []string{"dev1", "admin", "HALLMARK", ""} {
				requireRefused(t, do(t, mark(etc, user, hook, name)), "hallmark.* says what Hallmark found out", "fix: leave it to Hallmark")
			}
			for _, user := range []string{"hallmark", "hallmark-promoter"} {
				require.True(t, do(t, mark(etc, user, hook, name)).Passed(), name)
			}
		}
		for _, name := range []string{"build.name", "hallmarks.state", "hallmarkstate", "my.hallmark.state", "hall.mark", "state"} {
			require.True(t, do(t, mark(etc, "dev1", hook, name)).Passed(), name)
		}
	}
	folder := mark(etc, "dev1", "beforePropertyCreate", "hallmark.state")
	folder.Item.Folder = true
	requireRefused(t, do(t, folder))
}

// Whatever Artifactory hands over, what comes out is a CancelException or, for a download, the status 403.
func TestHookArgumentsThatAreNone(t *testing.T) {
	t.Parallel()
	etc := plugintest.Configure(t, config(serve(t, allow).URL, nil), secret)
	for name, change := range map[string]func(c *plugintest.Call){
		"no item":      func(c *plugintest.Call) { c.Item = nil },
		"no path":      func(c *plugintest.Call) { c.Item.Path = "" },
		"no target":    func(c *plugintest.Call) { c.Target = nil },
		"no such path": func(c *plugintest.Call) { c.Target.Path = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, hook := range []string{"beforeMove", "beforeCopy"} {
				c := promote(etc)
				c.Hook = hook
				change(&c)
				requireRefused(t, do(t, c), "No verdict")
			}
		})
	}
	requireRefused(t, do(t, plugintest.Call{Hook: "altResponse", Etc: etc, User: "dev1"}), "No verdict")
	requireRefused(t, do(t, plugintest.Call{Hook: "altResponse", Etc: etc, User: "dev1", Item: at(release, "")}), "No verdict")
	requireRefused(t, do(t, plugintest.Call{Hook: "beforePropertyCreate", Etc: etc, User: "dev1", Item: at(staging, file)}), "No verdict")
}
