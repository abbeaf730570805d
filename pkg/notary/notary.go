// Package notary attests what keys did, so that nobody has to take our word for it. Around each use of a key it puts what
// belongs there: the intent in the log before, a certificate of the key, a time-stamp and a log entry for each signature,
// and in the end the outcome in the log.
//
// It brings the log (pkg/audit), the authorities (pkg/trust) and the books (pkg/ledger) together, and reaches no artifact
// key: whoever signs hands it what was signed. A nil *Notary attests nothing: signatures are bare then.
package notary

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// ErrLog means that the log cannot be written, or its state not be told. Nothing is signed, or what was signed does not leave
// the process, and another try may succeed. The other two things that may be lacking are trust.ErrCertificateUnavailable and
// trust.ErrTimeUnavailable.
var ErrLog = errors.New("the log cannot be written")

// Log is the transparency log of this replica; *audit.Log is one. It is safe for concurrent use.
type Log interface {
	Origin() string
	// Size is how many leaves are integrated.
	Size(ctx context.Context) (uint64, error)
	// Add returns when the leaf is integrated and durable.
	Add(ctx context.Context, leaf []byte) (index uint64, err error)
	// Append is Add, with the proof of it.
	Append(ctx context.Context, leaf []byte) (audit.Proof, error)
	// Prove proves a leaf that was added before.
	Prove(ctx context.Context, index uint64, leaf []byte) (audit.Proof, error)
	// Leaves hands over every leaf from an index on, in order, until an error.
	Leaves(ctx context.Context, from uint64, each func(index uint64, leaf []byte) error) error
}

// Config says who the notary is.
type Config struct {
	Replica string // whose log it is
	Version string // of Hallmark
	Keys    []hsm.Public
	// Configured are certificates that are not issued here, but are believed: of the authorities. They stand in the log, too.
	Configured []*x509.Certificate
	// Pause is between attempts to tell the log what it could not be told; 0 is 5 s.
	Pause time.Duration
}

// Parts are what a notary is made of. The first four are required.
type Parts struct {
	Records   Log
	Authority *trust.Authority
	Clock     trust.Clock
	Ledger    *ledger.Ledger
	// Identity makes an identity known to verifiers, for ever, before the first certificate is issued for it; nil: somebody
	// else sees to that.
	Identity func(ctx context.Context, identity trust.ExportedIdentity) error

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Notary is safe for concurrent use.
type Notary struct {
	Parts
	config       Config
	metrics      *metrics
	certificates *certificates
	clock        health
	proofs       health // of the log

	mu     sync.Mutex
	flight map[int64]*Use // whose intents are announced, or about to be, and have not ended, by the intent's number
	owed   map[int64]*Use // that have ended without the log being told

	telling map[int64]bool // of which somebody is about to tell the log

	begun      uint64     // the leaf that tells of this process's start; what stands before it others wrote
	start      []byte     // that leaf
	recovering sync.Mutex // one Recover at a time

	wake chan struct{} // something is owed
	stop context.CancelFunc
	done chan struct{}
}

// New puts the parts together. Start it before it is used.
func New(c Config, p Parts) (*Notary, error) {
	if p.Records == nil || p.Authority == nil || p.Clock == nil || p.Ledger == nil {
		return nil, errors.New("making the notary: a part is missing")
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if c.Pause == 0 {
		c.Pause = pause
	}
	n := &Notary{Parts: p, config: c, flight: map[int64]*Use{}, owed: map[int64]*Use{}, telling: map[int64]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	n.metrics = newMetrics(p.Registerer, n.debts)
	n.certificates = newCertificates(n.issue)
	n.clock.probe, n.proofs.probe = n.probeClock, n.probeProofs
	return n, nil
}

// Start tells the log that a process has opened its keys, which certificates it believes, and what became of intents that an
// earlier process left behind. It fails when the log cannot be written: then nothing could be signed. Close it.
func (n *Notary) Start(ctx context.Context) error {
	start := audit.Start{Replica: n.config.Replica, Version: n.config.Version, At: time.Now()}
	for _, k := range n.config.Keys {
		start.Keys = append(start.Keys, audit.OpenedKey{Name: k.Name, SPKI: k.SPKI, Use: string(k.Use)})
	}
	var err error
	if n.start, err = start.Marshal(); err != nil {
		return fmt.Errorf("starting the notary: %w", err)
	}
	if n.begun, err = n.add(ctx, "start", start); err != nil {
		return fmt.Errorf("starting the notary: %w", err)
	}
	for _, c := range n.config.Configured {
		if err := n.configured(ctx, c); err != nil {
			return fmt.Errorf("starting the notary: %w", err)
		}
	}
	if err := n.Recover(ctx); err != nil {
		return fmt.Errorf("starting the notary: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = cancel
	go n.run(running)
	return nil
}

// Close stops what goes on in the background. What is owed to the log is told by the next process.
func (n *Notary) Close() {
	if n != nil && n.stop != nil {
		n.stop()
		<-n.done
	}
}

// configured logs a certificate once in the life of a log.
func (n *Notary) configured(ctx context.Context, c *x509.Certificate) error {
	digest := digestOf(c.Raw)
	known, err := n.Ledger.HasCertificate(ctx, n.Records.Origin(), digest)
	if err != nil || known {
		return err
	}
	index, err := n.add(ctx, "certificate", audit.Certificate{DER: c.Raw})
	if err != nil {
		return err
	}
	return n.Ledger.CertificateLogged(ctx, n.Records.Origin(), digest, index)
}

// add writes a leaf that needs no proof. Errors wrap ErrLog, unless the leaf itself is at fault.
func (n *Notary) add(ctx context.Context, op string, leaf audit.Leaf) (uint64, error) {
	body, err := leaf.Marshal()
	if err != nil {
		return 0, fmt.Errorf("making a leaf of the log: %w", err)
	}
	defer n.metrics.time(op)(&err)
	index, err := n.Records.Add(ctx, body)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrLog, err)
	}
	return index, err
}
