package audit_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
)

// ownKey is the key of a story as the writer of a log wants it.
type ownKey struct{ *ecdsa.PrivateKey }

func (ownKey) Hash() crypto.Hash { return crypto.SHA256 }
func (k ownKey) Sign(_ context.Context, digest []byte) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, crypto.SHA256)
}

// What the writing side writes, the reading side accepts, whatever sizes it was written in, while it is open and after.
func TestWrittenIsReplayed(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(86)
	dir, memory := filepath.Join(t.TempDir(), "log"), audittest.NewMemory()
	written, heads := 0, []audit.Kept(nil)
	for _, upTo := range []int{1, 2, 255, 256, 257, len(s.leaves)} {
		l, err := audit.Open(t.Context(), audit.Config{Dir: dir, Origin: rigOrigin}, ownKey{s.log}, memory, audit.Options{})
		require.NoError(t, err)
		for ; written < upTo-1; written++ {
			_, err := l.Add(t.Context(), s.leaves[written])
			require.NoError(t, err)
		}
		p, err := l.Append(t.Context(), s.leaves[written])
		require.NoError(t, err)
		written++
		h, err := audit.ParseHead([]byte(p.Checkpoint), s.keys())
		require.NoError(t, err)
		require.EqualValues(t, written, h.Size)
		heads = append(heads, kept(h))
		require.NoError(t, l.PublishNow())
		require.NotNil(t, s.replay(dir, audit.Replay{Kept: heads}))
		require.NoError(t, l.Close())
	}
	report := s.replay(dir, audit.Replay{Kept: heads})
	require.Empty(t, report.All)
	require.EqualValues(t, 86, report.Sealed)
}
