package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// defaultRootLife is how long trust makes a root live.
const defaultRootLife = 20 * 365 * 24 * time.Hour

// sameRootToken refuses a token for a root that is on another.
func (p *initPlan) sameRootToken() error {
	if p.rootToken == "" {
		return nil
	}
	for _, k := range values(p.config.Keys) {
		if k.Use == hsm.UseRoot && k.Token != p.rootToken {
			return fmt.Errorf("the configuration has the root %s on the token %s, not on %s: leave --root-token out to keep it, or take the key out of the configuration, with another --dir, for a new root", k.Name, k.Token, p.rootToken)
		}
	}
	return nil
}

// checkLife refuses a life beyond that of the root, before anything is made.
func (p *initPlan) checkLife(now time.Time) error {
	end := now.Add(cmp.Or(p.rootLife, defaultRootLife))
	root, err := readCertificates(p.files.Root)
	if err == nil {
		end = root[0].NotAfter
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return withinRoot(p.life, now, end)
}

// withinRoot refuses a life that was asked for and would be cut off.
func withinRoot(life time.Duration, now, end time.Time) error {
	if life == 0 || !now.Add(life).After(end) {
		return nil
	}
	return fmt.Errorf("--life %s ends after the root does, on %s; no certificate outlives its issuer: choose %s or less, or leave --life out", life, end.UTC().Format(time.DateOnly), end.Sub(now).Truncate(time.Hour))
}

// otherLog reports whether the log is to be another than that of the configuration.
func (p *initPlan) otherLog() bool {
	return p.config.trusts() && p.config.Trust.Value.Log.Origin != p.origin
}

// logDir is the directory of the log as the configuration names it. Every log has its own.
func (p *initPlan) logDir() string {
	switch {
	case p.otherLog():
		return "log-" + p.origin
	case p.config.trusts():
		return p.place(cmp.Or(p.config.Trust.Value.Log.Dir, "log"))
	default:
		return "log"
	}
}
