package audit_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// BenchmarkAppend measures from a Rekord to its verified proof, with the log's key in software and in SoftHSM.
func BenchmarkAppend(b *testing.B) {
	cleanup, err := hsmtest.Setup()
	require.NoError(b, err)
	b.Cleanup(cleanup)
	leaf := benchLeaf(b)
	for name, key := range map[string]audit.Signer{"software": sealtest.NewKey(b, "P-256", "log"), "SoftHSM": tokenKey(b)} {
		for _, at := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("key=%s/at-once=%d", name, at), func(b *testing.B) {
				r := newRig(b)
				l, err := audit.Open(b.Context(), r.config, key, r.memory, r.options)
				require.NoError(b, err)
				b.Cleanup(func() { require.NoError(b, l.Close()) })
				measure(b, at, b.N, func(ctx context.Context) error {
					_, err := l.Append(ctx, leaf)
					return err
				})
				b.ReportMetric(float64(b.N)/float64(r.memory.Remembered()), "entries/checkpoint")
			})
		}
	}
}

// BenchmarkAdd measures until a leaf is durable, which is what an intent waits for.
func BenchmarkAdd(b *testing.B) {
	leaf := benchLeaf(b)
	for _, at := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("at-once=%d", at), func(b *testing.B) {
			l := newRig(b).open(b)
			measure(b, at, b.N, func(ctx context.Context) error {
				_, err := l.Add(ctx, leaf)
				return err
			})
		})
	}
}

// BenchmarkGrowth lets one log grow to HALLMARK_BENCH_ENTRIES leaves (30,000 unless set) and measures at every power of
// ten on the way, and at the end: what the disk holds, and how long a proof takes then.
func BenchmarkGrowth(b *testing.B) {
	leaf := benchLeaf(b)
	for range b.N {
		r := newRig(b)
		l := r.open(b)
		var sizes []int
		for n := 10_000; n < benchEntries(b); n *= 10 {
			sizes = append(sizes, n)
		}
		at := 0
		for _, n := range append(sizes, benchEntries(b)) {
			added := measure(b, 512, n-at-2000, func(ctx context.Context) error {
				_, err := l.Add(ctx, leaf)
				return err
			})
			proven := measure(b, 64, 2000, func(ctx context.Context) error {
				_, err := l.Append(ctx, leaf)
				return err
			})
			bytes, files := onDisk(b, r.config.Dir)
			b.Logf("%d leaves of %d bytes: %.0f/s added by 512; proven by 64: %.0f/s, p50 %.1f ms, p99 %.1f ms; on disk %d MiB in %d files",
				n, len(leaf), added.rate, proven.rate, proven.p50, proven.p99, bytes>>20, files)
			at = n
		}
		start := time.Now()
		require.NoError(b, l.Close())
		l = r.open(b)
		b.Logf("closed and opened again in %.0f ms", time.Since(start).Seconds()*1000)
		require.NoError(b, l.Close())
	}
}

func onDisk(b *testing.B, dir string) (bytes int64, files int) {
	b.Helper()
	require.NoError(b, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err != nil || syscall.Lstat(path, &st) != nil {
			return nil // collected meanwhile
		}
		bytes, files = bytes+st.Blocks*512, files+1
		return nil
	}))
	return bytes, files
}

func benchLeaf(b *testing.B) []byte {
	b.Helper()
	leaf, err := rekord(b, sealtest.NewKey(b, "P-256", "artifact"), "content", true).Marshal()
	require.NoError(b, err)
	return leaf
}

func tokenKey(b *testing.B) audit.Signer {
	b.Helper()
	token := hsmtest.NewToken(b)
	ring, err := hsm.Open(b.Context(), []hsm.Config{token.Config()}, []hsm.KeyConfig{token.GenerateFor(b, "log", hsm.UseLog, hsm.P256)}, hsm.Options{})
	require.NoError(b, err)
	b.Cleanup(ring.Close)
	key, err := ring.Service("log", hsm.UseLog)
	require.NoError(b, err)
	return key
}

// figures of one measurement: per second, and milliseconds.
type figures struct{ rate, p50, p99 float64 }

// measure has a number of callers do n operations in all, and reports what it took them.
func measure(b *testing.B, atOnce, n int, do func(context.Context) error) figures {
	b.Helper()
	took := make([][]time.Duration, atOnce)
	var next atomic.Int64
	begun := time.Now()
	b.ResetTimer()
	var wait sync.WaitGroup
	for i := range atOnce {
		wait.Go(func() {
			for next.Add(1) <= int64(n) {
				start := time.Now()
				if err := do(b.Context()); err != nil {
					b.Errorf("after %d: %v", next.Load(), err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	require.Len(b, all, n)
	slices.Sort(all)
	f := figures{float64(n) / time.Since(begun).Seconds(), all[n/2].Seconds() * 1000, all[n*99/100].Seconds() * 1000}
	b.ReportMetric(f.rate, "entries/s")
	b.ReportMetric(f.p50, "p50-ms")
	b.ReportMetric(f.p99, "p99-ms")
	b.ReportMetric(0, "ns/op")
	return f
}
