package job_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestNotesStandInTheLineOfTheirJob(t *testing.T) {
	t.Parallel()
	job.Note(t.Context(), slog.String("outside", "of work"))
	l := ledgertest.Open(t, ledger.SQLite)
	var log bytes.Buffer
	done := make(chan struct{}, 1)
	q, err := job.New(l, fast(), job.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))}, func(ctx context.Context, _ job.Work) error {
		job.Note(ctx, slog.String("stage", "record"))
		job.Note(ctx, slog.Int("files", 2))
		done <- struct{}{}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, q.Accept(t.Context(), event(1)))
	require.NoError(t, q.Start(t.Context()))
	<-done
	require.NoError(t, q.Stop(t.Context()))
	var line map[string]any
	require.NoError(t, json.Unmarshal(log.Bytes(), &line), "one line: %s", log.String())
	require.Equal(t, "record", line["stage"])
	require.InDelta(t, 2, line["files"], 0)
	require.Equal(t, "done", line["outcome"])
}
