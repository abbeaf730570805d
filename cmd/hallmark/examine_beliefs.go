package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/belief"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// examineBeliefs checks the trusted root that configuration and ledger make together: whether it lists every log that ever
// signed a checkpoint, and whether everything that the ledger wants believed is vouched for. A ledger that cannot be read is
// another check's matter.
func (c *Config) examineBeliefs(ctx context.Context, files trustFiles, keys *hsm.Keyring) []hsm.Check {
	const holds = "trust: the trusted root holds together"
	const fix = "correct the certificate or key that the message names"
	believed, err := c.believed(files, keys)
	if err != nil {
		return []hsm.Check{verdict(holds, "", err, fix)}
	}
	rows, logs, read := c.readBeliefs(ctx)
	held, err := belief.Weigh(believed, rows)
	var listed []string
	if err == nil {
		listed, err = trust.Logs(held.Root)
	}
	checks := []hsm.Check{verdict(holds, strings.Join(listed, ", "), err, fix)}
	if err != nil || !read {
		return checks
	}
	logs = slices.DeleteFunc(logs, func(origin string) bool { return slices.Contains(listed, origin) })
	if len(logs) > 0 {
		err = fmt.Errorf("the ledger remembers checkpoints of %s, whose key nobody names: what stands in there alone is refused (log-unknown)", strings.Join(logs, ", "))
	}
	checks = append(checks, verdict("trust: every log is in the trusted root", strings.Join(listed, ", "), err,
		"start the replica of that log once more, with the same issuing authority; or name a trusted_root.json that lists it under trust.former"))
	var theirs []string
	for _, u := range held.Unvouched {
		theirs = append(theirs, fmt.Sprintf("%d by %s", u.Count, u.Voucher))
	}
	if err = nil; len(theirs) > 0 {
		err = fmt.Errorf("the ledger holds statements about what verifiers must believe by keys of no issuing authority that is believed: %s", strings.Join(theirs, ", "))
	}
	return append(checks, verdict("trust: what the ledger wants believed is vouched for", "", err,
		"if such a key was your issuing authority's, put it back under keys (use: issuer) for one start of each replica, or name a trusted_root.json that lists its certificate under trust.former; if not, find out who wrote to the ledger"))
}

// readBeliefs reads beside a service that may be running, and says whether it could.
func (c *Config) readBeliefs(ctx context.Context) (rows []ledger.Belief, logs []string, read bool) {
	view, err := ledger.OpenView(ctx, c.Database.Value)
	if err != nil {
		return nil, nil, false
	}
	defer func() { _ = view.Close() }()
	if rows, err = view.Beliefs(ctx); err == nil {
		logs, err = view.Logs(ctx)
	}
	return rows, logs, err == nil
}
