package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
)

var (
	// ErrLocked means that another process writes to the directory.
	ErrLocked = errors.New("the log directory is in use")
	// ErrForeign means that the directory holds the log of another origin, or of another key.
	ErrForeign = errors.New("the directory holds another log")
	// ErrRolledBack means that the log is smaller than what was signed: an older copy of it was put back, or it is gone.
	ErrRolledBack = errors.New("the log is older than its last checkpoint")
	// ErrForked means that the log is not the one that was signed: its leaves were changed.
	ErrForked = errors.New("the log has another history than its last checkpoint")
	// ErrUnconfirmed means that a leaf may or may not be in the log, now or soon. Adding it again may have it there twice.
	ErrUnconfirmed = errors.New("the leaf may or may not be in the log")
	// ErrClosed means that the log was closed; the leaf is not in it.
	ErrClosed = errors.New("the log is closed")
)

// Unproven means that a leaf is in the log for good, but that no proof of it can be given now. Prove may succeed later.
type Unproven struct {
	Index uint64
	Err   error
}

func (u *Unproven) Error() string {
	return fmt.Sprintf("the leaf is in the log at index %d, but there is no proof of it: %v", u.Index, u.Err)
}

func (u *Unproven) Unwrap() error { return u.Err }

// Config describes the log of one replica.
type Config struct {
	Dir       string          `yaml:"dir" required:"true" doc:"Directory of the log. It is made when it does not exist. Only one process may write to it; keep it on a local disk. A copy that is put back is refused when its last checkpoint is remembered: by the database, which therefore is not put back together with it, and by memory."`
	Origin    string          `yaml:"origin" required:"true" doc:"Name of the log: the host name under which the trusted root lists it. It stands in every checkpoint and never changes; every replica has its own."`
	Memory    string          `yaml:"memory" doc:"File that remembers the log's last checkpoint beside the database, on another volume than both, and outside of every backup: with it, putting back the database together with an older copy of the log is found out. Its directory must be there. For a log that exists already make an empty file first."`
	Witnesses []WitnessConfig `yaml:"witnesses" doc:"Witnesses that countersign the published checkpoint (C2SP tlog-witness)."`
	Quorum    int             `yaml:"quorum" doc:"How many of the witnesses have to countersign before a checkpoint is published; 0: all of them."`
}

// Options are the surroundings of a Log.
type Options struct {
	Log        *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are not exposed
	Client     *http.Client          // to reach witnesses; nil: http.DefaultClient

	at    func(point string) // where tests end the process
	every time.Duration      // how often a checkpoint is published; 0: publishEvery
}

// How Tessera works for us. It collects leaves for batchAge; the writer hands over together what waits, so that there is nothing
// to wait for. It never publishes by itself: we do, and see what goes wrong.
const (
	batchAge      = 200 * time.Microsecond
	batchSize     = 512
	publishEvery  = time.Second
	never         = 10 * 365 * 24 * time.Hour
	collectEvery  = 5 * time.Second
	queuedLeaves  = 1024
	maxPatience   = 50 * time.Millisecond
	comingBack    = time.Millisecond
	witnessWithin = 10 * time.Second
)

// Log is a transparency log in a directory, open for writing. It is safe for concurrent use.
type Log struct {
	config  Config
	options Options
	log     *slog.Logger
	metrics *metrics
	guard   *guard
	file    *FileMemory  // nil: none
	release func() error // the lock

	stop       context.CancelFunc // ends Tessera's goroutines
	appender   *tessera.Appender
	reader     tessera.LogReader
	publish    func(ctx context.Context, size uint64, root []byte) ([]byte, error)
	publishing sync.Mutex // held while a checkpoint is published
	witnessed  func(checkpoint []byte) bool

	mu     sync.RWMutex // held for reading while a leaf enters the queue
	closed bool
	queue  chan *pending
	inside atomic.Int64 // callers of Append and Add
	peak   atomic.Int64 // the most of them since the last batch
	proofs *unproven
	adding sync.WaitGroup // the writer and the prover
	ending chan struct{}  // closed: the publisher has to end
	ended  chan struct{}  // closed: it has
	once   sync.Once
	err    error // of Close
}

