package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

const app = "app/1.4.2/app.tgz"

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

// status tells the truth about everything that can become of an upload; sign asks again.
func TestStatusAndSign(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	upload(t, s, app, "good")
	awaitSigned(t, s, app)
	r := hallmark(t, s, "status", sandbox.Staging+"/"+app)
	require.Equal(t, 0, r.code)
	for _, words := range []string{"SIGNED", sandbox.Key, "app.tgz.sigstore.json", "app.tgz.sig", "sha256:", "release-binaries"} {
		require.Contains(t, r.out, words)
	}
	r = hallmark(t, s, "status", sandbox.Staging+"/app/never-seen")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "error: ")
	require.Empty(t, r.out)

	// Lost event: nobody knows, until somebody asks.
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	upload(t, s, "app/lost.bin", "its event was lost")
	delivered(t, s, "app/lost.bin")
	require.Empty(t, state(s, "app/lost.bin"))
	var answer api.SignAnswer
	hallmarkJSON(t, s, 0, &answer, "sign", sandbox.Staging+"/app/lost.bin")
	require.True(t, answer.Accepted)
	awaitSigned(t, s, "app/lost.bin")

	// Asking gives no right to a signature.
	upload(t, s, "manual/x.bin", "no policy signs this")
	r = hallmark(t, s, "sign", sandbox.Staging+"/manual/x.bin")
	require.Equal(t, 0, r.code)
	require.Contains(t, r.out, "hallmark status")
	status := settled(t, s, "manual/x.bin")
	require.Equal(t, "skipped", status.Current.State)
	require.Empty(t, status.Signatures)

	hallmark(t, s, "sign", sandbox.Staging+"/app/none.bin")
	require.Equal(t, "gone", settled(t, s, "app/none.bin").Current.State)
}

// policy explain says here what the service says over its API.
func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	var here policy.Explanation
	hallmarkJSON(t, s, 0, &here, "policy", "explain", sandbox.Staging+"/"+app)
	require.Equal(t, "sign", here.Outcome)
	client := &api.Client{URL: s.URL, Token: s.Secret("caller")}
	there, err := client.Explain(t.Context(), "", sandbox.Staging+"/"+app, "artifact/deployed")
	require.NoError(t, err)
	require.Equal(t, there, here)

	r := hallmark(t, s, "policy", "explain", sandbox.Release+"/"+app)
	require.Contains(t, r.out, "SKIP")
	require.Contains(t, r.out, "yes  policies/release.yaml:")
	require.Contains(t, r.out, "1 signature by a release key")
}

// Keys are listed, made and shown on the token; what is printed is public.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	type key struct {
		Name, Label, Token, Lane, Algorithm, SPKI, Pinned, Problem, PEM string
		Attributes                                                      hsm.Attributes
	}
	var list []key
	hallmarkJSON(t, s, 0, &list, "keys", "list")
	require.Len(t, list, 1)
	require.Equal(t, sandbox.Key, list[0].Name)
	require.Equal(t, list[0].Pinned, list[0].SPKI)
	require.Empty(t, list[0].Problem)

	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		label := "new-" + strings.ToLower(algorithm)
		var made key
		hallmarkJSON(t, s, 0, &made, "keys", "generate", label, "--token", "hsm", "--algorithm", algorithm)
		require.Equal(t, algorithm, made.Algorithm)
		require.Contains(t, made.PEM, "BEGIN PUBLIC KEY")
		require.True(t, *made.Attributes.Sensitive)
		require.False(t, *made.Attributes.Extractable)
		var shown key
		hallmarkJSON(t, s, 0, &shown, "keys", "show", label)
		require.Equal(t, made.SPKI, shown.SPKI)
		r := hallmark(t, s, "keys", "show", label, "--pem")
		require.Equal(t, made.PEM, r.out)
		r = hallmark(t, s, "keys", "generate", label, "--token", "hsm")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "label is taken")
	}
	r := hallmark(t, s, "keys", "generate", "printed", "--token", "hsm")
	require.Contains(t, r.out, "- {name: printed, token: hsm, spki: sha256:")
	r = hallmark(t, s, "keys", "list")
	require.Contains(t, r.out, "RSA-3072")
	require.Contains(t, r.out, "printed")

	for name, args := range map[string][]string{
		"algorithm":   {"generate", "x", "--token", "hsm", "--algorithm", "RSA-1024"},
		"name":        {"generate", "a/b", "--token", "hsm"},
		"token":       {"generate", "x", "--token", "hsn"},
		"unknown key": {"show", "nothing"},
	} {
		r := hallmark(t, s, append([]string{"keys"}, args...)...)
		require.Equal(t, 2, r.code, name)
		require.Len(t, message.FindAllString(r.err, -1), 1, r.err)
	}

	// What was printed is what the configuration takes.
	hallmarkJSON(t, s, 0, &list, "keys", "list")
	require.Len(t, list, 5)
	for _, k := range list {
		if k.Label == "printed" {
			edit(t, s.Path("hallmark.yaml"), "keys:\n", "keys:\n  - {name: printed, token: hsm, spki: \""+k.SPKI+"\", lane: development}\n")
		}
	}
	require.NoError(t, s.Serve(t.Context()))
}

