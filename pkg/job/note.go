package job

import (
	"context"
	"log/slog"
)

type notesKey struct{}

// notes is what work wants to say in its log line.
type notes struct{ attrs []slog.Attr }

// Note adds to the one log line that is written when the work that ctx belongs to ends. It is for the goroutine that
// works; outside of work it does nothing.
func Note(ctx context.Context, attrs ...slog.Attr) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.attrs = append(n.attrs, attrs...)
	}
}
