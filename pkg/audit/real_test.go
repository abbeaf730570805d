package audit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func (r *rig) keys() []audit.Key {
	return []audit.Key{{Origin: r.config.Origin, Public: r.key.Public()}}
}

// signing has a process start on the log, use its key n times, some at once, and end.
func (r *rig) signing(t testing.TB, key *sealtest.Key, what string, n int) {
	t.Helper()
	l := r.open(t)
	require.NoError(t, audittest.Start(t.Context(), l, "one", key))
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() {
			in := audit.Intent{ID: uint64(i + 1), Repo: "libs", Path: fmt.Sprintf("%s/%d.tgz", what, i)}
			_, _, errs[i] = audittest.Use(t.Context(), l, key, in, fmt.Appendf(nil, "%s %d", what, i))
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, l.Close())
}

func (r *rig) verified(t testing.TB, from *audit.Reader, kept ...audit.Kept) (*audit.Report, audit.Head) {
	t.Helper()
	head, err := from.Head(t.Context(), r.keys())
	require.NoError(t, err)
	report, err := from.Replay(t.Context(), audit.Replay{Head: head, Kept: kept})
	require.NoError(t, err)
	return report, head
}

// What the writing side wrote, with many signers at once and over two processes, has nothing that the reading side finds,
// in its directory and as it is served, all of it and as it was in between.
func TestReplayOfARealLog(t *testing.T) {
	t.Parallel()
	r, key := newRig(t), sealtest.NewKey(t, "P-256", "release")
	r.signing(t, key, "first", 100)
	report, first := r.verified(t, openDir(t, r.config.Dir))
	require.Empty(t, report.All)
	require.EqualValues(t, 301, first.Size)
	r.signing(t, key, "second", 60)
	report, _ = r.verified(t, openDir(t, r.config.Dir), kept(first))
	require.Empty(t, report.All)
	require.EqualValues(t, 482, report.Size)
	require.EqualValues(t, 160, report.Sealed)

	l := r.open(t)
	server := httptest.NewServer(http.StripPrefix("/log", l.Handler()))
	t.Cleanup(server.Close)
	served, err := audit.ReadHTTP(server.URL+"/log", "", server.Client())
	require.NoError(t, err)
	report, head := r.verified(t, served, kept(first))
	require.Empty(t, report.All)
	require.EqualValues(t, 482, report.Size)
	for _, i := range []uint64{0, 255, 256, 481} {
		_, err := served.Entry(t.Context(), head, i)
		require.NoError(t, err)
	}
	before, err := openDir(t, r.config.Dir).Replay(t.Context(), audit.Replay{Head: first})
	require.NoError(t, err, "what was signed before can be replayed for ever")
	require.Empty(t, before.All)
}

// A directory that was put back from a backup, and continued by a writer that knew nothing of what it had signed: either is
// caught by whoever kept a checkpoint.
func TestRestoredAndForkedRealLog(t *testing.T) {
	t.Parallel()
	r, key := newRig(t), sealtest.NewKey(t, "P-256", "release")
	r.signing(t, key, "first", 20)
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(r.config.Dir)))
	r.signing(t, key, "second", 20)
	report, last := r.verified(t, openDir(t, r.config.Dir))
	require.Empty(t, report.All)

	report, old := r.verified(t, openDir(t, backup), kept(last))
	require.Equal(t, []reason.Code{reason.LogRolledBack}, codesOf(report))

	other := &rig{config: r.config, key: r.key, memory: audittest.NewMemory()}
	other.config.Dir = backup
	other.signing(t, key, "third", 20)
	report, fork := r.verified(t, openDir(t, backup), kept(old), kept(last))
	require.Equal(t, last.Size, fork.Size, "two checkpoints of one size")
	require.Equal(t, []reason.Code{reason.LogForked}, codesOf(report))
	other.signing(t, key, "fourth", 1)
	report, _ = r.verified(t, openDir(t, backup), kept(last))
	require.Equal(t, []reason.Code{reason.LogForked}, codesOf(report), "growing does not hide it")
}

// A process that ends between intent and outcome leaves an alarm once it had its time, and none before.
func TestCutOffRealLog(t *testing.T) {
	t.Parallel()
	r, key := newRig(t), sealtest.NewKey(t, "P-256", "release")
	r.signing(t, key, "first", 3)
	l := r.open(t)
	in := goldenIntent()
	in.At, in.SPKI = time.Now(), spkiOf(t, key.Public())
	leaf, err := in.Marshal()
	require.NoError(t, err)
	index, err := l.Add(t.Context(), leaf)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	report, head := r.verified(t, openDir(t, r.config.Dir))
	require.Empty(t, report.All)
	require.EqualValues(t, 1, report.Open)
	report, err = openDir(t, r.config.Dir).Replay(t.Context(), audit.Replay{Head: head, AsOf: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []reason.Code{reason.LogIntentOpen}, codesOf(report))
	require.Equal(t, index, *report.All[0].Index)
}
