package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

// A pipeline relies on three exit codes: 0 yes, 1 no, 2 not known. Only 0 may let anything pass.
func TestGateExitCodes(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	upload(t, s, app, "good")
	upload(t, s, "app/tampered.bin", "as signed")
	upload(t, s, "manual/unsigned.bin", "unsigned")
	awaitSigned(t, s, app, "app/tampered.bin")
	s.Artifactory.HoldEvents()
	upload(t, s, "app/tampered.bin", "as an attacker wants it")

	check := func(artifact, target string) []string {
		return []string{"gate", "check", sandbox.Staging + "/" + artifact, "--target", target}
	}
	for name, c := range map[string]struct {
		artifact, target string
		code             int
		reason           string
	}{
		"signed":       {app, sandbox.Release, 0, ""},
		"signed, path": {app, sandbox.Release + "/other/name.tgz", 0, ""},
		"unsigned":     {"manual/unsigned.bin", sandbox.Release, 1, "signature-missing"},
		"tampered":     {"app/tampered.bin", sandbox.Release, 1, "signature-wrong-bytes"},
		"not there":    {"app/none.bin", sandbox.Release, 1, "artifact-gone"},
		"unguarded":    {app, "libs-other-local", 1, "no-gate-policy"},
		"two readings": {"app/semi;a=b", sandbox.Release, 1, "path-refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var v gate.Verdict
			hallmarkJSON(t, s, c.code, &v, check(c.artifact, c.target)...)
			require.Equal(t, c.code == 0, v.Allow)
			require.Equal(t, c.code != 2, v.Decided)
			r := hallmark(t, s, check(c.artifact, c.target)...)
			require.Equal(t, c.code, r.code)
			if c.code == 0 {
				require.Contains(t, r.out, "ALLOWED")
				require.Empty(t, v.Reasons)
				return
			}
			require.Contains(t, r.out, "REFUSED")
			require.Equal(t, c.reason, string(v.Reasons[0].Code))
			require.Contains(t, r.out, c.reason)
			require.NotEmpty(t, v.Reasons[0].Message)
			require.NotEmpty(t, v.Reasons[0].Fix)
		})
	}

	// What keeps the command from asking at all is 2 as well, with nothing on standard output that could be taken for a yes.
	wrong := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(wrong, []byte("wrong-token\n"), 0o600))
	for name, args := range map[string][]string{
		"nobody listens": append(check(app, sandbox.Release), "--server", "http://127.0.0.1:1"),
		"wrong token":    append(check(app, sandbox.Release), "--token-file", wrong),
		"no token file":  append(check(app, sandbox.Release), "--token-file", "nowhere"),
		"no target":      {"gate", "check", sandbox.Staging + "/" + app},
		"no path":        check("", sandbox.Release),
		"dots":           check("../x", sandbox.Release),
		"not the API":    append(check(app, sandbox.Release), "--server", s.Artifactory.URL()),
		"output format":  append(check(app, sandbox.Release), "-o", "xml"),
		"unknown flag":   append(check(app, sandbox.Release), "--force"),
	} {
		t.Run(name, func(t *testing.T) {
			r := hallmark(t, s, args...)
			require.Equal(t, 2, r.code, r.out+r.err)
			require.Empty(t, r.out)
			require.Len(t, message.FindAllString(r.err, -1), 1, r.err)
			require.NotContains(t, r.err, "wrong-token")
		})
	}

	// Artifactory away: not known.
	disarm := s.Artifactory.Fail(standin.Fault{Match: func(*http.Request) bool { return true }, Status: http.StatusServiceUnavailable, Times: -1})
	var v gate.Verdict
	hallmarkJSON(t, s, 2, &v, check(app, sandbox.Release)...)
	require.False(t, v.Allow || v.Decided)
	disarm()
	require.Equal(t, 0, hallmark(t, s, check(app, sandbox.Release)...).code)
}
