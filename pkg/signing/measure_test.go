package signing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// uses is how often the token has signed.
func (r *rig) uses() int {
	r.t.Helper()
	return int(sum(r.t, r.hsm, "hallmark_hsm_sign_seconds"))
}

// intents counts the ledger's intents by state: live, sealed, abandoned.
func (r *rig) intents() (n [3]int) {
	r.t.Helper()
	rows, err := r.ledger.Reader().QueryContext(context.Background(), "SELECT state, count(*) FROM intent GROUP BY state")
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, rows.Close()) }()
	for rows.Next() {
		var state, count int
		require.NoError(r.t, rows.Scan(&state, &count))
		n[state] = count
	}
	require.NoError(r.t, rows.Err())
	return n
}

// sum adds up a counter's values, or a histogram's counts, over all labels.
func sum(t *testing.T, from prometheus.Gatherer, name string) (total float64) {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				total += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

// codes are the reason codes of an outcome.
func codes(o ledger.Outcome) []reason.Code {
	var list []reason.Code
	for _, r := range o.Reasons {
		list = append(list, r.Code)
	}
	return list
}

// commits lets a test fail the ledger's commits.
type commits struct {
	mu sync.Mutex
	on func(ledger.CommitPhase) error
}

func (c *commits) hook(p ledger.CommitPhase) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on == nil {
		return nil
	}
	return c.on(p)
}

func (c *commits) set(on func(ledger.CommitPhase) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

// lines keeps a log of JSON lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all(t *testing.T) (list []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.buf.Bytes()) {
		m := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &m), "%s", line)
		list = append(list, m)
	}
	return list
}
