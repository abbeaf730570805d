// Package artifactory is a stand-in for a JFrog platform: strict, small, made for tests and the sandbox. It keeps the
// promises that JFrog documents and refuses what it does not implement with 501 and a message, so that a client can never
// pass here by luck. What JFrog leaves undocumented is a switch in Quirks. Files live on disk under their digest,
// everything else in memory: a stopped server forgets. Users import it as "standin".
//
// What stands: files, properties, copy and move, AQL on items; local, federated, virtual and remote repositories;
// build-info and build promotion; the registry API on Docker's and OCI's terms with Artifactory's layout, referrers and
// promotion; release bundles v2 with promotions; evidence with trusted keys and its search; webhooks of every domain.
// What is refused: folder listings by GET, conditional and exploded deploys, multipart uploads, mandatory properties, AQL
// other than items.find or on virtual and remote repositories, build append, rename and retention, release bundles of
// packages, their drafts and distribution, evidence about packages, GraphQL beyond evidence of one item, custom webhooks
// and proxies, users but for reading one, groups, permissions, access tokens, workers, replication and Xray.
package artifactory

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what a server starts with. Dir and at least one repository are required.
type Config struct {
	Dir          string              // where files are kept; created when missing, not emptied at Close
	BaseURL      string              // how clients reach the platform, without /artifactory; "" takes the address of Start
	Version      string              // reported product version, default "7.77.12": below the versions with multipart upload
	Repositories []Repository        // members before the virtual repositories that list them
	Tokens       []Token             // who may do what; requests without a known token get 401
	Users        []User              // who there is; a token may be of a user that is not
	Environments map[string][]string // name of an environment, e.g. PROD, to the repositories it has
	ServiceDelay time.Duration       // how long services take for what a caller does not wait for
	Quirks       Quirks              // answers to questions that JFrog's documents leave open
	Webhooks     WebhookTiming       // delivery of events
	KeepRequests int                 // length of the request log, default 4096
	Now          func() time.Time    // the clock for times of items, services and answers, default time.Now
}

// Validate reports what is missing or impossible.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("stand-in: Dir is required")
	}
	if len(c.Repositories) == 0 {
		return errors.New("stand-in: at least one repository is required")
	}
	return errors.Join(c.Quirks.Validate(), c.Webhooks.validate())
}

// Server is one stand-in. All methods are safe for concurrent use.
type Server struct {
	cfg     Config
	quirks  atomic.Pointer[Quirks]
	blobs   *blobs
	tokens  tokens
	log     *requestLog
	faults  faults
	hooks   *subscriptions
	sender  *sender
	out     outbox
	aqlSlot chan struct{}
	uploads uploads
	routes  []route

	mu           sync.RWMutex // guards the item trees and what services know
	repos        map[string]*repository
	builds       map[buildKey][]*build // runs by their start
	bundles      map[bundleKey]*bundle
	evidence     map[string][]*evidence // by subject, repo/path
	users        map[string]User
	trusted      []*trustedKey
	lifecycleKey *ecdsa.PrivateKey

	interrupt atomic.Pointer[func(from, to string) error]

	jobs sync.WaitGroup // what services do while nobody waits
	base atomic.Pointer[string]
	http *http.Server
	done chan struct{}
}

// New makes a server that does not listen yet; use Handler or Start.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Version == "" {
		cfg.Version = "7.77.12"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KeepRequests == 0 {
		cfg.KeepRequests = 4096
	}
	store, err := newBlobs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, blobs: store, log: newRequestLog(cfg.KeepRequests), repos: map[string]*repository{}, builds: map[buildKey][]*build{}, bundles: map[bundleKey]*bundle{}, evidence: map[string][]*evidence{}, users: map[string]User{}}
	s.uploads.under = map[string]*upload{}
	s.base.Store(&cfg.BaseURL)
	if err := s.SetQuirks(cfg.Quirks); err != nil {
		return nil, err
	}
	for _, r := range cfg.Repositories {
		if err := s.AddRepository(r); err != nil {
			return nil, err
		}
	}
	for _, u := range cfg.Users {
		s.SetUser(u)
	}
	for _, t := range cfg.Tokens {
		if err := s.AddToken(t); err != nil {
			return nil, err
		}
	}
	s.aqlSlot = make(chan struct{}, aqlParallel)
	s.hooks = &subscriptions{byKey: map[string]Subscription{}}
	s.sender = newSender(cfg.Webhooks, func() bool { return s.Quirks().PrivateTargets == "refuse" })
	s.routes = s.table()
	return s, nil
}

// Start listens on addr ("127.0.0.1:0" for a free port) and serves until Close.
func (s *Server) Start(addr string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("stand-in: listening: %w", err)
	}
	if s.URL() == "" {
		base := "http://" + ln.Addr().String()
		s.base.Store(&base)
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.http.Serve(ln) // always ErrServerClosed after Close
	}()
	return nil
}

// URL is the platform's base URL, without /artifactory and without a trailing slash; "" before Start unless configured.
func (s *Server) URL() string { return *s.base.Load() }

// Handler serves the whole platform: /artifactory and /event.
func (s *Server) Handler() http.Handler { return s }

// Close stops listening, cuts open connections and gives up pending webhook deliveries.
func (s *Server) Close() error {
	var err error
	if s.http != nil {
		err = s.http.Close()
		<-s.done
	}
	s.sender.close()
	s.jobs.Wait()
	return errors.Join(err, s.blobs.pack.Close())
}

// WaitDelivered returns when no webhook delivery is pending, tries and pauses included, or with the context's error.
func (s *Server) WaitDelivered(ctx context.Context) error { return s.sender.wait(ctx) }
