package artifactory_test

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const payload = "ten thousand bytes, more or less"

// plain answers like a server that holds one file, app.bin, with payload as its content.
func plain(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(payload))
	switch r.URL.Path {
	case "/artifactory/api/storage/" + testRepo + "/app.bin":
		fmt.Fprintf(w, `{"repo":%q,"path":"/app.bin","size":"%d","checksums":{"sha256":"%x"},"created":"2026-08-14T09:31:07.412+0000","createdBy":"ci","lastModified":"2026-08-14T11:31:07.412+02:00"}`, testRepo, len(payload), sum)
	case "/artifactory/" + testRepo + "/app.bin":
		w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
		fmt.Fprint(w, payload)
	case "/artifactory/api/system/ping":
		fmt.Fprint(w, "OK")
	default:
		http.Error(w, `{"errors":[{"status":404,"message":"Unable to find item"}]}`, http.StatusNotFound)
	}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func appInfo(t *testing.T) artifact.Info {
	t.Helper()
	return artifact.Info{Ref: ref(t, "app.bin"), SHA256: sha256.Sum256([]byte(payload)), Size: int64(len(payload))}
}

// flaky answers the first n requests with fail and the others with plain.
func flaky(n int32, fail http.HandlerFunc) (http.HandlerFunc, *atomic.Int32) {
	var seen atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) <= n {
			fail(w, r)
			return
		}
		plain(w, r)
	}, &seen
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"errors":[{"message":"no"}]}`, code) }
}

func cutBefore(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func cutHalfway(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
	fmt.Fprint(w, payload[:10])
	panic(http.ErrAbortHandler)
}

func TestRepetitions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		failures int32
		fail     http.HandlerFunc
		requests int32
		wantErr  bool
	}{
		{"500 twice", 2, status(500), 3, false},
		{"503 once", 1, status(503), 2, false},
		{"429 without Retry-After", 1, status(429), 2, false},
		{"reset twice", 2, cutBefore, 3, false},
		{"body breaks off twice", 2, cutHalfway, 3, false},
		{"500 for ever", 99, status(500), 4, true},
		{"reset for ever", 99, cutBefore, 4, true},
		{"body breaks off for ever", 99, cutHalfway, 4, true},
		{"501 is final", 99, status(501), 1, true},
		{"507 is final", 99, status(507), 1, true},
		{"403 is final", 99, status(403), 1, true},
		{"400 is final", 99, status(400), 1, true},
		{"401 with an unchanged token is final", 99, status(401), 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, seen := flaky(tc.failures, tc.fail)
			c := newClient(t, serve(t, h).URL)
			err := c.Pull(t.Context(), appInfo(t))
			require.Equal(t, tc.wantErr, err != nil, "%v", err)
			require.Equal(t, tc.requests, seen.Load())
		})
	}
}

func TestNoRepetitionsWhenSwitchedOff(t *testing.T) {
	t.Parallel()
	h, seen := flaky(1, status(500))
	c := newClient(t, serve(t, h).URL, func(cfg *artifactory.Config) { cfg.Retries = -1 })
	_, err := c.Info(t.Context(), ref(t, "app.bin"))
	require.True(t, artifactory.Temporary(err), "%v", err)
	require.EqualValues(t, 1, seen.Load())
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, code := range []int{429, 503} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			h, seen := flaky(1, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "1")
				status(code)(w, r)
			})
			c := newClient(t, serve(t, h).URL)
			start := time.Now()
			_, err := c.Info(t.Context(), ref(t, "app.bin"))
			require.NoError(t, err)
			require.GreaterOrEqual(t, time.Since(start), time.Second)
			require.EqualValues(t, 2, seen.Load())
		})
	}
}

func TestRetryAfterLongerThanTheContextFailsAtOnceForAllCalls(t *testing.T) {
	t.Parallel()
	h, seen := flaky(99, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "5")
		status(429)(w, r)
	})
	c := newClient(t, serve(t, h).URL)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	for range 3 { // the second and third are not even sent: the server asked the client to be quiet
		start := time.Now()
		_, err := c.Info(ctx, ref(t, "app.bin"))
		var st *artifactory.StatusError
		require.ErrorAs(t, err, &st)
		require.Equal(t, 429, st.Status)
		require.InDelta(t, 5*time.Second, artifactory.RetryAfter(err), float64(2*time.Second))
		require.True(t, artifactory.Temporary(err))
		require.Less(t, time.Since(start), 2*time.Second)
	}
	require.EqualValues(t, 1, seen.Load())
}

func TestSilenceEndsACall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	for name, h := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"inside the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
			fmt.Fprint(w, payload[:10])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, serve(t, h).URL, func(cfg *artifactory.Config) { cfg.Timeout, cfg.Retries = 50*time.Millisecond, 1 })
			err := c.Pull(t.Context(), appInfo(t))
			require.ErrorContains(t, err, "nothing arrived for too long")
			require.True(t, artifactory.Temporary(err))
		})
	}
	t.Cleanup(func() { close(release) })
}

func TestSlowIsNotSilent(t *testing.T) {
	t.Parallel()
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
		for i := range len(payload) {
			fmt.Fprint(w, payload[i:i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond) // 32 × 20 ms is more than the timeout; each pause is less
		}
	}).URL, func(cfg *artifactory.Config) { cfg.Timeout, cfg.Retries = 400*time.Millisecond, -1 })
	require.NoError(t, c.Pull(t.Context(), appInfo(t)))
}

func TestCancelEndsACallWhereverItIs(t *testing.T) {
	t.Parallel()
	t.Run("while pausing", func(t *testing.T) {
		t.Parallel()
		asked := make(chan struct{}, 9)
		c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			w.Header().Set("Retry-After", "8")
			status(429)(w, r)
		}).URL)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		start := time.Now()
		_, err := c.Info(ctx, ref(t, "app.bin"))
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, time.Since(start), 4*time.Second)
		require.False(t, artifactory.Temporary(err))
	})
	t.Run("while reading", func(t *testing.T) {
		t.Parallel()
		halfway := make(chan struct{}, 9)
		c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(payload)))
			fmt.Fprint(w, payload[:10])
			_ = http.NewResponseController(w).Flush()
			halfway <- struct{}{}
			<-r.Context().Done()
		}).URL)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-halfway; cancel() }()
		require.ErrorIs(t, c.Pull(ctx, appInfo(t)), context.Canceled)
	})
	t.Run("while waiting for a slot", func(t *testing.T) {
		t.Parallel()
		busy := make(chan struct{}, 9)
		c := newClient(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
			busy <- struct{}{}
			<-r.Context().Done()
		}).URL, func(cfg *artifactory.Config) { cfg.MaxConcurrent = 1 })
		first, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.Ping(first) })
		<-busy
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := c.Ping(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, artifactory.Temporary(err))
		stop()
		wg.Wait()
	})
}

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var opened, compressed atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			compressed.Add(1)
		}
		time.Sleep(time.Millisecond) // so that a wave's calls overlap
		plain(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := newClient(t, s.URL)
	for range 20 {
		_, err := c.Info(t.Context(), ref(t, "app.bin"))
		require.NoError(t, err)
		require.NoError(t, c.Pull(t.Context(), appInfo(t)))
		_, err = c.Info(t.Context(), ref(t, "missing.bin"))
		require.ErrorIs(t, err, artifact.ErrGone)
	}
	require.EqualValues(t, 1, opened.Load())
	for range 20 { // waves, between which all connections are idle
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := c.Ping(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	require.LessOrEqual(t, opened.Load(), int32(24), "for 20 waves of 8 calls")
	require.Zero(t, compressed.Load(), "an artifact must arrive as it is stored")
}

func TestConcurrencyIsBoundedUpToTheLastByte(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(2 * time.Millisecond) // lets others arrive
		plain(w, r)
	}).URL, func(cfg *artifactory.Config) { cfg.MaxConcurrent = 3 })
	info := appInfo(t)
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if err := c.Pull(context.Background(), info); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int32(4)) // a handler may still be returning when its client has the last byte
	require.Greater(t, most.Load(), int32(1))
}

func TestFailuresGiveTheirSlotsBack(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]http.HandlerFunc{"500": status(500), "404": status(404), "reset": cutBefore, "half": cutHalfway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := flaky(8, fail)
			c := newClient(t, serve(t, h).URL, func(cfg *artifactory.Config) { cfg.MaxConcurrent, cfg.Retries = 1, 1 })
			for range 8 {
				_ = c.Pull(t.Context(), appInfo(t))
			}
			require.NoError(t, c.Pull(t.Context(), appInfo(t)))
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	store := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		if r.Method == http.MethodGet && r.URL.Query().Get("signature") == "of-the-store" {
			fmt.Fprint(w, payload)
			return
		}
		http.Error(w, "unexpected", http.StatusTeapot)
	})
	var sent atomic.Int32
	moved := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		http.Redirect(w, r, store.URL+"/blob?signature=of-the-store", http.StatusTemporaryRedirect)
	})
	c := newClient(t, moved.URL)

	require.NoError(t, c.Pull(t.Context(), appInfo(t)), "a download follows to an object store")
	require.False(t, leaked.Load(), "the token must not follow to another host")

	sent.Store(0)
	_, err := c.Info(t.Context(), ref(t, "app.bin"))
	require.ErrorContains(t, err, "another host")
	require.NotContains(t, err.Error(), "of-the-store")
	require.False(t, artifactory.Temporary(err))
	require.EqualValues(t, 1, sent.Load(), "a refused redirect is not tried again")

	err = c.Store(t.Context(), artifact.Attachment{Ref: ref(t, "app.bin.sig"), Content: []byte("x")})
	require.ErrorContains(t, err, "only reading calls may be redirected")
	err = c.Merge(t.Context(), ref(t, "app.bin"), map[string][]string{"a": {"b"}})
	require.ErrorContains(t, err, "only reading calls may be redirected")

	loop := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) })
	require.ErrorContains(t, newClient(t, loop.URL).Pull(t.Context(), appInfo(t)), "more than 5 in a row")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	open := serve(t, plain)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/down.bin") {
			http.Redirect(w, r, open.URL, http.StatusFound)
			return
		}
		plain(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that does not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))

	c := newClient(t, s.URL, func(cfg *artifactory.Config) { cfg.CA = file })
	require.NoError(t, c.Ping(t.Context()))
	info := appInfo(t)
	info.Ref = ref(t, "down.bin")
	require.ErrorContains(t, c.Pull(t.Context(), info), "from https to http")

	err := newClient(t, s.URL).Ping(t.Context())
	require.ErrorContains(t, err, "certificate")
	require.False(t, artifactory.Temporary(err))
}

func TestTokenIsReadAgainWhenItIsRejected(t *testing.T) {
	t.Parallel()
	var accepted atomic.Value
	accepted.Store("Bearer " + testToken)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != accepted.Load() {
			status(http.StatusUnauthorized)(w, r)
			return
		}
		plain(w, r)
	})
	file := secret(t, testToken)
	c := newClient(t, s.URL, func(cfg *artifactory.Config) { cfg.Token = file })
	require.NoError(t, c.Ping(t.Context()))

	accepted.Store("Bearer the-next-one")
	require.ErrorContains(t, c.Ping(t.Context()), "token is not accepted")
	require.NoError(t, os.WriteFile(file.File, []byte("the-next-one\n"), 0o600))
	require.NoError(t, c.Ping(t.Context()))
}

func TestErrorsCarryNoSecretsAndNoNoise(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"artifactory's form": {`{"errors":[{"status":403,"message":"forbidden for ` + testToken + `"}]}`, "forbidden for ***"},
		"a proxy's page":     {"<html><body>Forbidden</body></html>", ""},
		"control characters": {"a\x1b[31mb\nsecond line", "a [31mb"},
		"long":               {strings.Repeat("x", 10_000), strings.Repeat("x", 240) + "…"},
		"empty":              {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprint(w, tc.body)
			}).URL)
			_, err := c.Info(t.Context(), ref(t, "app.bin"))
			var st *artifactory.StatusError
			require.ErrorAs(t, err, &st)
			require.Equal(t, http.StatusForbidden, st.Status)
			require.Equal(t, tc.want, st.Message)
			require.NotContains(t, err.Error(), testToken)
		})
	}
}
