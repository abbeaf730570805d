package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// examineTrust checks what signatures rest on beside their keys, which are examined with the others: the certificates, the
// trusted root that comes of them, the clock, a certificate as it would be issued, without signing it, and the log's directory.
// It makes and drops a time-stamp of random bytes, and writes nothing that stays. A running service holds the log, so it is
// not opened.
func (c *Config) examineTrust(ctx context.Context, software bool) []hsm.Check {
	if !c.trusts() {
		return nil
	}
	t := c.Trust.Value
	files, err := t.read()
	detail := ""
	if err == nil {
		detail = fmt.Sprintf("issuing authority until %s", files.issuing[0].NotAfter.UTC().Format(time.DateOnly))
	}
	checks := []hsm.Check{verdict("trust: certificates can be read", detail, err, "hallmark ca show, or hallmark ca init to make them"), c.examineLog()}
	if c.Trust.Value.Log.Memory != "" {
		checks = append(checks, c.examineMemory(ctx))
	}
	if err != nil {
		return checks
	}
	var service []hsm.KeyConfig
	for _, k := range values(c.Keys) {
		if slices.Contains([]string{t.CA.Key, t.CA.SCT, c.forReplica(t.Log.Key), t.Time.Key}, k.Name) || k.UseOrDefault() == hsm.UseIssuer {
			service = append(service, k)
		}
	}
	err = c.withServiceKeys(ctx, service, software, func(keys *hsm.Keyring) error {
		checks = append(checks, c.examineAuthorities(ctx, files, keys)...)
		return nil
	})
	if err != nil {
		checks = append(checks, verdict("trust: the service's own keys", "", err, "see the checks of these keys"))
	}
	return checks
}

func (c *Config) examineAuthorities(ctx context.Context, files trustFiles, keys *hsm.Keyring) []hsm.Check {
	checks := c.examineBeliefs(ctx, files, keys)

	after, err := c.examineTime(ctx, keys)
	if err != nil {
		checks = append(checks, verdict("trust: the times of log and ledger can be read", "", err, "see the message"))
	}
	authority, err := c.authority(files, keys, after)
	if err == nil {
		err = authority.Rehearse()
	}
	checks = append(checks, verdict("trust: certificates can be issued", c.Trust.Value.Issuer, err, "renew the issuing authority: hallmark ca issue issuing"))

	clock, err := c.clock(files, keys, trust.StampOptions{After: after})
	at := time.Time{}
	if err == nil {
		var sample [64]byte
		_, _ = rand.Read(sample[:]) // never fails
		_, at, err = clock.Stamp(ctx, sample[:])
	}
	return append(checks, verdict("trust: time-stamps are given", at.UTC().Format(time.RFC3339), err, "set the clock right, renew the time-stamping certificate, or see why the authority does not answer"))
}

// examineTime is the newest time that log and ledger know, as far as there is a log and a ledger.
func (c *Config) examineTime(ctx context.Context, keys *hsm.Keyring) (after time.Time, err error) {
	config := c.logConfig()
	log, err := audit.ReadDir(config.Dir)
	if err == nil {
		defer func() { _ = log.Close() }()
		var head audit.Head
		if head, err = log.Head(ctx, []audit.Key{{Origin: config.Origin, Public: c.logKey(keys).PublicKey}}); err == nil {
			after, err = log.Newest(ctx, head)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, audit.ErrAbsent) {
		return after, err
	}
	view, err := ledger.OpenView(ctx, c.Database.Value)
	if err != nil {
		return after, nil //nolint:nilerr // other checks tell of the ledger; before the first start there is none
	}
	defer func() { _ = view.Close() }()
	return c.newest(ctx, after, view)
}

// examineLog looks whether the log's directory can be written.
func (c *Config) examineLog() hsm.Check {
	dir := c.logConfig().Dir
	at := dir
	if absent(dir) {
		at = filepath.Dir(dir) // it is made at the first start
	}
	return verdict("trust: the log can be written", dir, writable(at), "give this user the directory, on a local disk that is not full")
}

// examineMemory looks whether the file that remembers the log's checkpoint is there, is this log's, and can be replaced. What it
// remembers is held against the log at the start: beside a running service the two differ for a moment.
func (c *Config) examineMemory(ctx context.Context) hsm.Check {
	log := c.logConfig()
	detail := log.Memory
	size, _, err := audit.NewFileMemory(log.Memory).LastCheckpoint(ctx, log.Origin)
	if absent(log.Dir) && absent(log.Memory) {
		err = nil // both are made at the first start
	}
	if err == nil {
		detail = fmt.Sprintf("%s, %d leaves", log.Memory, size)
		err = writable(filepath.Dir(log.Memory))
	}
	return verdict("trust: the log's memory can be read and written", detail, err,
		"give this user the file that trust.log.memory names, and its directory; for a log that exists already make an empty file once")
}

func absent(name string) bool {
	_, err := os.Stat(name)
	return os.IsNotExist(err)
}

// writable makes and removes a file in the directory.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// withServiceKeys opens these keys, and no others, while f runs.
func (c *Config) withServiceKeys(ctx context.Context, keys []hsm.KeyConfig, software bool, f func(*hsm.Keyring) error) error {
	var tokens []hsm.Config
	for _, t := range values(c.Tokens) {
		if slices.ContainsFunc(keys, func(k hsm.KeyConfig) bool { return k.Token == t.Name }) {
			tokens = append(tokens, t)
		}
	}
	ring, err := hsm.Open(ctx, tokens, keys, hsm.Options{AllowSoftwareKeys: software})
	if err != nil {
		return err
	}
	defer ring.Close()
	return f(ring)
}
