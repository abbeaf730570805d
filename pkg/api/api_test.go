package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestGateCheck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verdict = gate.Verdict{
		Decided: true, Artifact: "staging/a/app.tgz", Target: "release/a/app.tgz", SHA256: artifact.Digest{1},
		Reasons:    []reason.Reason{{Code: reason.SignatureMissing, Message: "m", Fix: "hallmark sign staging/a/app.tgz"}},
		Signatures: []gate.Signature{}, At: time.Unix(1, 0).UTC(),
	}
	w := r.call(http.MethodPost, pathGate, tokenGate, `{"artifact":"staging/a/app.tgz","target":"release","instance":"main"}`)
	require.Equal(t, http.StatusOK, w.Code, "a no is an answer")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var got gate.Verdict
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, r.verdict, got)
	require.Equal(t, []gate.Request{{
		Artifact: artifact.Ref{Instance: "main", Repo: "staging", Path: "a/app.tgz"},
		Target:   artifact.Ref{Instance: "main", Repo: "release", Path: "a/app.tgz"}, Caller: "promoter",
	}}, r.asked)

	r.call(http.MethodPost, pathGate, tokenGate, `{"artifact":"staging/a/app.tgz","target":"release/other/name.tgz"}`)
	require.Equal(t, "other/name.tgz", r.asked[1].Target.Path)

	r.call(http.MethodPost, pathGate, tokenGate, `{"artifact":"oci/team/app:1.0","target":"oci-release"}`)
	require.Equal(t, []string{"oci/team/app/1.0/manifest.json", "oci-release/team/app/1.0/manifest.json"}, []string{r.asked[2].Artifact.String(), r.asked[2].Target.String()})
	require.Equal(t, http.StatusServiceUnavailable, r.call(http.MethodPost, pathGate, tokenGate, `{"artifact":"oci/team/app:down","target":"oci-release"}`).Code)
	require.Len(t, r.asked, 3)
}

// Whatever cannot be asked is no 2xx, so that no caller can take it for a yes.
func TestGateCheckBadInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxBody)
	for name, c := range map[string]struct {
		body, detail string
		status       int
		code         reason.Code
	}{
		"empty":             {``, "JSON object", 400, ""},
		"array":             {`[]`, "JSON object", 400, ""},
		"unknown field":     {`{"artifact":"a/b","target":"c","url":"http://x"}`, `unknown field "url"`, 400, ""},
		"two objects":       {gateBody + gateBody, "follows", 400, ""},
		"number for text":   {`{"artifact":7,"target":"c"}`, "JSON object", 400, ""},
		"too large":         {`{"artifact":"` + long + `"}`, "over", 413, ""},
		"no artifact":       {`{"target":"c"}`, "artifact is missing", 400, ""},
		"no target":         {`{"artifact":"a/b"}`, "target is missing", 400, ""},
		"repository alone":  {`{"artifact":"staging","target":"c"}`, "artifact cannot be used", 400, reason.PathRefused},
		"artifact leaves":   {`{"artifact":"staging/../x","target":"c"}`, "artifact cannot be used", 400, reason.PathRefused},
		"target leaves":     {`{"artifact":"a/b","target":"c/../d"}`, "target cannot be used", 400, reason.PathRefused},
		"target is dots":    {`{"artifact":"a/b","target":".."}`, "target cannot be used", 400, reason.PathRefused},
		"control character": {`{"artifact":"a/b\u0000c","target":"c"}`, "artifact cannot be used", 400, reason.PathRefused},
		"not UTF-8":         {"{\"artifact\":\"a/\xff\",\"target\":\"c\"}", "artifact cannot be used", 400, reason.PathRefused},
		"unknown instance":  {`{"artifact":"a/b","target":"c","instance":"evil"}`, "choose from main", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.verdict = gate.Verdict{Allow: true, Decided: true}
			w := r.call(http.MethodPost, pathGate, tokenGate, c.body)
			require.Equal(t, c.status, w.Code)
			p := problemIn(t, w)
			require.Contains(t, p.Detail, c.detail)
			if c.code != "" {
				require.Equal(t, c.code, p.Reasons[0].Code)
			}
			require.Empty(t, r.asked)
		})
	}
}

func TestInstanceMustBeNamedAmongSeveral(t *testing.T) {
	t.Parallel()
	r := newRig(t, "eu", "us")
	require.Contains(t, problemIn(t, r.call(http.MethodPost, pathGate, tokenGate, gateBody)).Detail, "choose from eu, us")
	w := r.call(http.MethodGet, pathStatus+"?ref=a/b&instance=us", tokenStatus, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "us", r.looked[0].Instance)
}

