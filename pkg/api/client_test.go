package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Client and server over real HTTP, with a path that needs every escape.
func TestClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	srv := httptest.NewServer(r.handler)
	defer srv.Close()
	c := &Client{URL: srv.URL + "/", Token: tokenAll, HTTP: srv.Client()}
	const ref = "staging/c++ ;a=b/100%?#é.tgz"

	r.verdict = gate.Verdict{Allow: true, Decided: true, Reasons: []reason.Reason{}, Signatures: []gate.Signature{}}
	v, err := c.Gate(t.Context(), GateRequest{Artifact: ref, Target: "release"})
	require.NoError(t, err)
	require.Equal(t, r.verdict, v)
	require.Equal(t, ref, r.asked[0].Artifact.String())

	require.NoError(t, c.Sign(t.Context(), SignRequest{Artifact: ref}))
	require.Equal(t, ref, r.wished[0].String())

	r.known = ledger.Status{Pending: true}
	s, err := c.Status(t.Context(), "main", ref)
	require.NoError(t, err)
	require.True(t, s.Pending)
	require.Equal(t, ref, s.Artifact)

	r.explained = policy.Explanation{Skip: "why not", Event: "artifact/deployed"}
	e, err := c.Explain(t.Context(), "", ref, "artifact/deployed")
	require.NoError(t, err)
	require.Equal(t, "why not", e.Skip)
	require.Equal(t, "artifact/deployed", e.Event)

	c.Token = tokenGate
	_, err = c.Status(t.Context(), "", ref)
	p := (*Problem)(nil)
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusForbidden, p.Status)
	require.NotContains(t, err.Error(), tokenGate)
}

// Whatever is not the API's own answer is an error: a gate must not read a yes from a proxy's page.
func TestClientTakesNothingElseForAnAnswer(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a page":             func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"allow":true,"decided":true}`)) },
		"cut off":            answer("application/json", 200, `{"allow":true,"deci`),
		"allow with a 5xx":   answer("application/json", 502, `{"allow":true,"decided":true}`),
		"problem, no object": answer("application/problem+json", 500, `x`),
		"problem with a 2xx": answer("application/problem+json", 200, `{"status":403}`),
	} {
		srv := httptest.NewServer(h)
		v, err := (&Client{URL: srv.URL, Token: "t", HTTP: srv.Client()}).Gate(t.Context(), GateRequest{})
		srv.Close()
		require.Error(t, err, name)
		require.False(t, v.Allow)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&Client{URL: "http://127.0.0.1:1", Token: "secret-t"}).Gate(ctx, GateRequest{})
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "secret-t")
}

func answer(media string, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
