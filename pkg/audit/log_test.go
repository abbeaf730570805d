package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const origin = "log.example"

// rig is one log and what stands around it.
type rig struct {
	config  audit.Config
	key     *sealtest.Key
	memory  *audittest.Memory
	options audit.Options
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{
		config: audit.Config{Dir: filepath.Join(t.TempDir(), "log"), Origin: origin},
		key:    sealtest.NewKey(t, "P-256", "log"), memory: audittest.NewMemory(),
	}
}

func (r *rig) open(t testing.TB) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), r.config, r.key, r.memory, r.options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func (r *rig) refused(t testing.TB) error {
	t.Helper()
	l, err := audit.Open(t.Context(), r.config, r.key, r.memory, r.options)
	require.Error(t, err)
	require.Nil(t, l)
	require.ErrorContains(t, err, r.config.Dir)
	return err
}

// checkpoint reads a note as any client would.
func (r *rig) checkpoint(t testing.TB, text string) formats.Checkpoint {
	t.Helper()
	v, err := signature.LoadVerifier(r.key.Public(), r.key.Hash())
	require.NoError(t, err)
	nv, err := rekornote.NewNoteVerifier(r.config.Origin, v)
	require.NoError(t, err)
	c, _, _, err := formats.ParseCheckpoint([]byte(text), r.config.Origin, nv)
	require.NoError(t, err)
	return *c
}

// holds verifies a proof with nothing but the leaf and the log's public key.
func (r *rig) holds(t testing.TB, leaf []byte, p audit.Proof) {
	t.Helper()
	c := r.checkpoint(t, p.Checkpoint)
	require.Equal(t, p.Size, c.Size)
	require.Equal(t, p.Root, c.Hash)
	require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, rfc6962.DefaultHasher.HashLeaf(leaf), p.Hashes, c.Hash))
}

func leafOf(i int) []byte { return fmt.Appendf(nil, "leaf %d", i) }

func TestAppend(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.key = sealtest.NewKey(t, algorithm, "log")
			l := r.open(t)
			require.Equal(t, origin, l.Origin())
			body, err := rekord(t, sealtest.NewKey(t, "P-256", "artifact"), "content", true).Marshal()
			require.NoError(t, err)
			for i := range 3 {
				index, err := l.Add(t.Context(), leafOf(i))
				require.NoError(t, err)
				require.Equal(t, uint64(2*i), index)
				p, err := l.Append(t.Context(), body)
				require.NoError(t, err)
				require.Equal(t, uint64(2*i+1), p.Index)
				r.holds(t, body, p)

				v, err := signature.LoadVerifier(r.key.Public(), r.key.Hash())
				require.NoError(t, err)
				nv, err := rekornote.NewNoteVerifier(origin, v)
				require.NoError(t, err)
				require.NoError(t, verify.VerifyLogEntry(p.Entry(body), nv), "as Sigstore clients do")
			}
			require.Equal(t, l.ID(), mustID(t, r.key))
			again, err := l.Prove(t.Context(), 1, body)
			require.NoError(t, err)
			r.holds(t, body, again)
			_, err = l.Prove(t.Context(), 0, body)
			require.ErrorContains(t, err, "the leaf at index 0 is not the one asked for")
			_, err = l.Prove(t.Context(), 6, body)
			require.ErrorContains(t, err, "none at index 6")
		})
	}
}

func mustID(t testing.TB, key *sealtest.Key) []byte {
	t.Helper()
	_, id, err := rekornote.KeyHash(origin, key.Public())
	require.NoError(t, err)
	return id
}

// Many at once share checkpoints; each gets its own index, and a proof that holds.
func TestAppendAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reg := prometheus.NewRegistry()
	r.options.Registerer = reg
	l := r.open(t)
	const adders, each = 32, 20
	var mu sync.Mutex
	seen := map[uint64][]byte{}
	var wait sync.WaitGroup
	for a := range adders {
		wait.Go(func() {
			for i := range each {
				leaf := leafOf(a*each + i)
				p, err := l.Append(t.Context(), leaf)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				r.holds(t, leaf, p)
				mu.Lock()
				seen[p.Index] = leaf
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.Len(t, seen, adders*each)
	require.Less(t, r.key.Uses(), adders*each/4, "checkpoints are shared")
	next := uint64(0)
	require.NoError(t, l.Leaves(t.Context(), 0, func(index uint64, leaf []byte) error {
		require.Equal(t, next, index)
		require.Equal(t, string(seen[index]), string(leaf))
		next++
		return nil
	}))
	require.Equal(t, uint64(len(seen)), next)
	size, err := l.Size(t.Context())
	require.NoError(t, err)
	require.Equal(t, next, size)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`
# HELP hallmark_log_entries_total Leaves added to the log by this process.
# TYPE hallmark_log_entries_total counter
hallmark_log_entries_total %d
# HELP hallmark_log_checkpoints_refused_total Checkpoints that were not signed because the log on disk contradicts what was signed before. Must stay 0.
# TYPE hallmark_log_checkpoints_refused_total counter
hallmark_log_checkpoints_refused_total 0
`, adders*each)), "hallmark_log_entries_total", "hallmark_log_checkpoints_refused_total"))
}

