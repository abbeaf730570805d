package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// What a change of policies would have done to everything that was decided: asked of the service, and of an export without
// one.
func TestPolicyReplay(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c sandbox.Config) {
		s := start(t, c)
		now, err := os.ReadFile(s.Path("policies", "release.yaml"))
		require.NoError(t, err)
		candidate := func(name, old, new string) string {
			dir := s.Path("candidates", name)
			require.NoError(t, os.MkdirAll(dir, 0o700))
			changed := strings.Replace(string(now), old, new, 1)
			require.NotEqual(t, string(now), changed)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "release.yaml"), []byte(changed), 0o600))
			return dir
		}
		r := hallmark(t, s, "policy", "replay", "--candidate", candidate("wide", `["app/**"]`, `["**"]`))
		require.Equal(t, 0, r.code, r.err)
		require.Contains(t, r.out, "decisions  none: nothing was decided yet")

		upload(t, s, app, "good")
		upload(t, s, "manual/x.bin", "no policy signs this")
		awaitSigned(t, s, app)
		hallmark(t, s, "sign", sandbox.Staging+"/manual/x.bin")
		require.Equal(t, "skipped", settled(t, s, "manual/x.bin").Current.State)
		hallmark(t, s, "gate", "check", sandbox.Staging+"/"+app, "--target", sandbox.Release)
		hallmark(t, s, "gate", "check", sandbox.Staging+"/manual/x.bin", "--target", sandbox.Release)

		replay := func(code int, args ...string) (out trial.Replayed) {
			t.Helper()
			hallmarkJSON(t, s, code, &out, append([]string{"policy", "replay"}, args...)...)
			return out
		}
		same := replay(0, "--candidate", s.Path("policies"))
		require.Equal(t, 4, same.Decisions)
		require.Equal(t, 4, same.Unchanged)
		require.Nil(t, same.InForce)
		wide := replay(0, "--candidate", s.Path("candidates", "wide"))
		require.Len(t, wide.Effects, 1)
		require.Equal(t, trial.NewlySigned, wide.Effects[0].Effect)
		require.Equal(t, sandbox.Staging+"/manual/x.bin", wide.Effects[0].Examples[0].Artifact)

		warns := candidate("warns", "name: libs-release\n", "name: libs-release\nmode: warn\n")
		open := replay(1, "--candidate", warns)
		require.Equal(t, 1, open.NewlyAllowed)
		require.Contains(t, open.Effects[0].Because, "signature-missing by policies/release.yaml:")
		require.Equal(t, open, replay(0, "--candidate", warns, "--allow-newly-allowed"))
		require.Equal(t, open.Effects, replay(1, "--candidate", warns, "--in-force", s.Path("policies")).Effects)
		checked := candidate("checked", "sign:\n", "require: [{name: qa, property: {name: qa}}]\nsign:\n")
		unsure := replay(0, "--candidate", checked)
		require.Equal(t, 1, unsure.CannotTell)
		require.Equal(t, "properties: not looked up then", unsure.Unknown[0].Fact)
		narrow := candidate("narrow", `["app/**"]`, `["other/**"]`)
		require.Equal(t, 2, len(replay(0, "--candidate", narrow, "--repository", sandbox.Staging).Effects[0].Examples), "the decision, and what stands in the repository")
		require.Equal(t, 2, replay(0, "--candidate", narrow, "--repository", sandbox.Staging).Paths, "signature files are left out")

		r = hallmark(t, s, "policy", "export")
		require.Equal(t, 0, r.code, r.err)
		file := s.Path("decisions.ndjson")
		require.NoError(t, os.WriteFile(file, []byte(r.out), 0o600))
		r = hallmark(t, s, "policy", "export", "--since", "2100-01-01")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "in the future")
		require.NoError(t, s.Terminate())
		require.Equal(t, open, replay(1, "--candidate", warns, "--from", file))
		require.NoError(t, os.WriteFile(file, []byte(strings.Split(string(mustRead(t, file)), "\n")[0]), 0o600))
		r = hallmark(t, s, "policy", "replay", "--candidate", warns, "--from", file)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "it was cut off")
	})
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return content
}
