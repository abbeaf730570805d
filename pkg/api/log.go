package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Log guards the reading of the transparency log: it takes a token with the role auditor, unless the log is public. Those who
// read much, a file at a time, leave a line for what is refused and nothing for the rest.
func Log(tokens []Token, public bool, serve http.Handler, log *slog.Logger) http.Handler {
	if public {
		return serve
	}
	known := newCallers(tokens)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		who, err := known.identify(r.Header)
		if err == nil && !who.may(RoleAuditor) {
			err = problem(http.StatusForbidden, "the token of %s lacks the role %s", who.name, RoleAuditor)
		}
		if err == nil {
			serve.ServeHTTP(w, r)
			return
		}
		p := problemOf(err)
		respond(w, p)
		log.LogAttrs(r.Context(), slog.LevelWarn, "api", slog.String("route", "/log/"), slog.String("caller", who.name), slog.Int("status", p.Status),
			slog.Duration("took", time.Since(start)), slog.String("err", fmt.Sprintf("%.16q %.64q: %s", r.Method, r.URL.Path, p.Detail)))
	})
}
