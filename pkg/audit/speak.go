package audit

import (
	"bytes"
	"context"
	"log/slog"

	"k8s.io/klog/v2"
)

// SpeakThrough has Tessera, which would write lines of its own to stderr, speak through the process's log: its warnings and
// errors as warnings, for what they mean to a log of ours is told by whoever uses it, and all else for debugging. It counts
// for the whole process; call it once, before a log is opened.
func SpeakThrough(log *slog.Logger) {
	klog.SetSlogLogger(log.With(slog.String("from", "tessera")))
	klog.SetLoggerWithOptions(klog.Background(), klog.WriteKlogBuffer(func(line []byte) { // else warnings could not be told from the rest
		level, text := spoken(line)
		log.Log(context.Background(), level, "the log's library says", slog.String("from", "tessera"), slog.String("text", text))
	}))
}

// spoken takes a line apart: a letter for its severity, when and where it was written, "] ", and what it says.
func spoken(line []byte) (slog.Level, string) {
	line = bytes.TrimSpace(line)
	level := slog.LevelDebug
	if len(line) > 0 && bytes.IndexByte([]byte("WEF"), line[0]) >= 0 {
		level = slog.LevelWarn
	}
	if _, text, ok := bytes.Cut(line, []byte("] ")); ok {
		line = text
	}
	return level, string(line)
}
