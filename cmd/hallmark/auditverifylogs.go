package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// verifying is a verification under way, of one log or of those of several replicas.
type verifying struct {
	grace time.Duration
	asOf  time.Time // zero: now
	kept  []keptHead
	keys  []audit.Key // of all logs that are trusted
	logs  []*oneLog   // at least one
	with  *compared   // nil: the logs alone
}

type oneLog struct {
	reader *audit.Reader
	keys   []audit.Key
	report *audit.Report
}

// add opens the logs of other replicas. Which is whose their checkpoints tell.
func (v *verifying) add(flags *logFlags, places []string) error {
	if len(places) == 0 {
		return nil
	}
	keys, err := flags.allKeys()
	if err != nil {
		return err
	}
	for _, place := range places {
		r, err := flags.at(place)
		if err != nil {
			return fmt.Errorf("--other-log %s: %w", place, err)
		}
		v.logs = append(v.logs, &oneLog{reader: r, keys: keys})
	}
	return nil
}

func (v *verifying) close() {
	for _, l := range v.logs[1:] {
		_ = l.reader.Close()
	}
	v.with.close()
}

// verify replays every log, and then holds them against the others.
func (v *verifying) verify(cmd *cobra.Command) (*auditReport, error) {
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.clear()
	whole := true
	for _, l := range v.logs {
		replayed, err := v.replay(cmd.Context(), l, bar)
		if err != nil {
			return nil, err
		}
		whole = whole && replayed
	}
	if whole { // else nothing that a log says counts
		if err := v.distinct(); err != nil {
			return nil, err
		}
		if err := v.compare(cmd.Context(), bar); err != nil {
			return nil, err
		}
	}
	answer := &auditReport{Report: v.logs[0].report}
	for _, l := range v.logs[1:] {
		answer.Others = append(answer.Others, l.report)
	}
	if v.with != nil {
		answer.Recent = v.with.books.Recent()
	}
	answer.OK = answer.alarms() == 0
	return answer, nil
}

// replay reads a log's head and all of it. A checkpoint that does not count is an alarm, and false.
func (v *verifying) replay(ctx context.Context, l *oneLog, bar *progress) (bool, error) {
	how := audit.Replay{Grace: v.grace, AsOf: v.asOf}
	text, err := v.with.head(ctx, l.reader, l.keys, &how)
	if errors.Is(err, audit.ErrCheckpoint) {
		l.report = &audit.Report{Leaves: map[string]uint64{}, Checkpoint: string(text)}
		l.report.Add(badCheckpoint(err))
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, k := range v.kept {
		if k.origin == how.Head.Origin {
			how.Kept = append(how.Kept, k.Kept)
		}
	}
	how.Progress = logProgress(bar, how.Head.Size)
	done := v.with.follow(l.reader, &how)
	if l.report, err = l.reader.Replay(ctx, how); err == nil {
		done(l.report)
	}
	return err == nil, err
}

// distinct refuses what was named twice, and checkpoints of logs that were not named.
func (v *verifying) distinct() error {
	var origins []string
	for _, l := range v.logs {
		if slices.Contains(origins, l.report.Origin) {
			return fmt.Errorf("the log %s is named twice: %s", l.report.Origin, l.reader)
		}
		origins = append(origins, l.report.Origin)
	}
	for _, k := range v.kept {
		if !slices.Contains(origins, k.origin) {
			return fmt.Errorf("the kept checkpoint %s is of the log %s, which was not named", k.Where, k.origin)
		}
	}
	return nil
}

func (v *verifying) compare(ctx context.Context, bar *progress) error {
	if v.with == nil {
		return nil
	}
	asOf := v.asOf
	if asOf.IsZero() {
		asOf = time.Now()
	}
	grace := v.grace
	if grace == 0 {
		grace = audit.Grace
	}
	err := v.with.finish(ctx, asOf.Add(-grace), bar)
	v.logs[0].report.Join(v.with.books.Findings)
	return err
}
