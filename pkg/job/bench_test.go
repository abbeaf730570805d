package job_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func event(n int) ledger.Event {
	path := fmt.Sprintf("com/acme/app/1.%d/app-1.%d.tgz", n/50, n)
	return ledger.Event{
		Instance: "main", Domain: "artifact", Type: "deployed", Repo: "libs-staging-local", Path: path,
		SHA256: artifact.Digest(sha256.Sum256([]byte(path))).String(),
		Key:    artifact.Digest(sha256.Sum256([]byte("key" + path))).String(), ReceivedAt: time.Now(),
	}
}

// cpu is the processor time this process has used, user and system.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func intake(b *testing.B, q *job.Queue, events, callers int) (took []time.Duration) {
	took = make([]time.Duration, events)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= events {
					return
				}
				started := time.Now()
				if err := q.Accept(b.Context(), event(n)); err != nil {
					b.Errorf("event %d: %v", n, err)
					return
				}
				took[n] = time.Since(started)
			}
		})
	}
	wg.Wait()
	return took
}

func BenchmarkAccept(b *testing.B) {
	const events, callers = 10_000, 200
	for _, flush := range []time.Duration{0, time.Millisecond} {
		for _, d := range ledgertest.Dialects() {
			b.Run(fmt.Sprintf("%s/flush+%s", d, flush), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					hook := func(p ledger.CommitPhase) error {
						if p == ledger.BeforeCommit && flush > 0 {
							time.Sleep(flush) // what a slower disk would take
						}
						return nil
					}
					l := ledgertest.OpenConfig(b, ledger.Config{URL: ledgertest.URL(b, d), CommitHook: hook})
					q, err := job.New(l, job.Config{}, job.Options{}, func(context.Context, job.Work) error { return nil })
					require.NoError(b, err)
					b.StartTimer()
					before, started := cpu(b), time.Now()
					took := intake(b, q, events, callers)
					slices.Sort(took)
					b.ReportMetric(events/time.Since(started).Seconds(), "events/s")
					b.ReportMetric(float64((cpu(b)-before).Microseconds())/events, "cpu-us/event")
					b.ReportMetric(float64(took[events*99/100].Microseconds())/1000, "p99-ms")
				}
			})
		}
	}
}

// BenchmarkPipeline is everything the database does for one signed artifact: accept, fetch, begin, sealed, finish,
// complete.
func BenchmarkPipeline(b *testing.B) {
	const events = 10_000
	for _, d := range ledgertest.Dialects() {
		b.Run(string(d), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				l := ledgertest.Open(b, d)
				var done sync.WaitGroup
				done.Add(events)
				q, err := job.New(l, job.Config{}, job.Options{}, func(ctx context.Context, w job.Work) error {
					defer done.Done()
					return sign(ctx, l, w.Event)
				})
				require.NoError(b, err)
				require.NoError(b, q.Start(b.Context()))
				b.StartTimer()
				before, started := cpu(b), time.Now()
				intake(b, q, events, 50)
				done.Wait()
				require.NoError(b, q.Stop(context.Background()))
				b.ReportMetric(events/time.Since(started).Seconds(), "artifacts/s")
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/events, "cpu-us/artifact")
			}
		})
	}
}

// sign does with the ledger what the signing of one artifact does, without signing.
func sign(ctx context.Context, l *ledger.Ledger, e ledger.Event) error {
	subject, err := artifact.ParseDigest(e.SHA256)
	if err != nil {
		return err
	}
	if _, err := l.Signatures(ctx, subject); err != nil {
		return err
	}
	ref := artifact.Ref{Instance: e.Instance, Repo: e.Repo, Path: e.Path}
	key := artifact.Digest(sha256.Sum256([]byte("key")))
	in, err := l.Begin(ctx, ledger.Intent{
		GrantID: strconv.FormatInt(e.ID, 16), Ref: ref, Subject: subject, KeyName: "release-2026", KeySPKI: key, Formats: []string{"sigstore"},
		Policy: "release-binaries", Rule: "release.yaml:14 (release-binaries)", PolicySet: key, EventID: e.ID,
	})
	if err != nil {
		return err
	}
	sig := ledger.Signature{Subject: subject, KeyName: "release-2026", KeySPKI: key, Format: "sigstore", Content: make([]byte, 900)}
	if err := l.Sealed(ctx, in.ID, []ledger.Signature{sig}); err != nil {
		return err
	}
	return l.Finish(ctx, ledger.Outcome{
		Ref: ref, Subject: subject, State: ledger.Signed, Policy: "release-binaries", Rule: "release.yaml:14 (release-binaries)", PolicySet: key,
		EventID: e.ID, Keys: []string{"release-2026"}, Files: []string{ref.Name() + ".sigstore.json"}, ReceivedAt: e.ReceivedAt,
	})
}
