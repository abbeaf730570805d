package audit_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// BenchmarkReplay replays a log of HALLMARK_BENCH_ENTRIES entries (30,000 unless set), a third of which are signatures that
// are verified. It tells the time and the most memory that the heap took.
func BenchmarkReplay(b *testing.B) {
	n := benchEntries(b)
	s := newStory(b)
	dir := b.TempDir()
	root, size := s.writeLong(dir, n)
	head, err := audit.ParseHead(s.checkpoint(rigOrigin, size, root), s.keys())
	require.NoError(b, err)
	r := openDir(b, dir)
	b.ResetTimer()
	for range b.N {
		most, end := watchHeap()
		report, err := r.Replay(context.Background(), audit.Replay{Head: head, AsOf: s.now, Kept: []audit.Kept{kept(head)}})
		end()
		require.NoError(b, err)
		require.Empty(b, report.All)
		require.EqualValues(b, size/3, report.Sealed)
		b.ReportMetric(float64(most.Load())/(1<<20), "MiB-heap")
		b.ReportMetric(float64(size)/b.Elapsed().Seconds()*float64(b.N), "entries/s")
	}
}

// benchEntries is how long a log is measured.
func benchEntries(b *testing.B) int {
	b.Helper()
	text := os.Getenv("HALLMARK_BENCH_ENTRIES")
	if text == "" {
		return 30_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(b, err)
	return n
}

// writeLong writes a log of about n entries without holding it. One signature serves for all: it is verified as often.
func (s *story) writeLong(dir string, n int) (root []byte, size int) {
	s.t.Helper()
	w := audit.NewLongLog(dir)
	for _, l := range s.leaves {
		require.NoError(s.t, w.Add(l))
		size++
	}
	in := s.newIntent()
	r := s.sign(s.key, in.Subject)
	body, err := r.Marshal()
	require.NoError(s.t, err)
	for ; size+3 <= n; size += 3 {
		in.ID++
		intent, err := in.Marshal()
		require.NoError(s.t, err)
		outcome, err := s.sealed(uint64(size), useOf(r, uint64(size+1))).Marshal()
		require.NoError(s.t, err)
		for _, leaf := range [][]byte{intent, body, outcome} {
			require.NoError(s.t, w.Add(leaf))
		}
	}
	root, err = w.Finish()
	require.NoError(s.t, err)
	return root, size
}

// watchHeap samples the heap until end is called.
func watchHeap() (most *atomic.Uint64, end func()) {
	most = &atomic.Uint64{}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return most, func() { close(stop); <-done }
}
