package audit_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// doomed is what a process that is going to be killed is told.
type doomed struct {
	Dir    string
	Round  int
	Point  string // where it kills itself; "" for not at all
	Passes int    // of that point before
}

const doomedIn = "HALLMARK_TEST_DOOMED"

// told is one leaf that the process was told to be in the log.
type told struct {
	Leaf  string
	Index uint64
	Proof *audit.Proof // nil for Add
}

func (d doomed) rig(t testing.TB) *rig {
	t.Helper()
	memory, err := audittest.OpenMemory(filepath.Join(d.Dir, "memory.json"))
	require.NoError(t, err)
	return &rig{
		config: audit.Config{Dir: filepath.Join(d.Dir, "log"), Origin: origin},
		key:    sealtest.NewKey(t, "P-256", "log"), memory: memory,
	}
}

// Whatever a process was told before it was killed is so: the leaf is in the log and can be proven, the old proof holds,
// and what was signed is remembered.
func TestKilled(t *testing.T) {
	if in := os.Getenv(doomedIn); in != "" {
		var d doomed
		require.NoError(t, json.Unmarshal([]byte(in), &d))
		d.run(t)
		return
	}
	t.Parallel()
	for _, point := range []string{"written", "remembered", "signed", "published", "at random"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			all := map[string]told{}
			for round := range 3 {
				d := doomed{Dir: dir, Round: round, Point: point, Passes: round}
				kill := 0
				if point == "at random" {
					d.Point, kill = "", 1+rand.IntN(80)
				}
				for _, one := range d.die(t, kill) {
					all[one.Leaf] = one
				}
				d.holds(t, all)
			}
		})
	}
}

// run adds until the process ends.
func (d doomed) run(t *testing.T) {
	r := d.rig(t)
	var passed atomic.Int64
	r.options = r.options.At(func(point string) {
		if point == d.Point && passed.Add(1) > int64(d.Passes) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}).Publishing(20 * time.Millisecond)
	l := r.open(t)
	var out sync.Mutex
	say := func(one told) {
		b, err := json.Marshal(one)
		require.NoError(t, err)
		out.Lock()
		defer out.Unlock()
		fmt.Printf("TOLD %s\n", b)
	}
	var wait sync.WaitGroup
	for a := range 4 {
		wait.Go(func() {
			for i := range 5000 {
				leaf := fmt.Sprintf("round %d, adder %d, leaf %d", d.Round, a, i)
				if i%3 == 0 {
					index, err := l.Add(t.Context(), []byte(leaf))
					require.NoError(t, err)
					say(told{Leaf: leaf, Index: index})
					continue
				}
				p, err := l.Append(t.Context(), []byte(leaf))
				require.NoError(t, err)
				say(told{Leaf: leaf, Index: p.Index, Proof: &p})
			}
		})
	}
	wait.Wait()
}

// die starts the process and returns what it was told until it was killed: by itself, or here after it was told a number of times.
func (d doomed) die(t *testing.T, kill int) []told {
	t.Helper()
	in, err := json.Marshal(d)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), doomedIn+"="+string(in))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var all []told
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one told
		b, ok := cutPrefix(lines.Bytes(), "TOLD ")
		if !ok || json.Unmarshal(b, &one) != nil {
			continue // torn by the kill, or not ours
		}
		all = append(all, one)
		if len(all) == kill {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "it was to be killed")
	return all
}

func cutPrefix(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

// holds opens the log after the crash.
func (d doomed) holds(t *testing.T, all map[string]told) {
	t.Helper()
	r := d.rig(t)
	size, root, err := r.memory.LastCheckpoint(t.Context(), origin)
	require.NoError(t, err)
	l := r.open(t)
	leaves := map[uint64]string{}
	require.NoError(t, l.Leaves(t.Context(), 0, func(index uint64, leaf []byte) error {
		leaves[index] = string(leaf)
		return nil
	}))
	require.LessOrEqual(t, size, uint64(len(leaves)))
	for leaf, one := range all {
		require.Equal(t, leaf, leaves[one.Index])
		if one.Proof != nil {
			r.holds(t, []byte(leaf), *one.Proof)
			require.LessOrEqual(t, one.Proof.Size, size, "what was signed is remembered")
			if one.Proof.Size == size {
				require.Equal(t, root, one.Proof.Root)
			}
		}
	}
	if last := uint64(len(leaves)) - 1; len(leaves) > 0 {
		p, err := l.Prove(t.Context(), last, []byte(leaves[last]))
		require.NoError(t, err)
		r.holds(t, []byte(leaves[last]), p)
	}
	require.NoError(t, l.Close())
}