// doctor on a sound installation, beside a running service and without one; and what it says of missing rights.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Standin: func(c *standin.Config) {
		c.Tokens = append(c.Tokens, standin.Token{Value: "reads-only", User: "reader", Rights: map[string]string{"*": "r"}})
		c.Repositories = append(c.Repositories, standin.Repository{Key: "not-for-hallmark"})
	}})
	require.Contains(t, serviceLog(t, s), `"msg":"ready"`)
	r := hallmark(t, s, "doctor")
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "in use by a running service")
	require.NoError(t, s.Terminate())

	var checks []hsm.Check
	hallmarkJSON(t, s, 0, &checks, "doctor")
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
		require.True(t, c.OK)
	}
	for _, name := range []string{
		"configuration is sound", "policies are sound", "token hsm: module loads", "token hsm: slots and tokens seen", "token hsm: token found",
		"token hsm: PIN accepted", "key " + sandbox.Key + ": key found exactly once", "key " + sandbox.Key + ": pinned public key matches",
		"key " + sandbox.Key + ": test signature verifies", "artifactory main: webhook secrets", "artifactory main: reachable",
		"artifactory main: token accepted", "artifactory main: signs in " + sandbox.Staging, "artifactory main: guards " + sandbox.Release,
		"database is writable",
	} {
		require.Contains(t, names, name)
	}
	require.Len(t, s.Artifactory.Paths(sandbox.Staging), 0, "the probes leave nothing behind")

	fails := func(want, fix string) {
		t.Helper()
		var checks []hsm.Check
		hallmarkJSON(t, s, 1, &checks, "doctor")
		found := false
		for _, c := range checks {
			require.Equal(t, c.Name != want, c.OK, "%+v", c)
			found = found || c.Name == want && strings.Contains(c.Fix, fix)
		}
		require.True(t, found, "%+v", checks)
	}
	token := s.Path("secrets", "artifactory")
	good, err := os.ReadFile(token)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(token, []byte("reads-only\n"), 0o600))
	fails("artifactory main: signs in "+sandbox.Staging, "read, annotate and deploy")
	require.NoError(t, os.WriteFile(token, []byte("revoked\n"), 0o600))
	fails("artifactory main: token accepted", "access token")
	require.NoError(t, os.WriteFile(token, good, 0o600))
	edit(t, s.Path("policies", "release.yaml"), sandbox.Release, "nowhere-local")
	fails("artifactory main: guards nowhere-local", "create the repository")
	edit(t, s.Path("policies", "release.yaml"), "nowhere-local", sandbox.Release, "["+sandbox.Staging+"]", "["+sandbox.Staging+", nowhere-local]")
	fails("artifactory main: signs in nowhere-local", "create the repository")
	edit(t, s.Path("policies", "release.yaml"), ", nowhere-local]", "]")
	require.NoError(t, s.Artifactory.Close())
	fails("artifactory main: reachable", "firewall")
}

// A token opens only what its roles name.
func TestCallersNeedTheirRole(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	edit(t, s.Path("hallmark.yaml"), "roles: [gate, sign, status]", "roles: [gate]")
	require.NoError(t, s.Serve(t.Context()))
	require.Equal(t, 1, hallmark(t, s, "gate", "check", sandbox.Staging+"/x", "--target", sandbox.Release).code)
	for _, command := range []string{"status", "sign"} {
		r := hallmark(t, s, command, sandbox.Staging+"/x")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "lacks the role "+command)
	}
	status, answer := send(t, s.URL+"/v1/gate/check", "", `{}`)
	require.Equal(t, http.StatusUnauthorized, status)
	require.True(t, json.Valid([]byte(answer)))
}
