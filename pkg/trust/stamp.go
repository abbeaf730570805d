package trust

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// DefaultTolerance is how far the time of a token may be from the clock of this machine.
const DefaultTolerance = 5 * time.Second

// DefaultAccuracy is what the built-in authority says of itself: tokens state whole seconds.
const DefaultAccuracy = time.Second

// DefaultPolicy is the policy that Sigstore's own time-stamping service states when nobody configures one.
var DefaultPolicy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}

// StampOptions are what both clocks may be told. The zero value is fine.
type StampOptions struct {
	Tolerance  time.Duration         // between a token's time and this machine's; 0 is DefaultTolerance
	Policy     asn1.ObjectIdentifier // that the built-in authority states; nil is DefaultPolicy
	After      time.Time             // known to have been: the built-in authority stamps nothing before it, but for a minute
	Registerer prometheus.Registerer // nil: no metrics
	Log        *slog.Logger          // nil: no log
}

func (o StampOptions) filled() (StampOptions, error) {
	if o.Tolerance == 0 {
		o.Tolerance = DefaultTolerance
	}
	if o.Tolerance < time.Second || o.Tolerance > time.Hour {
		return o, fmt.Errorf("a tolerance of %s; use one between 1s and 1h", o.Tolerance)
	}
	if o.Policy == nil {
		o.Policy = DefaultPolicy
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Stamper is the built-in time-stamping authority: its own key, and the clock of this machine. It is a Clock.
type Stamper struct {
	key     Signer
	chain   stampChain
	options StampOptions
	clock   *watched
	metrics *stampMetrics
}

// NewStamper makes the built-in authority of a key and its certificate chain, the key's own certificate first and the
// root last. A certificate that has expired is no error here: nothing that it once stamped depends on it; Stamp says so.
func NewStamper(key Signer, chain []*x509.Certificate, o StampOptions) (*Stamper, error) {
	o, err := o.filled()
	if err != nil {
		return nil, fmt.Errorf("making the time-stamping authority: %w", err)
	}
	c := stampChain(slices.Clone(chain))
	if err := c.valid(); err != nil {
		return nil, fmt.Errorf("making the time-stamping authority: %w", err)
	}
	if !holds(c[0], key.Public()) {
		return nil, fmt.Errorf("making the time-stamping authority: the certificate (%s) is of another key than the configured one", c[0].Subject)
	}
	if key.Hash() != crypto.SHA256 && key.Hash() != crypto.SHA384 {
		return nil, fmt.Errorf("making the time-stamping authority: its key signs %s; a P-256 key is what every verifier takes", key.Hash())
	}
	m := newStampMetrics(o.Registerer)
	return &Stamper{key: key, chain: c, options: o, clock: newWatched(o, m.jumps), metrics: m}, nil
}

// Chain is the authority's certificates, its own first and the root last.
func (s *Stamper) Chain() []*x509.Certificate { return slices.Clone(s.chain) }

// Stamp implements Clock. One use of the time-stamping key.
func (s *Stamper) Stamp(ctx context.Context, signature []byte) ([]byte, time.Time, error) {
	start := time.Now()
	token, at, err := s.stamp(ctx, signature)
	s.metrics.observe(builtin, start, err)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: the built-in authority: %w", ErrTimeUnavailable, err)
	}
	return token, at, nil
}

func (s *Stamper) stamp(ctx context.Context, signature []byte) ([]byte, time.Time, error) {
	if len(signature) == 0 {
		return nil, time.Time{}, errors.New("there is no signature to stamp")
	}
	now, err := s.clock.now(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := passed(now, s.options.After); err != nil {
		return nil, time.Time{}, err
	}
	if now.After(s.chain[0].NotAfter) {
		return nil, time.Time{}, fmt.Errorf("its certificate expired at %s; issue a new one for its key", s.chain[0].NotAfter.UTC().Format(time.RFC3339))
	}
	nonce, err := newNonce()
	if err != nil {
		return nil, time.Time{}, err
	}
	imprint := sha256.Sum256(signature)
	ts := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Time: now.UTC(), Nonce: nonce,
		Policy: s.options.Policy, Accuracy: DefaultAccuracy, AddTSACertificate: true,
	}
	token, err := ts.CreateResponseWithOpts(s.chain[0], bound{ctx: ctx, key: s.key}, s.key.Hash())
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("making the token: %w", err)
	}
	got, err := s.chain.obtained(token, signature, nonce, window{from: now, to: now, tolerance: s.options.Tolerance})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("checking its own token: %w", err)
	}
	return token, got.Time.UTC(), nil
}

// newNonce is 64 random bits, the most that every authority takes, and never negative or zero.
func newNonce() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, fmt.Errorf("making a nonce: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// builtin is the authority label of the built-in one; the others' are their hosts.
const builtin = "built-in"

type stampMetrics struct {
	stamps  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	jumps   prometheus.Counter
}

func newStampMetrics(reg prometheus.Registerer) *stampMetrics {
	f := promauto.With(reg)
	return &stampMetrics{
		stamps: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_time_stamps_total",
			Help: "Time-stamps asked for, by authority and outcome: given, refused (the token did not hold), failed (no token came), paused (not asked, after failures).",
		}, []string{"authority", "outcome"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hallmark_time_stamp_seconds",
			Help:    "Time to obtain and check a time-stamp, by authority.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"authority"}),
		jumps: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_time_clock_steps_total",
			Help: "Times that the machine's clock was found to have been set by more than the tolerance.",
		}),
	}
}

func (m *stampMetrics) observe(authority string, start time.Time, err error) {
	outcome := "given"
	switch {
	case errors.Is(err, errPaused):
		m.stamps.WithLabelValues(authority, "paused").Inc()
		return
	case errors.Is(err, ErrTimestamp):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	m.stamps.WithLabelValues(authority, outcome).Inc()
	m.seconds.WithLabelValues(authority).Observe(time.Since(start).Seconds())
}

// errPaused says that an authority was not asked, since it failed a moment ago.
var errPaused = errors.New("not asked after it failed")
