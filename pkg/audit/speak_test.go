package audit

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpoken(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		level slog.Level
		text  string
	}{
		"I1122 09:52:03.513364   31540 files.go:496] Initializing directory [x] y\n": {slog.LevelDebug, "Initializing directory [x] y"},
		"W1122 09:52:03.514025   31540 append_lifecycle.go:732] slow\n":              {slog.LevelWarn, "slow"},
		"E1122 09:52:03.514025   31540 files.go:1] disk full\n":                      {slog.LevelWarn, "disk full"},
		"no header": {slog.LevelDebug, "no header"},
		"":          {slog.LevelDebug, ""},
	} {
		level, text := spoken([]byte(line))
		require.Equal(t, want.level, level, line)
		require.Equal(t, want.text, text)
	}
}
