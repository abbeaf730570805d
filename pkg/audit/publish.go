package audit

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

// publishAll keeps the checkpoint that monitors read at most a second behind the log, and publishes the last one at the
// end. While witnesses fail, it asks them less and less often.
func (l *Log) publishAll(ctx context.Context) {
	defer close(l.ended)
	pause := l.options.every
	for {
		ended := false
		select {
		case <-l.ending:
			ended = true
		case <-time.After(pause):
		}
		switch err := l.publishNow(ctx); {
		case err == nil && pause > l.options.every:
			l.log.InfoContext(ctx, "the checkpoint of the log is published again", slog.String("origin", l.config.Origin))
			pause = l.options.every
		case err != nil:
			l.metrics.failed("publish")
			l.log.ErrorContext(ctx, "the checkpoint of the log was not published", slog.String("origin", l.config.Origin), slog.Any("error", err))
			pause = min(2*pause, time.Minute)
		}
		if ended {
			return
		}
	}
}

// publishNow publishes a checkpoint over all that is in the log, unless that has been done: signed by us, countersigned by
// witnesses, durable.
func (l *Log) publishNow(ctx context.Context) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return err
	}
	now, err := l.published()
	if err != nil {
		return err
	}
	if now.root != nil && now.size == size && (size == 0 || l.witnessed([]byte(now.text))) {
		return nil
	}
	root, err := l.tree(size).root(ctx)
	if err != nil {
		return err
	}
	if _, err := l.guard.sign(ctx, size, root); err != nil {
		return err
	}
	text, err := l.publish(ctx, size, root) // has the guard's signature again, and asks the witnesses
	if err != nil {
		return err
	}
	if err := l.replaceCheckpoint(text); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	l.metrics.publishedSize.Set(float64(size))
	l.guard.at("published")
	return nil
}

// replaceCheckpoint is atomic, and durable when it returns.
func (l *Log) replaceCheckpoint(text []byte) error {
	return replaceFile(filepath.Join(l.config.Dir, layout.CheckpointPath), filepath.Join(l.config.Dir, privateDir, "checkpoint.new"), text)
}
