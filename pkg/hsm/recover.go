package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// module is a PKCS#11 library with the configured tokens behind it. They fall and rise together, because a lost
// connection is cured by C_Finalize and C_Initialize, which act on the whole module.
type module struct {
	lib    *library
	tokens []*token
	wake   chan struct{} // capacity 1: somebody wants new connections
	log    *slog.Logger
	since  atomic.Int64 // when the attempt to connect again began, in Unix nanoseconds; 0 when there is none
	refuse error        // set for good once a PIN was refused; touched by the recovery goroutine only
}

// The pause between attempts to connect again: doubled each time, with up to as much again at random.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 15 * time.Second
)

// renew asks for new connections. It does not wait for them.
func (m *module) renew(t *token, cause error) {
	m.log.Warn("connecting to the token again", slog.String("token", t.cfg.Name), slog.Any("cause", cause))
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// recoverLoop connects again whenever somebody asks, until ctx ends. After a refused PIN it never tries again: the process has to
// be restarted by people who have looked at the PIN.
func (m *module) recoverLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		for pause := firstPause; m.refuse == nil; pause = min(2*pause, lastPause) {
			err := m.reconnect(ctx)
			if err == nil {
				break
			}
			if errors.Is(err, ErrPIN) {
				m.refuse = err
				m.log.ErrorContext(ctx, "PIN refused: no further attempt will be made", slog.Any("cause", err))
				break
			}
			m.log.ErrorContext(ctx, "connecting to the token failed", slog.Any("cause", err), slog.Duration("retry", pause))
			if !sleep(ctx, pause+rand.N(pause)) { //nolint:gosec // spreads replicas, protects nothing
				return
			}
		}
	}
}

// reconnect closes every connection of the module, which finalises it, and makes new ones. Keys are searched, compared
// and probed again: after a finalise an old handle may mean another object.
func (m *module) reconnect(ctx context.Context) error {
	m.since.Store(time.Now().UnixNano())
	defer m.since.Store(0)
	release, err := m.empty(ctx)
	if err != nil {
		return err
	}
	defer release()
	select {
	case <-m.wake: // asked for by users of the connection that ends here
	default:
	}
	lifecycle.Lock()
	defer lifecycle.Unlock()
	m.disconnect()
	for _, t := range m.tokens {
		if err := t.connect(&trail{subject: "token " + t.cfg.Name}); err != nil {
			for _, t := range m.tokens {
				t.setDown(err)
			}
			m.disconnect()
			return err
		}
	}
	for _, t := range m.tokens {
		t.down.Store(nil)
		m.log.InfoContext(ctx, "token is up", slog.String("token", t.cfg.Name))
	}
	return nil
}

// reconnecting is how long the present attempt has taken; 0 when there is none.
func (m *module) reconnecting() time.Duration {
	if since := m.since.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}

// empty waits until nobody is inside the module and keeps everybody out until release is called.
func (m *module) empty(ctx context.Context) (release func(), err error) {
	var undo []func()
	release = func() {
		for _, u := range undo {
			u()
		}
	}
	for _, t := range m.tokens {
		for range cap(t.permits) {
			timer := time.NewTimer(t.cfg.SignTimeout)
			select {
			case t.permits <- struct{}{}:
				timer.Stop()
				undo = append(undo, func() { <-t.permits })
			case <-timer.C:
				release()
				return nil, fmt.Errorf("%w: calls into %s do not return, so it cannot be initialised again; restart the process", ErrTimeout, m.lib.path)
			case <-ctx.Done():
				timer.Stop()
				release()
				return nil, context.Cause(ctx)
			}
		}
	}
	return release, nil
}

// disconnect closes what is open. The caller holds lifecycle and every permit.
func (m *module) disconnect() {
	for _, t := range m.tokens {
		if l := t.live.Swap(nil); l != nil {
			l.conn.close()
		}
	}
}

// connect opens the token and finds its keys. The caller holds lifecycle, and every permit once there are any.
func (t *token) connect(tr *trail) error {
	c, err := connect(t.module.lib, t.cfg, tr, t.log)
	if err != nil {
		return err
	}
	l := &live{conn: c, held: map[string]*held{}}
	var errs []error
	for _, k := range t.keys {
		ktr := &trail{subject: "key " + k.Name}
		h, err := c.hold(k, ktr)
		tr.checks = append(tr.checks, ktr.checks...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.held[k.Name] = h
	}
	if err := errors.Join(errs...); err != nil {
		c.close()
		return err
	}
	t.live.Store(l)
	return nil
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