func TestSign(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.call(http.MethodPost, pathSign, tokenSign, `{"artifact":"staging/a/app.tgz"}`)
	require.Equal(t, http.StatusAccepted, w.Code)
	require.JSONEq(t, `{"instance":"main","artifact":"staging/a/app.tgz","accepted":true}`, w.Body.String())
	require.Equal(t, []artifact.Ref{{Instance: "main", Repo: "staging", Path: "a/app.tgz"}}, r.wished)
	require.Equal(t, []string{"ci"}, r.events)

	r.err = errors.New("disk full on db-7")
	w = r.call(http.MethodPost, pathSign, tokenSign, `{"artifact":"staging/a/app.tgz"}`)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "db-7")
	require.Contains(t, r.log.all()[1], "db-7")

	r.err = fmt.Errorf("signing: %w", &reason.Refused{Reasons: []reason.Reason{{Code: reason.NoPolicy, Message: "none", Fix: "write one"}}})
	w = r.call(http.MethodPost, pathSign, tokenSign, `{"artifact":"staging/a/app.tgz"}`)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, "write one", problemIn(t, w).Reasons[0].Fix)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Unix(1_790_000_000, 0).UTC()
	ended := ledger.Outcome{
		Ref: artifact.Ref{Instance: "main", Repo: "staging", Path: "c++;v=1/100%.tgz"}, Subject: artifact.Digest{1}, State: ledger.Signed,
		Policy: "release", Rule: "release.yaml:1 (release)", PolicySet: artifact.Digest{2}, Keys: []string{"release-2026"},
		Files: []string{"100%.tgz.sigstore.json"}, ReceivedAt: at, At: at,
	}
	r.known = ledger.Status{Current: ended, History: []ledger.Outcome{ended, {State: ledger.Failed, At: at}}, Pending: true, Signatures: []ledger.Signature{{
		Subject: artifact.Digest{1}, KeyName: "release-2026", KeySPKI: artifact.Digest{3}, Format: "sigstore", Content: []byte("secret?"), MadeAt: at,
	}}}
	w := r.call(http.MethodGet, pathStatus+"?"+url.Values{"ref": {"staging/c++;v=1/100%.tgz"}}.Encode(), tokenStatus, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, "c++;v=1/100%.tgz", r.looked[0].Path)
	var got Status
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.True(t, got.Pending)
	require.Equal(t, "signed", got.Current.State)
	require.Equal(t, []string{"signed", "failed"}, []string{got.History[0].State, got.History[1].State})
	require.Equal(t, Signature{Key: "release-2026", SPKI: artifact.Digest{3}, Format: "sigstore", MadeAt: at}, got.Signatures[0])
	require.Nil(t, got.History[1].ReceivedAt)

	r.known = ledger.Status{Pending: true} // work is waiting, nothing has ended
	w = r.call(http.MethodGet, pathStatus+"?ref=staging/a", tokenStatus, "")
	require.JSONEq(t, `{"instance":"main","artifact":"staging/a","pending":true,"history":[],"signatures":[]}`, w.Body.String())

	r.err = fmt.Errorf("reading: %w", ledger.ErrUnknown)
	w = r.call(http.MethodGet, pathStatus+"?ref=staging/a", tokenStatus, "")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, problemIn(t, w).Detail, "nothing is known")
}

