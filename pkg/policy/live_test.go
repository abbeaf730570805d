package policy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

var liveVocabulary = Vocabulary{Keys: []Key{{Name: "dev-2026", Lane: LaneDevelopment}}, Formats: []string{"raw"}}

// livePolicy signs the files of one repository.
func livePolicy(name, repo string) string {
	return fmt.Sprintf("kind: SigningPolicy\nname: %s\nowner: o\nmatch: {repositories: [%s]}\nsign: [{key: dev-2026, formats: [raw]}]\n", name, repo)
}

// liveRig is a Live over a directory of one policy for repository old. Its pauses take no time; before each, meanwhile runs.
type liveRig struct {
	*Live
	t         *testing.T
	log       *bytes.Buffer
	meanwhile func()
}

func newLive(t *testing.T) *liveRig {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	require.NoError(t, os.Mkdir(dir, 0o700))
	r := &liveRig{t: t, log: &bytes.Buffer{}, meanwhile: func() {}}
	r.Live = &Live{dir: dir}
	r.write("a.yaml", livePolicy("a", "old"))
	live, err := Open(dir, Skip, liveVocabulary, slog.New(slog.NewTextHandler(r.log, nil)), prometheus.NewPedanticRegistry())
	require.NoError(t, err)
	live.pause = func(ctx context.Context) bool { r.meanwhile(); return ctx.Err() == nil }
	r.Live = live
	return r
}

func (r *liveRig) write(name, content string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600))
}

// requireInForce checks which repositories the set in force is about, and what the metrics say of the directory.
func (r *liveRig) requireInForce(failures, refused int, repos ...string) {
	r.t.Helper()
	got, _ := r.Set().Repositories("main")
	require.Equal(r.t, repos, got)
	require.InDelta(r.t, failures, testutil.ToFloat64(r.metrics.failures), 0)
	require.InDelta(r.t, refused, testutil.ToFloat64(r.metrics.refused), 0)
}

func TestReload(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(0, 0, "old")
	require.Empty(t, r.log.String(), "nothing changed, nothing said")

	r.write("a.yaml", livePolicy("a", "new"))
	r.metrics.loaded.Set(0)
	before := r.Set()
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(0, 0, "new")
	require.Equal(t, []string{"old"}, first(before.Repositories("main")), "who works with the old set keeps it whole")
	require.InDelta(t, time.Now().Unix(), testutil.ToFloat64(r.metrics.loaded), 60)
	require.Contains(t, r.log.String(), "policy_set="+r.Set().Digest().String()+" before="+before.Digest().String())

	r.write("b.yaml", livePolicy("b", "more"))
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(0, 0, "more", "new")
	require.NoError(t, os.Remove(filepath.Join(r.dir, "b.yaml")))
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(0, 0, "new")
}

func first[A, B any](a A, _ B) A { return a }

// Nothing broken comes into force; it is told and counted once per content, with its place.
func TestBrokenPoliciesStayOut(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	loaded := testutil.ToFloat64(r.metrics.loaded)
	failures := 0
	refuse := func(want string) {
		t.Helper()
		failures++
		said := strings.Count(r.log.String(), "level=ERROR")
		for range 3 {
			require.ErrorContains(t, r.Reload(t.Context()), want)
			r.requireInForce(failures, 1, "old")
		}
		require.Equal(t, said+1, strings.Count(r.log.String(), "level=ERROR"), r.log.String())
		require.Contains(t, r.log.String(), want)
	}
	r.write("a.yaml", strings.Replace(livePolicy("a", "new"), "dev-2026", "dev-2025", 1))
	refuse("a.yaml:5:14: ")
	r.write("a.yaml", strings.Replace(livePolicy("a", "new"), "owner: o", "", 1))
	refuse("is missing")
	r.write("a.yaml", "kind: [\n")
	refuse("this is not YAML")
	require.NoError(t, os.Remove(filepath.Join(r.dir, "a.yaml")))
	refuse("holds no *.yaml file")
	require.NoError(t, os.Remove(r.dir))
	refuse("does not exist")

	require.NoError(t, os.Mkdir(r.dir, 0o700))
	r.write("a.yaml", livePolicy("a", "old"))
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(failures, 0, "old")
	require.Contains(t, r.log.String(), "holds the policies in force again")
	require.InDelta(t, loaded, testutil.ToFloat64(r.metrics.loaded), 0, "they were never replaced")
	r.write("a.yaml", livePolicy("a", "new"))
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(failures, 0, "new")
}

