package artifactory

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jfrog/jfrog-client-go/utils/log"
)

// routed guards jfrog-client-go's process-wide logger, which has no lock of its own.
var routed sync.Once

// routeLibraryLog sends what jfrog-client-go logs to a slog logger, all of it at debug: this package reports failures
// itself, with the call's context.
func routeLibraryLog(to *slog.Logger) {
	routed.Do(func() { log.SetLogger(libraryLog{to: to.With(slog.String("from", "jfrog-client-go"))}) })
}

// libraryLog implements the library's log interface.
type libraryLog struct{ to *slog.Logger }

var _ log.Log = libraryLog{}

func (l libraryLog) Verbose(a ...any) { l.write(a) }
func (l libraryLog) Debug(a ...any)   { l.write(a) }
func (l libraryLog) Info(a ...any)    { l.write(a) }
func (l libraryLog) Warn(a ...any)    { l.write(a) }
func (l libraryLog) Error(a ...any)   { l.write(a) }
func (l libraryLog) Output(a ...any)  { l.write(a) }

// GetLogLevel implements log.Log.
func (l libraryLog) GetLogLevel() log.LevelType {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		return log.DEBUG
	}
	return log.ERROR
}

func (l libraryLog) write(a []any) {
	ctx := context.Background() // the library's interface carries none
	if l.to.Enabled(ctx, slog.LevelDebug) {
		l.to.DebugContext(ctx, "library message", slog.String("text", withoutQueries(fmt.Sprint(a...))))
	}
}

// withoutQueries cuts every URL query out of a text: a redirect to an object store carries a signature there.
func withoutQueries(s string) string {
	var b strings.Builder
	for {
		head, tail, ok := strings.Cut(s, "?")
		b.WriteString(head)
		if !ok {
			return b.String()
		}
		b.WriteString("?…")
		if i := strings.IndexAny(tail, " \t\r\n\"'"); i >= 0 {
			s = tail[i:]
		} else {
			return b.String()
		}
	}
}