// net/url's Query drops a parameter with a bare ';' silently; the route must not look at something else instead.
func TestQueryIsStrict(t *testing.T) {
	t.Parallel()
	for query, detail := range map[string]string{
		"":                        "ref is missing",
		"ref=":                    "ref is missing",
		"ref=a/b;c=d":             "percent-encode",
		"ref=a/%zz":               "percent-encode",
		"ref=a/b&ref=a/c":         "twice",
		"ref=a/b&url=http://x":    "not known",
		"ref=a/..":                "ref cannot be used",
		"ref=a/b%00":              "ref cannot be used",
		"ref=a/%ff":               "ref cannot be used",
		"ref=a/b&instance=nobody": "not configured",
	} {
		r := newRig(t)
		w := r.call(http.MethodGet, pathStatus+"?"+query, tokenStatus, "")
		require.Equal(t, http.StatusBadRequest, w.Code, query)
		require.Contains(t, problemIn(t, w).Detail, detail)
		require.Empty(t, r.looked)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.explained = policy.Explanation{
		Instance: "main", Artifact: "staging/a", Event: "artifact/deployed", Outcome: "deny", Policy: "p", Rule: "p.yaml:3 (p)",
		Orders: []policy.Order{}, Reasons: []reason.Reason{{Code: reason.NoPolicy, Message: "none"}},
		Considered: []policy.Considered{{Policy: "p", Rule: "p.yaml:3 (p)", Why: "paths do not match"}}, Gates: []policy.Considered{},
		PolicySet: artifact.Digest{7},
	}
	w := r.call(http.MethodGet, pathExplain+"?ref=staging/a&event=artifact/deployed", tokenStatus, "")
	require.Equal(t, http.StatusOK, w.Code)
	var e policy.Explanation
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
	require.Equal(t, r.explained, e)
	r.call(http.MethodGet, pathExplain+"?ref=staging/b", tokenStatus, "")
	require.Equal(t, []string{"artifact/deployed", ""}, r.events)
	require.Equal(t, "staging/b", r.looked[1].String())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   reason.Code
	}{
		{fmt.Errorf("a: %w", artifact.ErrGone), 404, reason.ArtifactGone},
		{fmt.Errorf("a: %w", ledger.ErrUnknown), 404, ""},
		{fmt.Errorf("a: %w", context.DeadlineExceeded), 503, ""},
		{fmt.Errorf("dialing db-7: %w", errors.ErrUnsupported), 500, ""},
		{&reason.Refused{Reasons: []reason.Reason{{Code: reason.NoPolicy}}}, 422, reason.NoPolicy},
	} {
		r := newRig(t)
		r.err = c.err
		w := r.call(http.MethodGet, pathStatus+"?ref=a/b", tokenStatus, "")
		require.Equal(t, c.status, w.Code)
		p := problemIn(t, w)
		require.NotContains(t, w.Body.String(), "db-7")
		if c.code != "" {
			require.Equal(t, c.code, p.Reasons[0].Code)
		}
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lines := 0
	refused := func(method, target string, status int) http.Header {
		w := r.call(method, target, tokenAll, "")
		require.Equal(t, status, problemIn(t, w).Status)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		lines++
		all := r.log.all()
		require.Len(t, all, lines, "one line per request")
		for _, part := range []string{`"msg":"api"`, `"level":"WARN"`, `"route":"none"`, fmt.Sprintf(`"status":%d`, status), `"took":`} {
			require.Contains(t, all[lines-1], part)
		}
		require.NotContains(t, all[lines-1], tokenAll)
		return w.Header()
	}
	for target, method := range map[string]string{"/v1/nothing": http.MethodGet, "/v2/gate/check": http.MethodPost, "/": http.MethodGet} {
		refused(method, target, http.StatusNotFound)
	}
	for _, target := range []string{pathGate, pathSign} {
		require.Equal(t, []string{"POST"}, refused(http.MethodGet, target, http.StatusMethodNotAllowed).Values("Allow"))
	}
	require.Equal(t, []string{"GET"}, refused(http.MethodPost, pathStatus, http.StatusMethodNotAllowed).Values("Allow"))
	require.Equal(t, []string{"GET", "POST"}, refused(http.MethodPut, pathSweeps, http.StatusMethodNotAllowed).Values("Allow"))
	refused(http.MethodGet, "/v1/"+strings.Repeat("x", 4096), http.StatusNotFound)
	require.Less(t, len(r.log.all()[lines-1]), 512, "a sender cannot fill the log")
}

func TestMetricsAndLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.verdict = gate.Verdict{Decided: true, Reasons: []reason.Reason{{Code: reason.SignatureMissing}}}
	r.call(http.MethodPost, pathGate, tokenGate, gateBody)
	r.call(http.MethodPost, pathGate, "wrong", gateBody)
	r.call(http.MethodGet, pathStatus+"?ref=staging/app.tgz", tokenStatus, "")
	problems, err := testutil.GatherAndLint(r.reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP hallmark_api_requests_total Requests to the API by route and HTTP status.
# TYPE hallmark_api_requests_total counter
hallmark_api_requests_total{route="/v1/gate/check",status="200"} 1
hallmark_api_requests_total{route="/v1/gate/check",status="401"} 1
hallmark_api_requests_total{route="/v1/status",status="200"} 1
`), "hallmark_api_requests_total"))

	all := r.log.all()
	require.Len(t, all, 3, "one line per request")
	for _, part := range []string{`"caller":"promoter"`, `"repo":"staging"`, `"path":"app.tgz"`, `"target":"release/app.tgz"`, `"allow":false`, `"reason":"signature-missing"`, `"status":200`, `"took":`} {
		require.Contains(t, all[0], part)
	}
	require.NotContains(t, all[1], "wrong")
}
