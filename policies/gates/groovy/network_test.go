package groovy_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

// Whatever a server does with time, the caller waits no longer than the configuration says.
func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	drip := func(w http.ResponseWriter, r *http.Request, head, part string) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for _, err = io.WriteString(c, head); err == nil; time.Sleep(50 * time.Millisecond) {
			_, err = io.WriteString(c, part)
		}
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request, question){
		"silent":         func(_ http.ResponseWriter, r *http.Request, _ question) { <-r.Context().Done() },
		"headers by bit": func(w http.ResponseWriter, r *http.Request, _ question) { drip(w, r, "HTTP/1.1 200 OK\r\nX: ", "x") },
		"body by bit": func(w http.ResponseWriter, r *http.Request, _ question) {
			drip(w, r, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", " ")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := httptest.NewUnstartedServer((&hallmark{}).handler(answer))
			h.Start()
			t.Cleanup(h.CloseClientConnections)
			etc := plugintest.Configure(t, config(h.URL, map[string]any{"timeoutSeconds": 1, "concurrent": 1}), secret)
			start := time.Now()
			requireRefused(t, do(t, promote(etc)), "Hallmark refuses to copy", "No verdict")
			require.Less(t, time.Since(start), 20*time.Second)
		})
	}
}

// The token goes to the configured address and to no other, and a yes from elsewhere is none.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, allow)
	for _, status := range []int{301, 302, 303, 307, 308} {
		h := serve(t, func(w http.ResponseWriter, r *http.Request, _ question) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		})
		requireRefused(t, do(t, promote(plugintest.Configure(t, config(h.URL, nil), secret))), "HTTP 30")
		require.Len(t, h.questions(), 1)
	}
	require.Empty(t, elsewhere.questions())
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	etc := plugintest.Configure(t, config("http://127.0.0.1:1", nil), secret)
	requireRefused(t, do(t, promote(etc)), "Hallmark could not be asked", "ConnectException")
	requireRefused(t, do(t, download(etc)), "Hallmark could not be asked")
}

// A server is believed only when its certificate is: by caFile alone where there is one.
func TestCertificates(t *testing.T) {
	t.Parallel()
	h := &hallmark{}
	h.Server = httptest.NewTLSServer(h.handler(allow))
	t.Cleanup(h.Close)
	etc := plugintest.Configure(t, config(h.URL, map[string]any{"caFile": "ca.pem"}), secret)
	ca := filepath.Join(etc, "plugins", "ca.pem")
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, own, 0o600))
	require.True(t, do(t, promote(etc)).Passed())

	requireRefused(t, do(t, promote(plugintest.Configure(t, config(h.URL, nil), secret))), "could not be asked", "SSL")
	other := plugintest.Configure(t, config(h.URL, map[string]any{"caFile": "ca.pem"}), secret)
	requireRefused(t, do(t, promote(other)), "ca.pem is not there")
	require.NoError(t, os.WriteFile(filepath.Join(other, "plugins", "ca.pem"), []byte("no certificate"), 0o600))
	requireRefused(t, do(t, promote(other)), "hallmark.json")
	require.NoError(t, os.WriteFile(filepath.Join(other, "plugins", "ca.pem"), own, 0o600))
	require.True(t, do(t, promote(other)).Passed(), "the file alone changed")
}

// Hallmark asks Artifactory in turn, so hooks must not hold all of its threads: what is over the limit is refused at once.
func TestQuestionsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan bool, 3), make(chan bool)
	h := serve(t, func(w http.ResponseWriter, r *http.Request, q question) {
		arrived <- true
		<-answer
		allow(w, r, q)
	})
	let := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(let)
	etc := plugintest.Configure(t, config(h.URL, map[string]any{"timeoutSeconds": 30, "concurrent": 2}), secret)
	passed := make(chan bool, 2)
	for range 2 {
		go func() { passed <- do(t, promote(etc)).Passed() }()
	}
	<-arrived
	<-arrived
	requireRefused(t, do(t, promote(etc)), "too many questions at once")
	let()
	for range 2 {
		require.True(t, <-passed)
	}
	require.True(t, do(t, promote(etc)).Passed(), "and there is room again")
}
