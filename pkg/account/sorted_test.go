package account

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func numbered(i int) (d artifact.Digest) {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

// The books hold 64 bytes of each signature, and find each again.
func TestSortedIsSmall(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(entry{}))
	const n = 200_000
	memory := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := memory()
	var s sorted[entry]
	for i := range n {
		put(&s, entry{id: useOf(numbered(i), numbered(-1), numbered(-2)), index: uint64(i)})
	}
	for i := 0; i < n; i += 997 {
		id := useOf(numbered(i), numbered(-1), numbered(-2))
		for _, prefix := range [][]byte{id[:], id[:16]} {
			found := find(&s, prefix)
			require.Len(t, found, 1)
			require.EqualValues(t, i, found[0].index)
		}
		other := useOf(numbered(i), numbered(-1), numbered(-3))
		require.Empty(t, find(&s, other[:]))
		require.Len(t, find(&s, other[:16]), 1)
	}
	require.Less(t, memory()-before, int64(n*64*3/2))
	runtime.KeepAlive(&s)
}

// What is there twice is found twice, and what is added later is found, too.
func TestSorted(t *testing.T) {
	t.Parallel()
	var s sorted[digest]
	one, two := digest(numbered(1)), digest(numbered(2))
	require.Empty(t, find(&s, one[:]))
	put(&s, one)
	put(&s, one)
	require.Len(t, find(&s, one[:]), 2)
	put(&s, two)
	require.Len(t, find(&s, two[:]), 1)
	last := []byte{}
	for d := range all(&s) {
		require.LessOrEqual(t, string(last), string(d[:]))
		last = d[:]
	}
}
