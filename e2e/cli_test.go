package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

const app = "app/1.4.2/app.tgz"

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
		Name, Label, Token, Use, Lane, Algorithm, SPKI, Pinned, Problem, PEM string
		Attributes                                                           hsm.Attributes
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
	require.Contains(t, r.err, "warning: which keys are distrusted is not known", "no service runs")

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

// A token opens only what its roles name.
func TestCallersNeedTheirRole(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	edit(t, s.Path("hallmark.yaml"), "roles: [gate, sign, status, promote, sweep, admin, auditor]", "roles: [gate]")
	require.NoError(t, s.Serve(t.Context()))
	require.Equal(t, 1, hallmark(t, s, "gate", "check", sandbox.Staging+"/x", "--target", sandbox.Release).code)
	for _, command := range []string{"status", "sign"} {
		r := hallmark(t, s, command, sandbox.Staging+"/x")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "lacks the role "+command)
	}
	r := hallmark(t, s, "promote", sandbox.Staging+"/x", "--target", sandbox.Release)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "lacks the role promote")
	status, answer := send(t, s.URL+"/v1/gate/check", "", `{}`)
	require.Equal(t, http.StatusUnauthorized, status)
	require.True(t, json.Valid([]byte(answer)))
}
