package trust

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// TSA is a time-stamping authority elsewhere that speaks RFC 3161 over HTTP.
type TSA struct {
	URL    string
	Chain  []*x509.Certificate   // its own certificate first, the root last; a token by any other is refused
	Policy asn1.ObjectIdentifier // to ask for; nil leaves it to the authority
}

// What Authorities do when nobody says otherwise.
const (
	DefaultAskTimeout = 5 * time.Second
	DefaultPause      = 30 * time.Second
	maxPause          = 10 * time.Minute
)

// AuthoritiesOptions are what Authorities may be told. The zero value is fine.
type AuthoritiesOptions struct {
	StampOptions
	Timeout time.Duration // of one try with one authority; 0 is DefaultAskTimeout
	Pause   time.Duration // after a second failure in a row, doubled with each further one; 0 is DefaultPause
}

// Authorities is a Clock of time-stamping authorities elsewhere. They are asked in order, each once; the first token that
// holds is taken. One that failed twice in a row is left out for a while, unless there is no other to ask.
type Authorities struct {
	list    []*distant
	options AuthoritiesOptions
	client  *http.Client
	now     func() time.Time
	elapsed func() time.Duration // for pauses, which no setting of the clock may touch
	metrics *stampMetrics
}

// NewAuthorities asks nobody yet.
func NewAuthorities(list []TSA, o AuthoritiesOptions) (*Authorities, error) {
	var err error
	if o.StampOptions, err = o.filled(); err != nil {
		return nil, fmt.Errorf("time-stamping authorities: %w", err)
	}
	o.Timeout, o.Pause = cmp.Or(o.Timeout, DefaultAskTimeout), cmp.Or(o.Pause, DefaultPause)
	if o.Timeout < 0 || o.Pause < 0 || o.Pause > maxPause {
		return nil, fmt.Errorf("time-stamping authorities: a time-out of %s and a pause of %s; neither may be negative, nor the pause over %s", o.Timeout, o.Pause, maxPause)
	}
	if len(list) == 0 {
		return nil, errors.New("time-stamping authorities: there is none")
	}
	start := time.Now()
	a := &Authorities{
		options: o, client: newClient(), metrics: newStampMetrics(o.Registerer),
		now: func() time.Time { return time.Now().Round(0) }, elapsed: func() time.Duration { return time.Since(start) },
	}
	for _, t := range list {
		d, err := newDistant(t)
		if err != nil {
			return nil, fmt.Errorf("time-stamping authority %.200q: %w", t.URL, err)
		}
		if slices.ContainsFunc(a.list, func(o *distant) bool { return o.url == d.url }) {
			return nil, fmt.Errorf("time-stamping authority %s: it is listed twice", d.url)
		}
		a.list = append(a.list, d)
	}
	return a, nil
}

// distant is one authority and how it did lately.
type distant struct {
	url    string
	host   string // its label
	chain  stampChain
	policy asn1.ObjectIdentifier

	mu       sync.Mutex
	failures int // in a row
	until    time.Duration
}

func newDistant(t TSA) (*distant, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("its address must be an http or https URL, without user and fragment")
	}
	chain := stampChain(slices.Clone(t.Chain))
	if err := chain.valid(); err != nil {
		return nil, err
	}
	return &distant{url: u.String(), host: u.Host, chain: chain, policy: t.Policy}, nil
}

// Chains are the certificates of all authorities, each chain with the authority's own first.
func (a *Authorities) Chains() [][]*x509.Certificate {
	chains := make([][]*x509.Certificate, 0, len(a.list))
	for _, d := range a.list {
		chains = append(chains, slices.Clone(d.chain))
	}
	return chains
}

