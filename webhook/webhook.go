// Package webhook is the HTTP face towards JFrog. It takes an event as a hint where to look: it proves who sent it,
// makes it durable and answers. It never asks Artifactory anything and believes no payload; what is signed is decided
// later, from what Artifactory itself reports.
//
// A new event domain is one file with its table of types, one line in domains, and a payload with its golden file per
// type.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// DefaultMaxBody is generous: events are below 4 KiB, and JFrog's own limit for custom payloads is 50 KiB.
const DefaultMaxBody = 1 << 20

// DefaultAcceptTimeout leaves room below the 30 s that JFrog waits for an answer.
const DefaultAcceptTimeout = 10 * time.Second

// Instance is one JFrog deployment that may send events.
type Instance struct {
	// Secrets are the active secrets, at least one; several while a secret is being replaced. No secret is empty.
	Secrets [][]byte
	// Plain takes the secret itself in the header instead of a MAC over the body. It proves nothing about the body to
	// those who can read the wire; it exists for subscriptions that cannot sign.
	Plain bool
}

// Config is what the receiver must know.
type Config struct {
	Instances     map[string]Instance // by the name that stands in the URL
	MaxBody       int64               // bytes; 0 means DefaultMaxBody
	AcceptTimeout time.Duration       // bound on making one event durable; 0 means DefaultAcceptTimeout
}

var instanceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	if len(c.Instances) == 0 {
		errs = append(errs, errors.New("no instance is configured"))
	}
	for name, i := range c.Instances {
		if !instanceName.MatchString(name) {
			errs = append(errs, fmt.Errorf("instance name %q cannot stand in a URL; use letters, digits, '.', '-' and '_'", name))
		}
		if len(i.Secrets) == 0 {
			errs = append(errs, fmt.Errorf("instance %q has no webhook secret; anybody could send it events", name))
		}
		for n, s := range i.Secrets {
			if len(s) == 0 {
				errs = append(errs, fmt.Errorf("instance %q: webhook secret %d is empty", name, n+1))
			}
		}
	}
	if c.MaxBody < 0 || c.AcceptTimeout < 0 {
		errs = append(errs, errors.New("limits must not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("validating webhook configuration: %w", err)
	}
	return nil
}

// Deps are the parts that the receiver stands on. All are needed.
type Deps struct {
	// Accept makes an event durable, with the work that it asks for, before it returns nil. Any error means that
	// nothing was stored, as far as it knows, and that the sender should try again. Called by many goroutines.
	Accept func(ctx context.Context, e ledger.Event) error
	// Covers reports whether any signing policy could match; event is "domain/type", and without a repository it is
	// asked whether that could be anywhere. Called by many goroutines.
	Covers func(instance, repo, path, event string) bool

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// New returns the handler of POST /webhook/{instance}; anything else under /webhook is refused.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Accept == nil || deps.Covers == nil || deps.Log == nil || deps.Registerer == nil {
		return nil, errors.New("making webhook handler: a dependency is missing")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.AcceptTimeout == 0 {
		cfg.AcceptTimeout = DefaultAcceptTimeout
	}
	rc := &receiver{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer, cfg.Instances)}
	r := chi.NewRouter()
	r.Post("/webhook/{instance}", rc.serve)
	r.NotFound(rc.refuse(noRoute))
	r.MethodNotAllowed(rc.refuse(wrongMethod))
	return r, nil
}