func TestLeavesFrom(t *testing.T) {
	t.Parallel()
	l := newRig(t).open(t)
	require.NoError(t, l.Leaves(t.Context(), 0, func(uint64, []byte) error { return errors.New("there is none") }))
	const n = 600
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if _, err := l.Add(t.Context(), leafOf(i)); err != nil {
				t.Errorf("add: %v", err)
			}
		})
	}
	wait.Wait()
	for _, from := range []uint64{0, 1, 255, 256, 511, 512, n - 1, n, n + 1} {
		next := from
		require.NoError(t, l.Leaves(t.Context(), from, func(index uint64, _ []byte) error {
			require.Equal(t, next, index)
			next++
			return nil
		}))
		require.Equal(t, max(n, from), next)
	}
	enough := errors.New("enough")
	require.ErrorIs(t, l.Leaves(t.Context(), 0, func(uint64, []byte) error { return enough }), enough)
}

// Closed and opened again, the log goes on where it was; what is published then covers everything.
func TestReopen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	proofs := map[string]audit.Proof{}
	for round := range 3 {
		l := r.open(t)
		for i := range 5 {
			leaf := leafOf(10*round + i)
			p, err := l.Append(t.Context(), leaf)
			require.NoError(t, err)
			require.Equal(t, uint64(6*round+i), p.Index)
			proofs[string(leaf)] = p
		}
		_, err := l.Add(t.Context(), []byte("not proven"))
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close(), "twice is fine")
		_, err = l.Append(t.Context(), leafOf(0))
		require.ErrorIs(t, err, audit.ErrClosed)
		_, err = l.Prove(t.Context(), 0, leafOf(0))
		require.ErrorIs(t, err, audit.ErrClosed)
		text, err := os.ReadFile(filepath.Join(r.config.Dir, "checkpoint"))
		require.NoError(t, err)
		c := r.checkpoint(t, string(text))
		require.Equal(t, uint64(6*round+6), c.Size)
		size, root, err := r.memory.LastCheckpoint(t.Context(), origin)
		require.NoError(t, err)
		require.Equal(t, c.Size, size)
		require.Equal(t, c.Hash, root)
	}
	l := r.open(t)
	for leaf, old := range proofs {
		r.holds(t, []byte(leaf), old)
		p, err := l.Prove(t.Context(), old.Index, []byte(leaf))
		require.NoError(t, err)
		r.holds(t, []byte(leaf), p)
		require.Equal(t, uint64(18), p.Size)
	}
}

func TestOneWriter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.open(t)
	err := r.refused(t)
	require.ErrorIs(t, err, audit.ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", os.Getpid()))
	require.NoError(t, l.Close())
	r.open(t)
}

// What cannot be is refused before anything is written.
func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "https://log.example", "log.example:8443", "log.example/log", "log example", "log+example", "rekor.example - 123"} {
		r := newRig(t)
		r.config.Origin = bad
		require.ErrorContains(t, r.refused(t), "it must be a host name")
		require.NoDirExists(t, r.config.Dir)
	}
	r := newRig(t)
	r.config.Dir = ""
	require.ErrorContains(t, r.config.Validate(), "dir is missing")
	r.config.Quorum = 1
	require.ErrorContains(t, r.config.Validate(), "there are 0 witnesses")
}

func TestLeafSize(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.open(t)
	_, err := l.Append(t.Context(), nil)
	require.ErrorContains(t, err, "0 bytes")
	_, err = l.Append(t.Context(), make([]byte, audit.MaxLeaf+1))
	require.ErrorContains(t, err, "65536 bytes")
	large := bytes.Repeat([]byte("x"), audit.MaxLeaf)
	p, err := l.Append(t.Context(), large)
	require.NoError(t, err)
	r.holds(t, large, p)
}

// Who does not wait any longer is told that the leaf may be in; it is not lost.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hold := make(chan struct{})
	held := make(chan struct{}, 1)
	r.options = r.options.At(func(point string) {
		if point == "remembered" {
			select {
			case held <- struct{}{}:
				<-hold
			default:
			}
		}
	})
	l := r.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, leafOf(1))
		result <- err
	}()
	<-held // its checkpoint is being signed
	cancel()
	err := <-result
	require.ErrorIs(t, err, audit.ErrUnconfirmed)
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Append(ctx, leafOf(2))
	require.NotErrorIs(t, err, audit.ErrUnconfirmed, "it was not even tried")
	require.ErrorIs(t, err, context.Canceled)
	close(hold)
	p, err := l.Prove(t.Context(), 0, leafOf(1))
	require.NoError(t, err)
	r.holds(t, leafOf(1), p)
	size, err := l.Size(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(1), size)
}

// What was handed over before Close is finished: proven, covered by what is published, and nothing comes after it.
func TestCloseFinishes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l, err := audit.Open(t.Context(), r.config, r.key, r.memory, r.options)
	require.NoError(t, err)
	results := make(chan error, 200)
	for i := range cap(results) {
		go func() {
			p, err := l.Append(t.Context(), leafOf(i))
			if err == nil {
				r.holds(t, leafOf(i), p)
			}
			results <- err
		}()
	}
	done := 0
	require.NoError(t, <-results)
	done++
	require.NoError(t, l.Close())
	published := r.checkpoint(t, read(t, r.config.Dir, "checkpoint"))
	for range cap(results) - 1 {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, audit.ErrClosed)
			continue
		}
		done++
	}
	require.EqualValues(t, done, published.Size)
	l = r.open(t)
	size, err := l.Size(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, done, size)
}
