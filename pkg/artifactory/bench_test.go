package artifactory_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// cpu is the processor time of this process, the stand-in's share included.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// BenchmarkCalls measures the calls that one artifact costs, against the stand-in in the same process: cpu-us/op is
// both sides together.
func BenchmarkCalls(b *testing.B) {
	s, c := house(b, artifactorytest.CI)
	put(b, s, "app.bin", string(bytes.Repeat([]byte("x"), 10<<10)))
	at := ref(b, "app.bin")
	info, err := c.Info(b.Context(), at)
	require.NoError(b, err)
	props := map[string][]string{"hallmark.state": {"signed"}, "hallmark.sha256": {info.SHA256.String()}, "hallmark.keys": {"release-2026"}}
	signature := bytes.Repeat([]byte("s"), 1200)

	n := 0
	for _, bc := range []struct {
		name string
		call func() error
	}{
		{"Info", func() error { _, err := c.Info(b.Context(), at); return err }},
		{"Pull10KiB", func() error { return c.Pull(b.Context(), info) }},
		{"Store", func() error {
			n++
			return c.Store(b.Context(), artifact.Attachment{Ref: at.Beside(fmt.Sprintf("app-%d.sig", n)), MediaType: "application/json", Content: signature})
		}},
		{"Merge", func() error { return c.Merge(b.Context(), at, props) }},
		{"Ping", func() error { return c.Ping(b.Context()) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpu(b)
			for b.Loop() {
				if err := bc.call(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu(b)-start)/float64(b.N), "cpu-us/op")
		})
	}
}

// BenchmarkPullLarge is the rate at which a large artifact streams through SHA-256, beside a bare client that does
// nothing else.
func BenchmarkPullLarge(b *testing.B) {
	const size = 256 << 20
	s, c := house(b, artifactorytest.CI)
	require.NoError(b, s.Put("ci", testRepo, "big.bin", bytes.NewReader(make([]byte, size)), nil))
	info, err := c.Info(b.Context(), ref(b, "big.bin"))
	require.NoError(b, err)
	b.Run("edge", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if err := c.Pull(b.Context(), info); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, c.URL()+"/"+testRepo+"/big.bin", nil)
			require.NoError(b, err)
			r.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
			resp, err := http.DefaultClient.Do(r)
			require.NoError(b, err)
			n, err := io.Copy(sha256.New(), resp.Body)
			require.NoError(b, err)
			require.EqualValues(b, size, n)
			require.NoError(b, resp.Body.Close())
		}
	})
}
