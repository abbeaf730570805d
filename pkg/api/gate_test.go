package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "0": 0, "0s": 0, "30s": 30 * time.Second, "1m": time.Minute, "1m0s": time.Minute, "1500ms": 1500 * time.Millisecond} {
		r := newRig(t)
		r.verdict = gate.Verdict{Decided: true}
		body := fmt.Sprintf(`{"artifact":"a/b","target":"c","wait":%q}`, text)
		require.Equal(t, http.StatusOK, r.call(http.MethodPost, pathGate, tokenGate, body).Code, text)
		require.Equal(t, want, r.asked[0].Wait)
		body = fmt.Sprintf(`{"artifacts":["a/b"],"target":"c","wait":%q}`, text)
		require.Equal(t, http.StatusOK, r.call(http.MethodPost, pathPromote, tokenPromo, body).Code, text)
		require.Equal(t, want, r.promoted[0].Wait)
	}
	for _, text := range []string{"-1s", "61s", "1h", "forever", "30", "1e9s", "9223372036854775807ns", "30s\u0000", strings.Repeat("9", 9000) + "s"} {
		r := newRig(t)
		r.verdict = gate.Verdict{Allow: true, Decided: true}
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		for path, token := range map[string]string{pathGate: tokenGate, pathPromote: tokenPromo} {
			body := fmt.Sprintf(`{"artifact":"a/b","target":"c","wait":%s}`, quoted)
			if path == pathPromote {
				body = fmt.Sprintf(`{"artifacts":["a/b"],"target":"c","wait":%s}`, quoted)
			}
			w := r.call(http.MethodPost, path, token, body)
			require.Equal(t, http.StatusBadRequest, w.Code, text)
			require.Contains(t, problemIn(t, w).Detail, "a duration from 0s to 1m0s")
			require.Less(t, w.Body.Len(), 512)
		}
		require.Empty(t, r.asked)
		require.Empty(t, r.promoted)
	}
}

// Requests that somebody wrote to be misunderstood are refused, with little said and nothing asked.
func TestHostileGateRequests(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for name, body := range map[string]string{
		"key twice":                 `{"artifact":"a/good","target":"c","artifact":"a/evil"}`,
		"key in two cases":          `{"artifact":"a/good","target":"c","Artifact":"a/evil"}`,
		"key escaped":               `{"artifact":"a/good","target":"c","\u0061rtifact":"a/evil"}`,
		"decision of its own":       `{"artifact":"a/b","target":"c","allow":true}`,
		"policies of its own":       `{"artifact":"a/b","target":"c","policies":{}}`,
		"caller of its own":         `{"artifact":"a/b","target":"c","caller":"release-managers"}`,
		"null":                      `null`,
		"nothing":                   `{"artifact":null,"target":null}`,
		"deep":                      strings.Repeat(`{"artifact":`, 1300),
		"deep list":                 `{"artifact":` + strings.Repeat("[", 9000),
		"endless repository":        `{"artifact":"` + long + `/b","target":"c"}`,
		"endless name without path": `{"artifact":"` + long + `","target":"c"}`,
		"endless path":              `{"artifact":"a/` + long + `","target":"c"}`,
		"endless target":            `{"artifact":"a/b","target":"` + long + `"}`,
		"endless instance":          `{"artifact":"a/b","target":"c","instance":"` + long + `"}`,
		"encoded dots do not help":  `{"artifact":"a/\u002e\u002e/b","target":"c"}`,
		"line break":                `{"artifact":"a/b\nALLOWED","target":"c"}`,
		"escape sequence":           `{"artifact":"a/b\u001b[2J","target":"c"}`,
		"line break in the target":  `{"artifact":"a/b","target":"c\n"}`,
		"blank before the target":   `{"artifact":"a/b","target":" c"}`,
		"target is an address":      `{"artifact":"a/b","target":"http://other/c"}`,
		"target ends in a slash":    `{"artifact":"a/b","target":"c/"}`,
		"target in two slashes":     `{"artifact":"a/b","target":"c//b"}`,
		"backslash":                 `{"artifact":"a\\..\\b","target":"c"}`,
		"half a surrogate":          `{"artifact":"a/\ud800","target":"c"}`,
		"lookalike repository":      `{"artifact":"a/b","target":"libs-rеlease"}`, // the second e is Cyrillic
		"trailing text":             `{"artifact":"a/b","target":"c"} true`,
		"wait is a number":          `{"artifact":"a/b","target":"c","wait":30}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.verdict = gate.Verdict{Allow: true, Decided: true}
			w := r.call(http.MethodPost, pathGate, tokenGate, body)
			require.Equal(t, http.StatusBadRequest, w.Code, w.Body.String())
			problemIn(t, w)
			require.Less(t, w.Body.Len(), 8<<10, "an answer is not larger than it has to be")
			require.Empty(t, r.asked)
			require.Len(t, r.log.all(), 1, "one line, whatever the request has in it")
		})
	}
}

// Whatever a request is made of, the gate is asked about nothing but two places of one configured instance.
func FuzzGateRequest(f *testing.F) {
	for _, seed := range []string{
		gateBody, `{"artifact":"oci/team/app:1.0","target":"oci-release/x","wait":"30s","instance":"main"}`, `{"artifact":"a/..","target":"b/"}`,
		`{"artifact":"a/b","Artifact":"a/c","target":"c"}`, `[{}]`, `{"artifact":"a/b@sha256:00","target":"c"}`, "{\"artifact\":\"a/\xff\"}", ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := newRig(t)
		w := r.call(http.MethodPost, pathGate, tokenGate, string(body))
		switch w.Code {
		case http.StatusOK:
			require.Len(t, r.asked, 1)
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable:
			require.Empty(t, r.asked)
			problemIn(t, w)
		default:
			t.Fatalf("%d for %q", w.Code, body)
		}
		for _, req := range r.asked {
			require.Equal(t, "promoter", req.Caller)
			require.Nil(t, req.Policies)
			require.LessOrEqual(t, req.Wait, gate.MaxWait)
			require.GreaterOrEqual(t, req.Wait, time.Duration(0))
			for _, ref := range []artifact.Ref{req.Artifact, req.Target} {
				again, err := artifact.ParseRef("main", ref.String())
				require.NoError(t, err)
				require.Equal(t, ref, again)
				require.True(t, utf8.ValidString(ref.String()))
				require.False(t, strings.ContainsFunc(ref.String(), unicode.IsControl))
			}
		}
	})
}
