package groovy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

// Nothing but a clean yes to the very question lets anything pass, by either gate.
func TestOnlyACleanYesPasses(t *testing.T) {
	t.Parallel()
	changed := func(allow bool, change map[string]any) func(http.ResponseWriter, *http.Request, question) {
		return func(w http.ResponseWriter, _ *http.Request, q question) { write(w, 200, verdict(q, allow, change)) }
	}
	text := func(status int, body string) func(http.ResponseWriter, *http.Request, question) {
		return func(w http.ResponseWriter, _ *http.Request, _ question) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, question)
		told   []string
	}{
		"refused":               {refuse, []string{"signature-missing: a signature is missing; found: none; expected: 1 signature by a release key; would pass with one signature by lane release; fix: hallmark sign", "who: release-managers"}},
		"undecided":             {changed(false, map[string]any{"decided": false, "reasons": []any{map[string]any{"code": "undecided", "message": "Artifactory was away"}}}), []string{"could not be decided", "undecided: Artifactory was away"}},
		"allowed, not decided":  {changed(true, map[string]any{"decided": false}), []string{"contradicts itself"}},
		"allowed with a reason": {changed(true, map[string]any{"reasons": []any{missing}}), []string{"contradicts itself"}},
		"no without a reason":   {changed(false, nil), []string{"contradicts itself"}},
		"no allow":              {changed(true, map[string]any{"allow": nil}), []string{"no verdict"}},
		"no decided":            {changed(true, map[string]any{"decided": nil}), []string{"no verdict"}},
		"no reasons":            {changed(true, map[string]any{"reasons": nil}), []string{"no verdict"}},
		"allow is a text":       {changed(true, map[string]any{"allow": "true"}), []string{"no verdict"}},
		"allow is a number":     {changed(true, map[string]any{"allow": 1}), []string{"no verdict"}},
		"decided is a text":     {changed(true, map[string]any{"decided": "true"}), []string{"no verdict"}},
		"reasons are an object": {changed(true, map[string]any{"reasons": map[string]any{}}), []string{"no verdict"}},
		"reasons are texts":     {changed(false, map[string]any{"reasons": []any{"because", nil, 7}}), []string{"because | null | 7"}},
		"another artifact":      {changed(true, map[string]any{"artifact": staging + "/app/other.tgz"}), []string{"about something else"}},
		"another target":        {changed(true, map[string]any{"target": "libs-other-local/" + file}), []string{"about something else"}},
		"no artifact":           {changed(true, map[string]any{"artifact": nil}), []string{"about something else"}},
		"many reasons":          {changed(false, map[string]any{"reasons": []any{missing, missing, missing, missing, missing}}), []string{"| and 2 more"}},
		"hostile text": {changed(false, map[string]any{"reasons": []any{map[string]any{"code": "x", "message": "a\r\nSet-Cookie: b\u2028\u202e" + strings.Repeat("long", 5000)}}}),
			[]string{"x: a Set-Cookie: b long"}},
		"array":      {text(200, "[]"), []string{"not a JSON object"}},
		"true":       {text(200, "true"), []string{"not a JSON object"}},
		"empty":      {text(200, ""), []string{"not a JSON object"}},
		"HTML":       {text(200, "<html>allow: true, decided: true</html>"), []string{"not a JSON object"}},
		"cut off":    {text(200, `{"allow":true,"decided":true`), []string{"not a JSON object"}},
		"deep":       {text(200, strings.Repeat("[", 300_000)), []string{"not a JSON object"}},
		"endless":    {text(200, `{"x":"`+strings.Repeat("x", 2<<20)), []string{"too long"}},
		"no content": {func(w http.ResponseWriter, _ *http.Request, _ question) { w.WriteHeader(204) }, []string{"HTTP 204"}},
		"created":    {func(w http.ResponseWriter, _ *http.Request, q question) { write(w, 201, verdict(q, true, nil)) }, []string{"HTTP 201"}},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request, _ question) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			write(w, 401, map[string]any{"title": "Unauthorized", "status": 401, "detail": "the bearer token is not known"})
		}, []string{"HTTP 401: the bearer token is not known"}},
		"internal error":    {text(500, ""), []string{"HTTP 500"}},
		"error that allows": {func(w http.ResponseWriter, _ *http.Request, q question) { write(w, 500, verdict(q, true, nil)) }, []string{"HTTP 500"}},
		"problem with reasons": {func(w http.ResponseWriter, _ *http.Request, _ question) {
			write(w, 422, map[string]any{"title": "Unprocessable Entity", "status": 422, "detail": "refused", "reasons": []any{missing}})
		}, []string{"HTTP 422: refused; signature-missing"}},
		"reset": {func(w http.ResponseWriter, _ *http.Request, _ question) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}, []string{"could not be asked"}},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request, _ question) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(c, "allow: true\r\n\r\n")
				_ = c.Close()
			}
		}, []string{"No verdict"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etc := plugintest.Configure(t, config(serve(t, c.answer).URL, nil), secret)
			copied := do(t, promote(etc))
			requireRefused(t, copied, append(c.told, "Hallmark refuses to copy "+staging+"/"+file+" to "+release+"/"+file+". ")...)
			require.LessOrEqual(t, len([]rune(copied.Message)), 2001)
			require.NotRegexp(t, `[\r\n\x{2028}\x{202e}]`, copied.Message)
			if name != "another target" { // which is another one still
				requireRefused(t, do(t, download(etc)), append(c.told, "Hallmark refuses to hand out "+release+"/"+file+". ")...)
			}
		})
	}
	t.Run("yes", func(t *testing.T) {
		t.Parallel()
		h := serve(t, allow)
		etc := plugintest.Configure(t, config(h.URL+"/", map[string]any{"instance": "main"}), secret)
		for _, c := range []plugintest.Call{promote(etc), download(etc)} {
			o := do(t, c)
			require.True(t, o.Passed(), o)
			require.Empty(t, o.Log)
		}
		move := promote(etc)
		move.Hook, move.Target.Path = "beforeMove", "other/ä name+1.tgz"
		require.True(t, do(t, move).Passed())
		require.Equal(t, []question{
			{"main", staging + "/" + file, release + "/" + file}, {"main", release + "/" + file, release + "/" + file},
			{"main", staging + "/" + file, release + "/other/ä name+1.tgz"},
		}, h.questions())
	})
}

