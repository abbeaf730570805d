package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

// noRoute stands for the route in the log line of a request that found none.
const noRoute = "none"

// NoRoute answers requests that no route takes: 404 as a problem detail, and one line in the log. It is for every path
// of a server that no other handler has.
func NoRoute(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuseRoute(w, r, log, problem(http.StatusNotFound, "there is no such route"))
	})
}

// noMethod names the methods that the route does take (RFC 9110, section 15.5.6).
func noMethod(routes chi.Routes, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		refuseRoute(w, r, log, problem(http.StatusMethodNotAllowed, "the route does not take this method"))
	}
}

// refuseRoute writes the same line as endpoints do. The caller is unknown: nobody was asked for a token. What the
// request said is quoted and cut short.
func refuseRoute(w http.ResponseWriter, r *http.Request, log *slog.Logger, p *Problem) {
	start := time.Now()
	respond(w, p)
	log.LogAttrs(r.Context(), slog.LevelWarn, "api", slog.String("route", noRoute), slog.String("caller", ""), slog.Int("status", p.Status),
		slog.Duration("took", time.Since(start)), slog.String("err", fmt.Sprintf("%.16q %.64q: %s", r.Method, r.URL.Path, p.Detail)))
}
