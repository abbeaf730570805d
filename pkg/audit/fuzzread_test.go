package audit_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// FuzzBundle feeds what stands in a log's directory. What is taken apart is there in the bundle, whole and in order.
func FuzzBundle(f *testing.F) {
	f.Add([]byte{}, 256)
	f.Add([]byte{0, 1, 'x', 0, 0}, 1)
	f.Add([]byte{255, 255, 0}, 3)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = int(uint8(limit)) + 1
		if hashes, err := audit.SplitTile(b, limit); err == nil {
			require.LessOrEqual(t, len(hashes), limit)
			require.True(t, bytes.HasPrefix(b, bytes.Join(hashes, nil)))
		} else {
			require.ErrorIs(t, err, audit.ErrDamaged)
		}
		entries, err := audit.SplitBundle(b, limit)
		if err != nil {
			require.ErrorIs(t, err, audit.ErrDamaged)
			return
		}
		require.LessOrEqual(t, len(entries), limit)
		var again []byte
		for _, e := range entries {
			again = audit.AppendEntry(again, e)
		}
		require.True(t, bytes.HasPrefix(b, again))
		require.True(t, len(entries) == limit || len(again) == len(b), "nothing is passed over")
	})
}

// FuzzHead feeds checkpoints that somebody else wrote. None counts but the one that the key signed, to which only further
// signatures may be added.
func FuzzHead(f *testing.F) {
	s := newStory(f)
	good := s.checkpoint(rigOrigin, 1, s.head(1).Root)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("log.example\n18446744073709551616\n\n\n— log.example AAAAAAA=\n"))
	body := good[:bytes.Index(good, []byte("\n\n"))+1]
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := audit.ParseHead(b, s.keys())
		if err != nil {
			require.ErrorIs(t, err, audit.ErrCheckpoint)
			return
		}
		require.True(t, bytes.HasPrefix(b, body))
		require.EqualValues(t, 1, h.Size)
	})
}

// FuzzKeys feeds what should be a trusted root or a public key.
func FuzzKeys(f *testing.F) {
	f.Add(trustedRoot(f, map[string]any{"https://log.example": newKey(f).Public()}), "")
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), rigOrigin)
	f.Fuzz(func(t *testing.T, b []byte, origin string) {
		keys, err := audit.ParseKeys(b, origin)
		require.Equal(t, err == nil, len(keys) > 0)
		for _, k := range keys {
			require.NotNil(t, k.Public)
			require.True(t, origin == "" || k.Origin == origin)
		}
	})
}

// FuzzReplay feeds whole bundles of leaves: whatever they are, the replay comes to an end and says what it found.
func FuzzReplay(f *testing.F) {
	s := newStory(f).uses(2)
	f.Add(bytes.Join(s.leaves, []byte("\n")))
	f.Add([]byte("\n\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &story{t: t, log: s.log, key: s.key, now: rigTime, leaves: bytes.Split(b, []byte("\n"))}
		report := s.replay(s.write(), audit.Replay{})
		require.EqualValues(t, len(s.leaves), report.Size)
		require.Zero(t, report.Counts["log-rewritten"])
	})
}
