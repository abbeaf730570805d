package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// token is one configured token while a Keyring is open. Everything that enters the module on its behalf holds one of
// its permits until the module has returned, however long that takes. So whoever holds all permits of all tokens of a
// module knows that nobody is inside it, and may finalise it.
type token struct {
	cfg     Config
	keys    []KeyConfig
	module  *module
	permits chan struct{}
	live    atomic.Pointer[live]  // nil while not connected
	down    atomic.Pointer[error] // why no signature can be asked for; nil when up
	stuck   atomic.Int64          // calls that have outlived SignTimeout
	metrics *metrics
	log     *slog.Logger
}

// live is a connection with its keys. It is replaced as a whole.
type live struct {
	conn *conn
	held map[string]*held // by key name
}

// sign asks the token for one signature. On a bad session it tries one other; while the token has no room it tries until
// PoolWait is over. Every other failure goes to the caller, and those that only a new connection cures start one.
// A retry after an ambiguous failure may have signed twice, which is harmless for the algorithms of this package.
func (t *token) sign(ctx context.Context, key string, digest []byte) ([]byte, error) {
	start := time.Now()
	for sessions, full := 0, 0; ; {
		sig, used, err := t.once(ctx, key, digest)
		if err == nil {
			return sig, nil
		}
		t.metrics.failed(err)
		if used == nil { // never got as far as the module
			return nil, err
		}
		switch classify(err) {
		case classSession:
			// crypto11 never evicts a session, so a second bad one means that the pool has to be renewed.
			if sessions++; sessions < 2 {
				continue
			}
			if t.live.Load() == used {
				t.module.renew(t, err)
			}
		case classBusy:
			// crypto11's pool hands out an empty place before an idle session. The idle ones come round within one turn.
			if full++; full <= cap(t.permits) || time.Since(start) < t.cfg.PoolWait && t.pause(ctx) {
				continue
			}
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		case classLogin, classDevice:
			t.markDown(used, err)
		}
		return nil, err
	}
}

// pause gives the token a moment; false when the caller has given up.
func (t *token) pause(ctx context.Context) bool {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// answer is what a call into the module returned.
type answer struct {
	sig []byte
	err error
}

// once makes one attempt, on the connection that it returns beside the result. It comes back when the module does, when
// ctx ends, or after SignTimeout, whichever is first; in the last two cases the call into the module goes on and keeps
// its permit.
func (t *token) once(ctx context.Context, key string, digest []byte) ([]byte, *live, error) {
	if err := t.acquire(ctx); err != nil {
		return nil, nil, err
	}
	l := t.live.Load()
	if l == nil {
		<-t.permits
		return nil, nil, t.why()
	}
	h := l.held[key]
	done := make(chan answer, 1)
	go func() {
		sig, err := h.signer.Sign(nil, digest, h.public.Hash)
		<-t.permits
		done <- answer{sig, err}
	}()
	timer := time.NewTimer(t.cfg.SignTimeout)
	select {
	case a := <-done:
		timer.Stop()
		return a.sig, l, a.err
	case <-timer.C:
		t.hung(done)
		return nil, l, fmt.Errorf("%w: no signature after %v", ErrTimeout, t.cfg.SignTimeout)
	case <-ctx.Done():
		go t.watch(l, done, timer)
		return nil, l, fmt.Errorf("waiting for the token: %w", context.Cause(ctx))
	}
}

// acquire takes a permit, waiting at most PoolWait.
func (t *token) acquire(ctx context.Context) error {
	if t.down.Load() != nil {
		return t.why()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for the token: %w", context.Cause(ctx))
	}
	select {
	case t.permits <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(t.cfg.PoolWait)
	defer timer.Stop()
	select {
	case t.permits <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: waited %v for one of %d", ErrBusy, t.cfg.PoolWait, cap(t.permits))
	case <-ctx.Done():
		return fmt.Errorf("waiting for the token: %w", context.Cause(ctx))
	}
}

// watch waits for a call whose caller has left.
func (t *token) watch(used *live, done <-chan answer, timer *time.Timer) {
	select {
	case a := <-done:
		timer.Stop()
		if c := classify(a.err); c == classLogin || c == classDevice {
			t.markDown(used, a.err)
		}
	case <-timer.C:
		t.hung(done)
	}
}

// hung counts a call that does not come back and takes the token out of service until it does.
func (t *token) hung(done <-chan answer) {
	n := t.stuck.Add(1)
	t.metrics.stuck.Inc()
	t.setDown(fmt.Errorf("%w: %d call(s) into %s have not returned within %v", ErrTimeout, n, t.cfg.Module, t.cfg.SignTimeout))
	t.log.Error("token does not answer", slog.String("token", t.cfg.Name), slog.Int64("stuck", n))
	go func() {
		<-done
		t.metrics.stuck.Dec()
		if t.stuck.Add(-1) == 0 {
			t.module.renew(t, ErrTimeout)
		}
	}()
}

// markDown takes the token out of service and has it connected again, unless the connection that failed has been
// replaced already.
func (t *token) markDown(used *live, err error) {
	if t.live.Load() != used {
		return
	}
	t.setDown(err)
	t.module.renew(t, err)
}

func (t *token) setDown(err error) { t.down.Store(&err) }

// why is the error for those who come while the token is out of service.
func (t *token) why() error {
	cause := t.down.Load()
	if cause == nil {
		return fmt.Errorf("%w: token %s", ErrDown, t.cfg.Name)
	}
	return &downError{token: t.cfg.Name, cause: *cause}
}

// downError says that a token is out of service, and why. It is ErrDown; the cause is told but not wrapped, because it
// happened to somebody else's signature and must not be classified again.
type downError struct {
	token string
	cause error
}

func (e *downError) Error() string { return fmt.Sprintf("%v: token %s: %v", ErrDown, e.token, e.cause) }

// Is makes it ErrDown, and ErrClosed after Keyring.Close.
func (e *downError) Is(target error) bool {
	return target == ErrDown || target == ErrClosed && errors.Is(e.cause, ErrClosed)
}

// ready reports whether the token answers. It uses no key.
func (t *token) ready(ctx context.Context) error {
	if t.down.Load() != nil {
		return t.why()
	}
	select {
	case t.permits <- struct{}{}:
	default:
		// Every session is signing, and a hung one would have taken the token down; or the module is being connected again.
		if d := t.module.reconnecting(); d > t.cfg.SignTimeout {
			return fmt.Errorf("%w: token %s: connecting again since %v", ErrDown, t.cfg.Name, d.Round(time.Second))
		}
		return nil
	}
	l := t.live.Load()
	if l == nil {
		<-t.permits
		return t.why()
	}
	done := make(chan answer, 1)
	go func() {
		err := l.conn.ping()
		<-t.permits
		done <- answer{err: err}
	}()
	timer := time.NewTimer(t.cfg.SignTimeout)
	select {
	case a := <-done:
		timer.Stop()
		if a.err != nil {
			t.markDown(l, a.err)
			return t.why()
		}
		return nil
	case <-timer.C:
		t.hung(done)
		return t.why()
	case <-ctx.Done():
		go t.watch(l, done, timer)
		return fmt.Errorf("asking token %s: %w", t.cfg.Name, context.Cause(ctx))
	}
}
