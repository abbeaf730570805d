package hsm

import (
	"context"
	"errors"
	"fmt"
)

// Diagnose takes the steps of Open one by one and reports each: module, slots, token, PIN, every key, its pin, a test
// signature. It logs in to each token at most once and never again after a refused PIN. Run it in a process that has no
// Keyring open, or it cannot tell whether the PIN is right. It closes everything it opened. When ctx ends first, the
// last check says so.
func Diagnose(ctx context.Context, tokens []Config, keys []KeyConfig, opts Options) []Check {
	if err := validateAll(tokens, keys); err != nil {
		return []Check{{Name: "configuration of tokens and keys", Detail: err.Error(), Fix: "correct the configuration"}}
	}
	opts = opts.withDefaults()
	opts.Registerer = nil
	tokens, keys = opened(tokens, keys, opts)
	results := make(chan []Check) // one batch per token, so that what was learned before a hang is told
	go func() {
		defer close(results)
		send := func(tr *trail) bool {
			select {
			case results <- tr.checks:
				return true
			case <-ctx.Done():
				return false
			}
		}
		r := newKeyring(tokens, keys, opts)
		for _, t := range r.tokens {
			if !send(t.diagnose()) {
				return
			}
		}
		for _, k := range keys {
			if k.Software == "" {
				continue
			}
			tr := &trail{subject: "key " + k.Name}
			_, _ = loadSoftware(k, opts.AllowSoftwareKeys, tr) // the trail holds what went wrong
			if !send(tr) {
				return
			}
		}
	}()
	var all []Check
	for {
		select {
		case batch, more := <-results:
			if !more {
				return all
			}
			all = append(all, batch...)
		case <-ctx.Done():
			return append(all, Check{
				Name: "all tokens answer", Detail: fmt.Sprintf("%v: %v", ErrTimeout, context.Cause(ctx)),
				Fix: "the module does not return: check the connection to the HSM and the vendor's log",
			})
		}
	}
}

// diagnose takes every step that can be taken on one token.
func (t *token) diagnose() *trail {
	tr := &trail{subject: "token " + t.cfg.Name}
	lifecycle.Lock()
	defer lifecycle.Unlock()
	lib, err := loadLibrary(t.cfg.Module)
	if err != nil {
		_ = tr.fail(stepModule, err, "install the vendor's PKCS#11 library and set module to its path")
		return tr
	}
	defer lib.unload()
	t.module.lib = lib
	err = t.connect(tr)
	if l := t.live.Swap(nil); l != nil {
		l.conn.close()
	}
	var p *Problem
	if err != nil && !errors.As(err, &p) {
		tr.checks = append(tr.checks, Check{Name: tr.subject, Detail: err.Error()})
	}
	return tr
}
