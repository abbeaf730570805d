package promotion_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Two replicas promote different images to one tag: one is done, the other refuses to overwrite it.
func TestReplicasPromoteOneAfterTheOther(t *testing.T) {
	t.Parallel()
	url := ledgertest.URL(t, ledger.Postgres)
	first := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "first"})
	var asked atomic.Int32
	polled, through := make(chan struct{}), make(chan struct{})
	second := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "second", CommitHook: func(phase ledger.CommitPhase) error {
		if phase == ledger.AfterCommit && asked.Add(1) == 2 {
			close(polled)
		}
		return nil
	}})
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	p.image("1.0")
	p.image("2.0")
	p.service.Ledger = first
	p.ledger = first
	other := &promotion.Service{
		Instances: p.clients(promoter), Policies: p.policies.Load, Ledger: second, Log: p.service.Log, Keys: p.service.Keys,
		Inspect: p.service.Inspect, Gate: p.service.Gate, Follow: p.service.Follow, Facts: p.service.Facts,
	}
	require.NoError(t, other.Init(prometheus.NewRegistry()))
	one, two := p.ask(":1.0", true, false), p.ask(":2.0", true, false)
	one.TargetTag, two.TargetTag = "prod", "prod"
	var seen atomic.Bool
	two.Progress = func(now promotion.Progress) {
		if now.Phase == promotion.PhaseSelecting && seen.CompareAndSwap(false, true) {
			close(through)
		}
	}
	reports, errs := make(chan promotion.Report, 1), make(chan error, 1)
	p.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/docker/**", Do: func(*http.Request) {
		go func() {
			report, err := other.Promote(t.Context(), two)
			reports <- report
			errs <- err
		}()
		select {
		case <-polled: // it asked twice, and waits
		case <-through:
			t.Error("the second replica did not wait")
		}
	}})
	report := p.promote(one)
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	require.NoError(t, <-errs)
	refused := <-reports
	require.Equal(t, promotion.StateRefused, refused.State, "%+v", refused)
	require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(refused))
}