// Nothing is remembered: a yes of a moment ago lets nothing pass now.
func TestEveryQuestionIsAsked(t *testing.T) {
	t.Parallel()
	yes := make(chan bool, 4)
	h := serve(t, func(w http.ResponseWriter, r *http.Request, q question) {
		if <-yes {
			allow(w, r, q)
		} else {
			refuse(w, r, q)
		}
	})
	etc := plugintest.Configure(t, config(h.URL, nil), secret)
	for _, c := range []plugintest.Call{promote(etc), download(etc)} {
		yes <- true
		require.True(t, do(t, c).Passed())
		yes <- false
		requireRefused(t, do(t, c), "signature-missing")
	}
}

// Warnings of a verdict are told to who runs Artifactory; they stop nothing.
func TestWarningsAreLogged(t *testing.T) {
	t.Parallel()
	h := serve(t, func(w http.ResponseWriter, _ *http.Request, q question) {
		write(w, 200, verdict(q, true, map[string]any{"warnings": []any{missing}}))
	})
	o := do(t, promote(plugintest.Configure(t, config(h.URL, nil), secret)))
	require.True(t, o.Passed())
	require.Len(t, o.Log, 1)
	require.Contains(t, o.Log[0], "warn: Hallmark warns about "+staging+"/"+file+" for "+release+"/"+file+". signature-missing")
}
