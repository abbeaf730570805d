// Package artifactory is the edge to a JFrog Artifactory server: facts about items, their bytes as a stream, sidecar
// files, properties, and what an operator's check-up asks. All that is peculiar to Artifactory's REST interface lives
// here and nowhere else.
//
// Requests go through jfrog-client-go's HTTP client, its authentication and its retry loop, over a transport of our own
// that keeps connections alive, bounds how many requests run at once, waits as Retry-After asks but never longer than
// the caller's context, and takes the credentials off a request that leaves the configured host.
package artifactory

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

var _ artifact.Source = (*Client)(nil)

// Client talks to one Artifactory instance. It is safe for concurrent use and keeps no state about items: every answer
// about one is read afresh. What repositories are is remembered for minutes, see Repository.
type Client struct {
	name      string
	base      string // ends in /artifactory/
	retries   int
	tokenFile SecretFile
	semicolon string

	http    *http.Client
	wire    *transport
	log     *slog.Logger
	token   atomic.Pointer[string]
	literal atomic.Bool       // the server was seen to take %3B as part of a name
	buffers sync.Pool         // *[]byte for streaming
	query   chan struct{}     // holds an element while a query is under way
	refers  [64]chan struct{} // one for the manifests whose digest begins alike; holds an element while a signature is stored

	repositories memory
	users        users
}

// Options are what the client needs from its house.
type Options struct {
	Log        *slog.Logger          // required
	Registerer prometheus.Registerer // required; several clients may share one
	Token      []byte                // instead of the configured file, for a token that stands in none by itself
}

// New reads the token file and makes a client. It sends nothing; Ping does. The first client of a process also turns
// jfrog-client-go's process-wide logger to its own log, at level debug.
func New(cfg Config, opts Options) (*Client, error) {
	cfg = cfg.withDefaults()
	token := opts.Token
	if token != nil {
		cfg.Token.File = os.DevNull // nothing is read from it again when the server rejects the token
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("artifactory %q: %w", cfg.Name, err)
	}
	var err error
	if token == nil {
		if token, err = cfg.Token.Read(); err != nil {
			return nil, fmt.Errorf("artifactory %q: reading its token: %w", cfg.Name, err)
		}
	}
	base, err := cfg.base()
	if err != nil {
		return nil, fmt.Errorf("artifactory %q: %w", cfg.Name, err)
	}
	m, err := newMetrics(opts.Registerer, cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("artifactory %q: registering metrics: %w", cfg.Name, err)
	}
	log := opts.Log.With(slog.String("instance", cfg.Name))
	wire, err := newTransport(cfg, base, m, log)
	if err != nil {
		return nil, fmt.Errorf("artifactory %q: %w", cfg.Name, err)
	}
	routeLibraryLog(opts.Log)
	c := &Client{
		name:      cfg.Name,
		base:      base.String(),
		retries:   cfg.Retries,
		tokenFile: cfg.Token,
		semicolon: cfg.PathSemicolon,
		query:     make(chan struct{}, 1),
		http:      &http.Client{Transport: wire, CheckRedirect: wire.checkRedirect},
		wire:      wire,
		log:       log,
	}
	for i := range c.refers {
		c.refers[i] = make(chan struct{}, 1)
	}
	c.repositories.now = time.Now
	c.buffers.New = func() any { b := make([]byte, streamBuffer); return &b }
	text := string(bytes.TrimSpace(token))
	c.token.Store(&text)
	return c, nil
}

// Name is the instance's configured name.
func (c *Client) Name() string { return c.name }

// URL is the base of all requests, without the trailing slash.
func (c *Client) URL() string { return strings.TrimSuffix(c.base, "/") }

// platform is the base of JFrog's other services, which stand beside Artifactory. It ends in '/'.
func (c *Client) platform() string { return strings.TrimSuffix(c.base, "artifactory/") }

// Close drops idle connections. Calls under way are not touched.
func (c *Client) Close() { c.http.CloseIdleConnections() }
