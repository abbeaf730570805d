package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// examineAuthorities checks the certificates that signatures chain to. One whose end is near is wrong already: a root's
// token takes days to fetch.
func examineAuthorities(c *Config, now time.Time) []hsm.Check {
	if !c.trusts() {
		return nil
	}
	all, err := c.showCertificates(c.filesIn(""), now)
	if err != nil {
		return []hsm.Check{verdict("certificates", "", err, "name the certificates under trust: in the configuration, or make them: hallmark ca init")}
	}
	var checks []hsm.Check
	for _, v := range all {
		name := "certificate " + string(v.Kind)
		if v.Authority != "" {
			name += " " + v.Authority
		}
		fix := "see them all: hallmark ca show"
		if v.Problem != "" {
			err = errors.New(v.Problem)
		} else if err = nil; v.Warning != "" {
			err, fix = fmt.Errorf("%s ends in %d days, at %s", v.Subject, v.DaysLeft, v.Until.Format(time.RFC3339)), v.Warning
		}
		checks = append(checks, verdict(name, fmt.Sprintf("%s, until %s (%d days)", v.Subject, v.Until.Format(time.DateOnly), v.DaysLeft), err, fix))
	}
	return checks
}

// certificateEnds is until when each key is certified, by its SPKI. Certificates of artifact keys are short-lived and
// known to the running service only. What cannot be read has no end; hallmark ca show says why.
func (c *Config) certificateEnds(now time.Time) map[string]time.Time {
	ends := map[string]time.Time{}
	if !c.trusts() {
		return ends
	}
	all, err := c.showCertificates(c.filesIn(""), now)
	if err != nil {
		return ends
	}
	for _, v := range all {
		ends[cmp.Or(v.SPKI, v.File)] = v.Until
	}
	return ends
}