// Stamp implements Clock. It takes no longer than the time-out for each authority, or until ctx ends.
func (a *Authorities) Stamp(ctx context.Context, signature []byte) ([]byte, time.Time, error) {
	if len(signature) == 0 {
		return nil, time.Time{}, fmt.Errorf("%w: there is no signature to stamp", ErrTimeUnavailable)
	}
	var refusals []error
	for _, d := range a.turn() {
		if d.paused {
			a.metrics.observe(d.host, time.Time{}, errPaused)
			refusals = append(refusals, fmt.Errorf("%s: %w", d.host, errPaused))
			continue
		}
		token, at, err := a.try(ctx, d.distant, signature)
		if err == nil {
			return token, at, nil
		}
		refusals = append(refusals, fmt.Errorf("%s: %w", d.host, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, time.Time{}, fmt.Errorf("%w: %w%s", ErrTimeUnavailable, errors.Join(refusals...), a.advice(refusals))
}

type turn struct {
	*distant
	paused bool
}

// turn is everyone in order. When all are paused, the one whose pause ends first is asked all the same.
func (a *Authorities) turn() []turn {
	now := a.elapsed()
	turns, first, all := make([]turn, 0, len(a.list)), 0, true
	var ends time.Duration
	for i, d := range a.list {
		d.mu.Lock()
		until := d.until
		d.mu.Unlock()
		turns = append(turns, turn{d, now < until})
		all = all && turns[i].paused
		if i == 0 || until < ends {
			first, ends = i, until
		}
	}
	if all {
		turns[first].paused = false
	}
	return turns
}

func (a *Authorities) try(ctx context.Context, d *distant, signature []byte) ([]byte, time.Time, error) {
	start := time.Now()
	token, at, err := a.ask(ctx, d, signature)
	if err != nil && ctx.Err() != nil {
		return nil, time.Time{}, err // the caller's haste is no fault of the authority's
	}
	a.metrics.observe(d.host, start, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.failures, d.until = 0, 0
		return token, at, nil
	}
	if d.failures++; d.failures > 1 {
		pause := min(a.options.Pause<<min(d.failures-2, 10), maxPause)
		d.until = a.elapsed() + pause
	}
	level := slog.LevelWarn
	if errors.Is(err, ErrTimestamp) {
		level = slog.LevelError
	}
	a.options.Log.LogAttrs(ctx, level, "a time-stamping authority gave no time-stamp that holds",
		slog.String("authority", d.host), slog.String("err", err.Error()), slog.Int("in_a_row", d.failures))
	return nil, time.Time{}, err
}

// ask makes a request with a nonce of its own and checks what comes back.
func (a *Authorities) ask(ctx context.Context, d *distant, signature []byte) ([]byte, time.Time, error) {
	nonce, err := newNonce()
	if err != nil {
		return nil, time.Time{}, err
	}
	w := window{from: a.now(), tolerance: a.options.Tolerance}
	token, err := a.fetch(ctx, d, signature, nonce)
	if err != nil {
		return nil, time.Time{}, err
	}
	w.to = a.now()
	if w.to.Before(w.from) {
		return nil, time.Time{}, fmt.Errorf("the clock of this machine was set back to %s while it was asked", w.to.UTC().Format(time.RFC3339))
	}
	return d.accept(token, signature, nonce, w)
}

func (d *distant) accept(token, signature []byte, nonce *big.Int, w window) ([]byte, time.Time, error) {
	ts, err := d.chain.obtained(token, signature, nonce, w)
	if err != nil {
		return nil, time.Time{}, err
	}
	if d.policy != nil && !ts.Policy.Equal(d.policy) {
		return nil, time.Time{}, fmt.Errorf("%w: its policy is %s, asked for was %s", ErrTimestamp, ts.Policy, d.policy)
	}
	return token, ts.Time.UTC(), nil
}

// advice tells when it is not the authorities that are wrong.
func (a *Authorities) advice(refusals []error) string {
	var low, high time.Duration
	n := 0
	for _, err := range refusals {
		off := (*offError)(nil)
		if !errors.As(err, &off) {
			continue
		}
		if n == 0 || off.by < low {
			low = off.by
		}
		if n == 0 || off.by > high {
			high = off.by
		}
		n++
	}
	if n < 2 || high-low > a.options.Tolerance {
		return ""
	}
	return fmt.Sprintf("; %d authorities agree with one another: the clock of this machine is off by about %s, set it right", n, -low.Round(time.Second))
}
