package hsm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Keyring holds every configured key, ready to sign. All its methods are safe for concurrent use.
type Keyring struct {
	public  []Public // in the configuration's order
	signers map[string]signing
	tokens  []*token
	modules []*module
	metrics *metrics
	log     *slog.Logger

	stop    context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
}

// signing makes one signature with the named key, unverified.
type signing func(ctx context.Context, key string, digest []byte) ([]byte, error)

// Open connects to every token, finds every key, compares it with its pin and proves it with a probe signature. It
// returns everything that is wrong at once: errors are *Problem values, joined. A module that hangs ends with ctx; what
// it was asked goes on in the background then, and the process should end.
func Open(ctx context.Context, tokens []Config, keys []KeyConfig, opts Options) (*Keyring, error) {
	if err := validateAll(tokens, keys); err != nil {
		return nil, fmt.Errorf("configuration of tokens and keys: %w", err)
	}
	opts = opts.withDefaults()
	tokens, keys = opened(tokens, keys, opts)
	r := newKeyring(tokens, keys, opts)
	ended := make(chan error, 1)
	go func() { ended <- r.open(keys, opts) }()
	select {
	case err := <-ended:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: opening tokens: %w", ErrTimeout, context.Cause(ctx))
	}
	r.metrics = newMetrics(opts.Registerer, keys) // only now: a failed Open leaves nothing registered
	for _, t := range r.tokens {
		t.metrics = r.metrics
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = cancel
	for _, m := range r.modules {
		r.running.Go(func() { m.recoverLoop(running) })
	}
	return r, nil
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// newKeyring groups tokens by module, and keys by token. Nothing is loaded yet.
func newKeyring(tokens []Config, keys []KeyConfig, opts Options) *Keyring {
	r := &Keyring{signers: map[string]signing{}, log: opts.Log}
	modules := map[string]*module{}
	for _, cfg := range tokens {
		m := modules[cfg.Module]
		if m == nil {
			m = &module{wake: make(chan struct{}, 1), log: opts.Log}
			modules[cfg.Module] = m
			r.modules = append(r.modules, m)
		}
		t := &token{cfg: cfg.withDefaults(), module: m, log: opts.Log}
		for _, k := range keys {
			if k.Token == cfg.Name {
				t.keys = append(t.keys, k)
				r.signers[k.Name] = t.sign
			}
		}
		m.tokens = append(m.tokens, t)
		r.tokens = append(r.tokens, t)
	}
	return r
}

// open does the work of Open that can hang.
func (r *Keyring) open(keys []KeyConfig, opts Options) error {
	lifecycle.Lock()
	defer lifecycle.Unlock()
	errs := []error{}
	for _, m := range r.modules {
		for _, t := range m.tokens {
			errs = append(errs, t.open())
		}
	}
	for _, k := range keys {
		if k.Software == "" {
			continue
		}
		h, err := loadSoftware(k, opts.AllowSoftwareKeys, &trail{subject: "key " + k.Name})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		opts.Log.Warn("SOFTWARE KEY IN USE: its private key lies in a file, anyone who reads the file can sign; not for production",
			slog.String("key", k.Name), slog.String("file", k.Software))
		r.signers[k.Name] = h.signSoftware
		r.public = append(r.public, h.public)
	}
	if err := errors.Join(errs...); err != nil {
		r.disconnect()
		return err
	}
	for _, t := range r.tokens {
		for _, h := range t.live.Load().held {
			if !h.attributes.confined() {
				opts.Log.Warn("the token does not say that the key cannot leave it", slog.String("key", h.public.Name), slog.String("token", t.cfg.Name))
			}
			r.public = append(r.public, h.public)
		}
	}
	order := func(name string) int { return slices.IndexFunc(keys, func(k KeyConfig) bool { return k.Name == name }) }
	slices.SortFunc(r.public, func(a, b Public) int { return order(a.Name) - order(b.Name) })
	if err := distinct(r.public); err != nil {
		r.disconnect()
		return err
	}
	return nil
}

// open connects a token for the first time. The caller holds lifecycle.
func (t *token) open() error {
	tr := &trail{subject: "token " + t.cfg.Name}
	if t.module.lib == nil {
		lib, err := loadLibrary(t.cfg.Module)
		if err != nil {
			return tr.fail(stepModule, err, "install the vendor's PKCS#11 library and set module to its path")
		}
		t.module.lib = lib
	}
	if err := t.connect(tr); err != nil {
		return err
	}
	t.permits = make(chan struct{}, t.live.Load().conn.capacity)
	return nil
}

// Signer gives the use of an artifact key to whoever holds a grant for it. ErrNotGranted, ErrUnknownKey, ErrKeyUse.
func (r *Keyring) Signer(g *policy.Grant, key string) (*Signer, error) {
	if !g.Allows(key) {
		return nil, fmt.Errorf("%w: %s", ErrNotGranted, key)
	}
	return r.signer(key, UseArtifact)
}

// Service gives a key of the service's own, for its one use. Artifact keys are not to be had here: ErrKeyUse, as for any
// other use than the configured one. ErrUnknownKey.
func (r *Keyring) Service(name string, use Use) (*Signer, error) {
	if use == UseArtifact || use == "" {
		return nil, fmt.Errorf("%w: %s: an artifact key signs under a grant of policy only", ErrKeyUse, name)
	}
	return r.signer(name, use)
}

func (r *Keyring) signer(name string, use Use) (*Signer, error) {
	i := slices.IndexFunc(r.public, func(p Public) bool { return p.Name == name })
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: %s", ErrUnknownKey, name)
	case r.public[i].Use != use:
		return nil, fmt.Errorf("%w: %s has use %s, not %s", ErrKeyUse, name, r.public[i].Use, use)
	}
	return &Signer{ring: r, public: r.public[i]}, nil
}

// Key describes the artifact key of this name.
func (r *Keyring) Key(name string) (Public, bool) {
	for _, p := range r.public {
		if p.Name == name && p.Use == UseArtifact {
			return p, true
		}
	}
	return Public{}, false
}

// Keys describes every artifact key, in the configuration's order: what signatures of artifacts may be by. The caller
// owns the slice.
func (r *Keyring) Keys() []Public {
	return slices.DeleteFunc(slices.Clone(r.public), func(p Public) bool { return p.Use != UseArtifact })
}

// ServiceKeys describes every other key, in the configuration's order. The caller owns the slice.
func (r *Keyring) ServiceKeys() []Public {
	return slices.DeleteFunc(slices.Clone(r.public), func(p Public) bool { return p.Use == UseArtifact })
}

// Ready reports whether every token answers. It asks the tokens but uses no key.
func (r *Keyring) Ready(ctx context.Context) error {
	var errs []error
	for _, t := range r.tokens {
		errs = append(errs, t.ready(ctx))
	}
	return errors.Join(errs...)
}

// closeWait bounds how long Close waits for signatures that are being made.
const closeWait = 5 * time.Second

// Close stops recovery, waits for signatures in flight and logs out. A call that hangs inside a module is not waited
// for beyond a few seconds; its connection is left open then. Close may be called more than once.
func (r *Keyring) Close() {
	r.closing.Do(func() {
		r.stop()
		for _, t := range r.tokens {
			t.setDown(ErrClosed)
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.running.Wait()
			for _, t := range r.tokens { // again: an attempt to connect may have ended well in between
				t.setDown(ErrClosed)
			}
			ctx, cancel := context.WithTimeout(context.Background(), closeWait)
			defer cancel()
			for _, m := range r.modules {
				if _, err := m.empty(ctx); err != nil { // the permits are kept: nobody enters any more
					continue
				}
				lifecycle.Lock()
				m.disconnect()
				m.lib.unload()
				lifecycle.Unlock()
			}
		}()
		timer := time.NewTimer(closeWait + time.Second)
		defer timer.Stop()
		select {
		case <-closed:
		case <-timer.C:
			r.log.Error("a PKCS#11 module does not return; its connection was left open")
		}
	})
}

// disconnect undoes a failed open. The caller holds lifecycle.
func (r *Keyring) disconnect() {
	for _, m := range r.modules {
		m.disconnect()
		if m.lib != nil {
			m.lib.unload()
		}
	}
}