// A directory that is being written to is not taken before it stands still: neither one file of two nor half a file,
// though each of them would load.
func TestHalfWrittenPolicies(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	whole := livePolicy("a", "new") + "---\n" + livePolicy("a-too", "new-too")
	steps := []func(){
		func() { r.write("a.yaml", whole[:strings.Index(whole, "---")]) },
		func() { r.write("a.yaml", whole) },
		func() { r.write("b.yaml", livePolicy("b", "more")[:20]) },
		func() { r.write("b.yaml", livePolicy("b", "more")) },
	}
	r.write("a.yaml", "")
	r.meanwhile = func() {
		r.requireInForce(0, 0, "old")
		if len(steps) > 0 {
			steps[0]()
			steps = steps[1:]
		}
	}
	require.NoError(t, r.Reload(t.Context()))
	require.Empty(t, steps)
	r.requireInForce(0, 0, "more", "new", "new-too")
	require.NotContains(t, r.log.String(), "level=ERROR")

	n := 0
	r.write("a.yaml", "")
	r.meanwhile = func() { n++; r.write("a.yaml", whole+strings.Repeat("#", n)) }
	require.ErrorIs(t, r.Reload(t.Context()), errUnsettled)
	require.Equal(t, settleTries, n)
	r.requireInForce(0, 0, "more", "new", "new-too")

	ctx, cancel := context.WithCancel(t.Context())
	r.meanwhile = cancel
	require.ErrorIs(t, r.Reload(ctx), context.Canceled)
	r.requireInForce(0, 0, "more", "new", "new-too")
}

// A ConfigMap is swapped by one symbolic link. Many read while it goes back and forth: each set they get is one of the
// two, whole.
func TestReloadRace(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	require.NoError(t, os.Remove(filepath.Join(r.dir, "a.yaml")))
	for _, v := range []string{"one", "two"} {
		for _, file := range []string{"a", "b"} {
			require.NoError(t, os.MkdirAll(filepath.Join(r.dir, ".."+v), 0o700))
			r.write(filepath.Join(".."+v, file+".yaml"), livePolicy(file, v+"-"+file))
		}
	}
	swap := func(v string) {
		t.Helper()
		require.NoError(t, os.Symlink(".."+v, filepath.Join(r.dir, "..new")))
		require.NoError(t, os.Rename(filepath.Join(r.dir, "..new"), filepath.Join(r.dir, "..data")))
	}
	swap("one")
	for _, file := range []string{"a.yaml", "b.yaml"} {
		require.NoError(t, os.Symlink(filepath.Join("..data", file), filepath.Join(r.dir, file)))
	}
	require.NoError(t, r.Reload(t.Context()))
	r.requireInForce(0, 0, "one-a", "one-b")

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				set := r.Set()
				signs := func(repo string) bool {
					s := artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: artifact.Ref{Instance: "main", Repo: repo, Path: "x"}, SHA256: artifact.Digest{1}}}
					d := set.Decide(Request{Subject: s})
					if d.Grant != nil && d.Grant.SetDigest() != set.Digest() {
						t.Error("a grant names another set than it was made with")
					}
					return d.Grant != nil
				}
				one, two := signs("one-a"), signs("two-a")
				if one == two || one != signs("one-b") || two != signs("two-b") {
					t.Error("half a set")
				}
			}
		})
	}
	group.Go(func() {
		for ctx.Err() == nil {
			_ = r.Reload(ctx)
		}
	})
	for i := range 100 {
		v := []string{"two", "one"}[i%2]
		swap(v)
		require.NoError(t, r.Reload(t.Context()))
		require.Equal(t, []string{v + "-a", v + "-b"}, first(r.Set().Repositories("main")))
	}
	stop()
	group.Wait()
}

// Run looks at once when it is asked to, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	r.write("a.yaml", livePolicy("a", "new"))
	ctx, cancel := context.WithCancel(t.Context())
	taken, done := make(chan struct{}), make(chan struct{})
	r.meanwhile = sync.OnceFunc(func() { close(taken) })
	now := make(chan os.Signal, 1)
	go func() {
		defer close(done)
		r.Run(ctx, now)
	}()
	now <- os.Interrupt
	<-taken
	cancel()
	<-done
}

// What is no file of text is refused rather than waited for or read into memory.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	r := newLive(t)
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(r.dir, "b.yaml")))
	require.ErrorContains(t, r.Reload(t.Context()), "b.yaml: this is no regular file")
	require.NoError(t, os.Remove(filepath.Join(r.dir, "b.yaml")))
	r.write("b.yaml", "")
	require.NoError(t, os.Truncate(filepath.Join(r.dir, "b.yaml"), 1<<40))
	require.ErrorContains(t, r.Reload(t.Context()), "the limit is 1048576")
	r.requireInForce(2, 1, "old")
}
