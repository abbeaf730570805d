package job_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// childURL makes a test process accept and work on events until it is killed. It prints each event it accepted, each
// piece of work it began and each it ended.
const childURL = "HALLMARK_TEST_CHILD_URL"

// replica is the name of every child and of who comes after it, as a restarted process keeps its name.
const replica = "killed-again-and-again"

func child() {
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{URL: os.Getenv(childURL), Replica: replica}, ledger.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	q, err := job.New(l, job.Config{}, job.Options{}, func(ctx context.Context, w job.Work) error {
		fmt.Println("begun", w.Event.Path)
		if err := signOnce(ctx, l, w.Event); err != nil {
			return err
		}
		fmt.Println("ended", w.Event.Path)
		return nil
	})
	if err == nil {
		err = q.Start(ctx)
	}
	for n := os.Getpid() * 1_000_000; err == nil; n++ {
		if err = q.Accept(ctx, event(n)); err == nil {
			fmt.Println("accepted", event(n).Path)
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
}

// signOnce is sign as the real work does it: what another attempt had sealed is reused.
func signOnce(ctx context.Context, l *ledger.Ledger, e ledger.Event) error {
	err := sign(ctx, l, e)
	switch {
	case errors.Is(err, ledger.ErrBusy):
		return job.After(10*time.Millisecond, err)
	case errors.Is(err, ledger.ErrSealed):
		return l.Finish(ctx, ledger.Outcome{Ref: place(e), State: ledger.Signed, EventID: e.ID})
	}
	return err
}

// A process that is killed at any moment loses nothing that it accepted, and signs nothing twice.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		url := ledgertest.URL(t, d)
		accepted, ended, begun := map[string]bool{}, map[string]bool{}, 0
		for round := range 3 {
			b, err := runAndKill(t, url, 200+50*round, accepted, ended)
			require.NoError(t, err)
			begun += b
		}
		require.Greater(t, begun, 0)
		require.Greater(t, len(accepted), len(ended), "each process was killed with work left")

		l := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: replica})
		q := newQueue(t, l, fast(), func(ctx context.Context, w job.Work) error { return signOnce(ctx, l, w.Event) })
		require.NoError(t, q.Start(t.Context()))
		require.Eventually(t, func() bool { return len(states(t, l)) == 0 || states(t, l)["completed"] == total(states(t, l)) }, waitFor, tick)
		for path := range accepted {
			e := event(0)
			e.Path = path
			st, err := l.Status(t.Context(), place(e))
			require.NoError(t, err, path)
			require.Equal(t, ledger.Signed, st.Current.State, path)
		}
		var twice int
		require.NoError(t, l.Reader().QueryRow(`SELECT count(*) FROM (SELECT subject FROM intent WHERE state = 1 GROUP BY subject HAVING count(*) > 1) x`).Scan(&twice))
		require.Zero(t, twice)
		var live int
		require.NoError(t, l.Reader().QueryRow(`SELECT count(*) FROM intent WHERE state = 0`).Scan(&live))
		require.Zero(t, live)
	})
}

func total(m map[string]int) (n int) {
	for _, c := range m {
		n += c
	}
	return n
}

// runAndKill starts a child and kills it when it has accepted enough and is at work.
func runAndKill(t *testing.T, url string, enough int, accepted, ended map[string]bool) (begun int, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "accepted":
			accepted[rest] = true
			n++
		case "begun":
			begun++
		case "ended":
			ended[rest] = true
		default:
			err = errors.New(lines.Text())
		}
		if n >= enough && begun > 10 {
			_ = cmd.Process.Kill() // and read what it said before
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed")
	return begun, err
}
