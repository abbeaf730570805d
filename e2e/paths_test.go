package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// Paths with characters that mean something in URLs name their own item or are refused. None sets a property, none
// reaches another item, none leaves the repository.
func TestAwkwardPaths(t *testing.T) {
	t.Parallel()
	const victim = "app/victim.bin"
	signed := []string{
		"app/a b.bin", "app/a+b.bin", "app/100%.bin", "app/%2e%2e/victim.bin", "app/%2e%2e%2fvictim.bin", "app/x%3Bhallmark.state=signed",
		"app/victim.bin?properties", "app/victim.bin#x", "app/a?b=c&d.bin", "app/é/日本.bin", "app/[x]{y}.bin", "app/a:b@c,d=e.bin",
		"app/..a/b..", "app/~/.hidden", "app/x|y^z`.bin", "app/\"quoted\".bin", "app/%00.bin", "app/a%0d%0aX: y.bin",
	}
	// Real items, but Artifactory's interfaces may read them in two ways.
	refused := []string{"app/semi;hallmark.state=signed", "app/semi;a=b/x.bin", "app/x.jar!/META-INF/y"}
	// No real items: sent by a sender who knows the secret.
	hostile := []string{
		"app/../../" + sandbox.Release + "/x", "app/../victim.bin", "../" + sandbox.Release + "/x", "app/./victim.bin", "app//victim.bin",
		"/", "app/", "app/back\\slash", "app/new\nline", "app/nul\x00", "app/tab\tx", "app/bell\x07", "app/\u0085", "app/bad\xff",
		"app/victim.bin;hallmark.state=signed", "app/victim.bin/", "app/" + strings.Repeat("l", 2000),
	}
	s := start(t, sandbox.Config{})
	s.Artifactory.HoldEvents()
	upload(t, s, victim, "nobody announced this")
	s.Artifactory.ReleaseEvents(func([]standin.Event) []standin.Event { return nil })
	require.NoError(t, s.Artifactory.Put(sandbox.Developer, sandbox.Release, "x", strings.NewReader("of another repository"), nil))
	released, _ := s.Artifactory.File(sandbox.Release, "x")

	for _, path := range append(slices.Clone(signed), refused...) {
		upload(t, s, path, "content of "+path)
	}
	secret := s.Secret("webhook")
	for _, path := range hostile {
		body := event("deployed", sandbox.Staging, path)
		if strings.Contains(path, "\xff") {
			body = strings.ReplaceAll(body, `\ufffd`, "\xff")
		}
		status, answer := send(t, s.URL+"/webhook/main", mac(secret, body), body)
		require.Equal(t, 2, status/100, "%q: %s", path, answer)
		for _, target := range []string{path, sandbox.Staging + "/" + path, sandbox.Staging + ":" + path} {
			body := event("copied", sandbox.Staging, "app/gone.bin", "target_repo_path", target)
			status, answer := send(t, s.URL+"/webhook/main", mac(secret, body), body)
			require.Equal(t, 2, status/100, "%q: %s", target, answer)
		}
	}
	for _, repo := range []string{"..", ".", "a/b", sandbox.Staging + "/..", "%2e%2e", "x;y", "", "a?b", "api"} {
		body := event("deployed", repo, "app/x.bin")
		status, _ := send(t, s.URL+"/webhook/main", mac(secret, body), body)
		require.Contains(t, []int{200, 400}, status, repo)
	}

	awaitSigned(t, s, signed...)
	for _, path := range refused {
		status := settled(t, s, path)
		require.NotEqual(t, "signed", status.Current.State, path)
		require.Equal(t, "path-refused", string(status.Current.Reasons[0].Code), path)
	}
	// Verdicts about awkward paths are about the same item.
	var verdict struct {
		Allow    bool   `json:"allow"`
		Artifact string `json:"artifact"`
	}
	for _, path := range []string{"app/%2e%2e/victim.bin", "app/victim.bin?properties"} {
		r := hallmark(t, s, "gate", "check", sandbox.Staging+"/"+path, "--target", sandbox.Release, "-o", "json")
		require.NoError(t, json.Unmarshal([]byte(r.out), &verdict))
		require.True(t, verdict.Allow, r.out)
		require.Equal(t, sandbox.Staging+"/"+path, verdict.Artifact)
	}
	require.Equal(t, 1, hallmark(t, s, "gate", "check", sandbox.Staging+"/"+victim, "--target", sandbox.Release).code)

	finishAll(t, s)

	// Look behind: exactly the signed items changed, each in its own place.
	want := append(append(slices.Clone(signed), refused...), victim)
	for _, path := range signed {
		want = append(want, path+".sig", path+".sigstore.json")
		f, _ := s.Artifactory.File(sandbox.Staging, path)
		require.Equal(t, []string{f.SHA256}, f.Properties["hallmark.sha256"], path)
	}
	require.ElementsMatch(t, want, s.Artifactory.Paths(sandbox.Staging))
	for _, path := range append(slices.Clone(refused), victim) {
		f, ok := s.Artifactory.File(sandbox.Staging, path)
		require.True(t, ok)
		require.Empty(t, f.Properties, path)
	}
	for _, path := range s.Artifactory.Paths(sandbox.Staging) {
		if strings.HasSuffix(path, ".sig") || strings.HasSuffix(path, ".sigstore.json") {
			f, _ := s.Artifactory.File(sandbox.Staging, path)
			require.Empty(t, f.Properties, "no matrix parameter ever set a property: %s", path)
		}
	}
	require.Equal(t, []string{"x"}, s.Artifactory.Paths(sandbox.Release))
	now, _ := s.Artifactory.File(sandbox.Release, "x")
	require.Equal(t, released, now)
	for _, r := range s.Artifactory.Requests() {
		require.NotContains(t, r.Target, ";")
		require.NotContains(t, r.Target, "/../")
		require.NotContains(t, r.Target, sandbox.Release)
	}
	log := serviceLog(t, s)
	for line := range strings.Lines(log) {
		require.True(t, json.Valid([]byte(line)), "a path broke a log line: %q", line)
	}
}

