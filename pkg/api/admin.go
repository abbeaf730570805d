package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout bounds one readiness check.
const checkTimeout = 2 * time.Second

// Check is one thing that must work before requests are welcome. Run returns nil when it does; it is called often, by
// many goroutines, and must not use up what it checks.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// readiness is the answer of /readyz. Causes stand in the log, not here: the port has no authentication.
type readiness struct {
	Ready  bool            `json:"ready"`
	Checks map[string]bool `json:"checks"`
}

// Admin returns the handler of the operators' own port: /metrics, /healthz (the process answers) and /readyz (every
// check passes). Anything else is refused with a problem detail and one line in the log. The port must not be reachable
// for callers of the API.
func Admin(g prometheus.Gatherer, checks []Check, log *slog.Logger) (http.Handler, error) {
	if g == nil || log == nil {
		return nil, errors.New("making admin handler: a dependency is missing")
	}
	for _, c := range checks {
		if c.Name == "" || c.Run == nil {
			return nil, fmt.Errorf("making admin handler: the readiness check %q is incomplete", c.Name)
		}
	}
	a := &admin{checks: checks, busy: make([]chan struct{}, len(checks)), log: log, last: make(map[string]string)}
	for i := range a.busy {
		a.busy[i] = make(chan struct{}, 1)
	}
	r := chi.NewRouter()
	r.NotFound(NoRoute(log).ServeHTTP)
	r.MethodNotAllowed(noMethod(r, log))
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		MaxRequestsInFlight: 4,
	}))
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		answerProbe(w, http.StatusOK, map[string]bool{"ok": true})
	})
	r.Get("/readyz", a.ready)
	return r, nil
}

type admin struct {
	checks []Check
	busy   []chan struct{} // holds one value while its check runs
	log    *slog.Logger

	mu   sync.Mutex        // held while last is read or written, never during a check
	last map[string]string // cause of the last failure by check; "" or absent while it passes
}

// ready runs all checks at once, so that one that hangs costs no more than its own time.
func (a *admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	errs := make([]error, len(a.checks))
	var wg sync.WaitGroup
	for i, c := range a.checks {
		wg.Go(func() { errs[i] = bounded(ctx, a.busy[i], c.Run) })
	}
	wg.Wait()

	answer := readiness{Ready: true, Checks: make(map[string]bool, len(a.checks))}
	for i, c := range a.checks {
		answer.Checks[c.Name] = errs[i] == nil
		answer.Ready = answer.Ready && errs[i] == nil
		a.report(ctx, c.Name, errs[i])
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	answerProbe(w, status, answer)
}

// bounded returns when the check does or when the time is up, even if the check ignores its context. A check that
// hangs is not started a second time.
func bounded(ctx context.Context, busy chan struct{}, run func(context.Context) error) error {
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return errors.New("an earlier run of the check still hangs")
	}
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		<-busy
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the check: %w", ctx.Err())
	}
}

// report logs changes only: probes come every few seconds.
func (a *admin) report(ctx context.Context, check string, err error) {
	cause := ""
	if err != nil {
		cause = err.Error()
	}
	a.mu.Lock()
	changed := a.last[check] != cause
	a.last[check] = cause
	a.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		a.log.WarnContext(ctx, "not ready", slog.String("check", check), slog.String("err", cause))
	default:
		a.log.InfoContext(ctx, "ready again", slog.String("check", check))
	}
}

func answerProbe(w http.ResponseWriter, status int, body any) {
	content, err := json.Marshal(body)
	if err != nil { // maps of booleans always encode
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(content, '\n'))
}
