package artifactory_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// BenchmarkRequest shows what the stand-in costs others' benchmarks: one call with keep-alive, client included.
func BenchmarkRequest(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 640) // 10 KiB
	s := artifactorytest.Start(b, standin.Config{})
	require.NoError(b, s.Put("ci", artifactorytest.Staging, "a/f.bin", bytes.NewReader(content), nil))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var n atomic.Int64
	for _, bb := range []struct {
		name string
		make func() (method, target string, body []byte)
	}{
		{"version", func() (string, string, []byte) { return "GET", "/artifactory/api/system/version", nil }},
		{"info", func() (string, string, []byte) {
			return "GET", "/artifactory/api/storage/libs-staging-local/a/f.bin", nil
		}},
		{"download", func() (string, string, []byte) { return "GET", "/artifactory/libs-staging-local/a/f.bin", nil }},
		{"deploy", func() (string, string, []byte) {
			i := n.Add(1)
			return "PUT", fmt.Sprintf("/artifactory/libs-staging-local/b/f%d.bin", i), append(fmt.Appendf(nil, "%d", i), content...)
		}},
		{"metadata", func() (string, string, []byte) {
			return "PATCH", "/artifactory/api/metadata/libs-staging-local/a/f.bin?recursiveProperties=0", []byte(`{"props":{"hallmark.state":"signed"}}`)
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					method, target, body := bb.make()
					req, err := http.NewRequestWithContext(b.Context(), method, s.URL()+target, bytes.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
					resp, err := client.Do(req)
					if err != nil || resp.StatusCode >= 300 {
						b.Fatal(resp, err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkStream shows that a large file costs the server next to nothing but the copy.
func BenchmarkStream(b *testing.B) {
	const size = 256 << 20
	s := artifactorytest.Start(b, standin.Config{})
	require.NoError(b, s.Put("ci", artifactorytest.Staging, "big", io.LimitReader(zeros{}, size), nil))
	b.SetBytes(size)
	for b.Loop() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL()+"/artifactory/libs-staging-local/big", strings.NewReader(""))
		require.NoError(b, err)
		req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(b, err)
		h := sha256.New()
		_, err = io.Copy(h, resp.Body)
		require.NoError(b, err)
		require.NoError(b, resp.Body.Close())
		require.Equal(b, hex.EncodeToString(h.Sum(nil)), resp.Header.Get("X-Checksum-Sha256"))
	}
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// BenchmarkDeliver shows how fast the sender can be: events to a receiver that only reads them.
func BenchmarkDeliver(b *testing.B) {
	s := artifactorytest.Start(b, standin.Config{Webhooks: standin.WebhookTiming{Workers: 200}})
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(r.Close)
	require.NoError(b, s.AddSubscription(subscription(&receiver{Server: r})))
	before := cpu(b)
	for i := range b.N {
		s.Emit(standin.Event{Domain: "artifact", Type: "deployed", Repo: artifactorytest.Staging, Path: fmt.Sprint(i), SHA256: helloSHA256, Size: 6, User: "ci"})
	}
	require.NoError(b, s.WaitDelivered(b.Context()))
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}