// With pathSemicolon: encode a server that takes %3B as part of the name gets such items signed; one that does not is
// noticed, and nothing is written there.
func TestSemicolonEncoded(t *testing.T) {
	t.Parallel()
	for reads, want := range map[string]string{"name": "signed", "matrix": "failed"} {
		t.Run(reads, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{Standin: func(c *standin.Config) { c.Quirks.EncodedSemicolon = reads }})
			require.NoError(t, s.Terminate())
			edit(t, s.Path("hallmark.yaml"), "artifactory:\n  - name: main\n", "artifactory:\n  - name: main\n    pathSemicolon: encode\n")
			require.NoError(t, s.Serve(t.Context()))
			upload(t, s, "app/semi", "the bare item")
			awaitSigned(t, s, "app/semi")
			bare, _ := s.Artifactory.File(sandbox.Staging, "app/semi")
			const path = "app/semi;a=b"
			upload(t, s, path, "the awkward one")
			status := settled(t, s, path)
			require.Equal(t, want, status.Current.State)
			finishAll(t, s)
			f, _ := s.Artifactory.File(sandbox.Staging, path)
			require.Equal(t, want == "signed", f.Properties["hallmark.state"] != nil)
			now, _ := s.Artifactory.File(sandbox.Staging, "app/semi")
			require.Equal(t, bare, now, "the other item is untouched")
		})
	}
}

// finishAll ends the service after it has worked on every event: events begin in order, and what has begun is finished.
func finishAll(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	upload(t, s, "app/last.bin", "last")
	awaitSigned(t, s, "app/last.bin")
	require.NoError(t, s.Terminate())
	for _, suffix := range []string{"", ".sig", ".sigstore.json"} {
		require.NoError(t, s.Artifactory.Delete(sandbox.Developer, sandbox.Staging, "app/last.bin"+suffix))
	}
}