// Open opens the log in its directory, or begins it there. It refuses a directory that another process writes to
// (ErrLocked), that belongs to another log (ErrForeign), that is behind what memory or the directory's own checkpoint says was
// signed (ErrRolledBack), or that contradicts it (ErrForked); nothing was changed then. ctx bounds the opening alone. Close it.
func Open(ctx context.Context, c Config, key Signer, memory Memory, o Options) (_ *Log, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.every == 0 {
		o.every = publishEvery
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening the log %s in %s: %w", c.Origin, c.Dir, err)
		}
	}()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(o.Registerer)
	var file *FileMemory
	if c.Memory != "" {
		file = NewFileMemory(c.Memory)
		memory = both{memory, file}
	}
	g, err := newGuard(c.Origin, key, memory, m)
	if err != nil {
		return nil, err
	}
	if o.at != nil {
		g.at = o.at
	}
	l := &Log{
		config: c, options: o, log: o.Log, metrics: m, guard: g, file: file,
		queue: make(chan *pending, queuedLeaves), proofs: newUnproven(), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	l.adding.Go(l.write)
	l.adding.Go(l.proveAll)
	go l.publishAll(context.WithoutCancel(ctx))
	return l, nil
}

func (l *Log) open(ctx context.Context) (err error) {
	if _, err := l.lastSigned(ctx); err != nil {
		return err // before anything is written
	}
	if l.release, err = lock(l.config.Dir); err != nil {
		return err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	defer func() {
		if err != nil {
			stop()
			err = errors.Join(err, l.release())
		}
	}()
	last, err := l.lastSigned(ctx) // again, now that nobody else writes
	if err != nil {
		return err
	}
	if err := l.start(life); err != nil {
		return err
	}
	return l.agree(ctx, last)
}

// start has Tessera open the directory. A new log gets a checkpoint over no leaves here.
func (l *Log) start(life context.Context) error {
	witnesses, err := l.config.group()
	if err != nil {
		return err
	}
	client := bounded(l.options.Client)
	driver, err := posix.New(life, posix.Config{Path: l.config.Dir, HTTPClient: client})
	if err != nil {
		return err
	}
	options := func() *tessera.AppendOptions {
		return tessera.NewAppendOptions().
			WithCheckpointSigner(asNoteSigner{l.guard, life}).
			WithBatching(batchSize, batchAge).
			WithCheckpointInterval(never).WithCheckpointRepublishInterval(0).
			WithGarbageCollectionInterval(collectEvery)
	}
	if err := writable(l.config.Dir); err != nil {
		return err
	}
	l.appender, _, l.reader, err = tessera.NewAppender(life, driver, options())
	if err != nil {
		return err
	}
	// A log opens whether or not witnesses answer: Tessera itself knows of none.
	l.publish = options().WithWitnesses(witnesses, &tessera.WitnessOptions{Timeout: witnessWithin}).CheckpointPublisher(l.reader, client)
	l.witnessed = witnesses.Satisfied
	l.guard.tree = l.tree
	return nil
}

func (l *Log) tree(size uint64) *nodes { return newNodes(size, l.reader.ReadTile) }

// Origin is the log's name.
func (l *Log) Origin() string { return l.config.Origin }

// ID is the log's name in a trusted root: 32 bytes.
func (l *Log) ID() []byte { return l.guard.logID }

// Size is how many leaves are in the log, durable, whether or not a checkpoint over them was signed yet.
func (l *Log) Size(ctx context.Context) (uint64, error) { return l.reader.IntegratedSize(ctx) }

// Close ends the log: leaves that were handed over are finished, the last checkpoint is published, and the directory is free
// for another process. Leaves that come later are refused with ErrClosed.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		close(l.queue)
		l.mu.Unlock()
		l.adding.Wait()
		close(l.ending)
		<-l.ended
		l.stop()
		l.err = l.release()
	})
	return l.err
}

// likeRekorV1 is the form of origin that clients take for a log of Rekor v1.
var likeRekorV1 = regexp.MustCompile(`.* - [0-9]+$`)

// Validate reports everything that is wrong with the configuration, without touching the directory.
func (c Config) Validate() error {
	var errs checks
	if c.Dir == "" {
		errs.say("dir is missing")
	}
	u, err := url.Parse("https://" + c.Origin)
	if err != nil || c.Origin == "" || u.Hostname() != c.Origin || strings.ContainsAny(c.Origin, " +") || likeRekorV1.MatchString(c.Origin) {
		errs.say("origin is %q, it must be a host name without scheme, port and path: clients compare it with that of the log's address in the trusted root", c.Origin)
	}
	if _, err := c.group(); err != nil {
		errs.say("%w", err)
	}
	return errs.err()
}
