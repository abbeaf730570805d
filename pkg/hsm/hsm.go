// Package hsm is the edge to PKCS#11: tokens, and the keys inside them that sign. A private key never leaves its token;
// what leaves this package is a signature that was verified in software with the pinned public key.
//
// Open connects every configured token once and refuses to start on anything doubtful: a key that is not there exactly
// once, a public key other than the pinned one, an algorithm outside the table. Keyring.Signer is the only way to an
// artifact key and demands a policy.Grant; Keyring.Service gives the service's own keys, which sign no artifact. Open and Diagnose sign one random digest per key as a probe; that signature is
// verified and dropped.
//
// Signing goes through crypto11. The same module is used directly, beside it, for what crypto11 lacks: listing, reading
// attributes, and looking at slots before a login.
package hsm

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Config describes one token. The zero value of a number or duration means its default.
type Config struct {
	Name        string        `yaml:"name" required:"true" doc:"Name of the token in this configuration."`
	Module      string        `yaml:"module" required:"true" doc:"Absolute path of the PKCS#11 library."`
	Label       string        `yaml:"label" required:"true" doc:"The token's own label (CKA_LABEL of the token); slot numbers change, labels do not."`
	PIN         PINFile       `yaml:"pin" required:"true" doc:"Where the user PIN is read from."`
	MaxSessions int           `yaml:"maxSessions" default:"16" doc:"Sessions opened on the token, one of them idle to keep the login. At most one signature fewer runs at once."`
	PoolWait    time.Duration `yaml:"poolWait" default:"2s" doc:"How long a signature waits for a free session."`
	SignTimeout time.Duration `yaml:"signTimeout" default:"10s" doc:"A signature that takes longer marks the token as down."`
}

// PINFile names the file that holds a user PIN. Trailing line ends are not part of the PIN.
type PINFile struct {
	File string `yaml:"file" required:"true" doc:"Path of the file that holds the user PIN; only the service's user should be able to read it."`
}

// KeyConfig describes one signing key: a key pair on a token, or a PEM file when software keys are allowed.
type KeyConfig struct {
	Name     string `yaml:"name" required:"true" doc:"Name of the key in policies, properties, metrics and file names: 1 to 64 letters, digits, '-', '_' or '.'."`
	Token    string `yaml:"token" doc:"Name of the token that holds the key."`
	Label    string `yaml:"label" doc:"CKA_LABEL of the private and the public key object; the key's name when empty."`
	SPKI     string `yaml:"spki" doc:"Pinned public key: sha256:<hex of SHA-256 over the DER SubjectPublicKeyInfo>, as 'hallmark keys show' prints it. Required for a key on a token."`
	Use      Use    `yaml:"use" default:"artifact" oneof:"artifact,log,sct,timestamp,issuer,root" doc:"What the key does: sign artifacts, the transparency log, the log's promise in certificates (sct), time-stamps, certificates of artifact keys (issuer), or those of issuers and of the time-stamping key (root). A key has one use only; policies name artifact keys. The service neither needs nor opens a root key, so its token may be taken away."`
	Lane     string `yaml:"lane" oneof:"development,release" doc:"Which artifacts an artifact key is for; the two lanes never stand in for each other. Required for artifact keys, not taken for others."`
	From     Moment `yaml:"from" default:"always" doc:"When the key's time begins, such as 2026-05-01T00:00:00Z. Before then nothing is signed with it, and gates refuse what is dated earlier. Of several keys on a line of a policy the one signs whose time began last."`
	Retired  Moment `yaml:"retired" default:"never" doc:"When the key's time is over, such as 2026-06-01T00:00:00Z. From then on nothing is signed with it, and gates accept only what a time-stamp or the ledger shows to have been signed before. The key stays configured, and on the token, as long as that is to pass."`
	Software string `yaml:"software" doc:"Path of a PEM private key to use instead of a token. Not for production: refused unless software keys are allowed explicitly."`
}

// Options are the surroundings of a Keyring.
type Options struct {
	AllowSoftwareKeys bool                  // accept keys with KeyConfig.Software
	Root              bool                  // hold root keys too, which only hallmark ca needs
	Log               *slog.Logger          // nil: silent
	Registerer        prometheus.Registerer // nil: metrics are not exposed
}

// The bounds and defaults of Config.
const (
	defaultMaxSessions = 16
	defaultPoolWait    = 2 * time.Second
	defaultSignTimeout = 10 * time.Second
	spkiPrefix         = "sha256:"
)

// Validate reports everything that is wrong with the token's configuration, without touching the module.
func (c Config) Validate() error {
	var errs []error
	say := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("token %q: "+format, append([]any{c.Name}, args...)...))
	}
	if c.Name == "" {
		say("name is missing")
	}
	switch {
	case c.Module == "":
		say("module is missing: give the path of the PKCS#11 library, such as /usr/lib/softhsm/libsofthsm2.so")
	case !filepath.IsAbs(c.Module):
		say("module %q is not an absolute path", c.Module)
	}
	if c.Label == "" {
		say("label is missing: give the token's label, 'pkcs11-tool --module MODULE -L' lists them")
	}
	if c.PIN.File == "" {
		say("pin.file is missing")
	}
	if c.MaxSessions != 0 && c.MaxSessions < 2 {
		say("maxSessions is %d, it must be at least 2: one session only keeps the login", c.MaxSessions)
	}
	if c.PoolWait < 0 || c.SignTimeout < 0 {
		say("poolWait and signTimeout must not be negative")
	}
	return errors.Join(errs...)
}

// withDefaults fills in what was left at zero.
func (c Config) withDefaults() Config {
	if c.MaxSessions == 0 {
		c.MaxSessions = defaultMaxSessions
	}
	if c.PoolWait == 0 {
		c.PoolWait = defaultPoolWait
	}
	if c.SignTimeout == 0 {
		c.SignTimeout = defaultSignTimeout
	}
	return c
}

// Validate reports everything that is wrong with the key's configuration, without touching a token.
func (k KeyConfig) Validate() error {
	var errs []error
	say := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("key %q: "+format, append([]any{k.Name}, args...)...))
	}
	if k.Name == "" {
		say("name is missing")
	}
	k.validateUse(say)
	if !k.From.IsZero() && !k.Retired.IsZero() && !k.From.Before(k.Retired.Time) {
		say("its time ends before it begins: from is %s, retired is %s", k.From.Format(time.RFC3339), k.Retired.Format(time.RFC3339))
	}
	switch {
	case k.Software != "" && k.Token != "":
		say("has both a token and a software key file; keep one")
	case k.Software == "" && k.Token == "":
		say("token is missing")
	}
	if k.SPKI != "" {
		if _, err := parseSPKI(k.SPKI); err != nil {
			say("spki: %w", err)
		}
	}
	return errors.Join(errs...)
}

// objectLabel is the CKA_LABEL to look for.
func (k KeyConfig) objectLabel() string {
	if k.Label != "" {
		return k.Label
	}
	return k.Name
}

func parseSPKI(s string) (artifact.Digest, error) {
	hex, ok := strings.CutPrefix(s, spkiPrefix)
	if !ok {
		return artifact.Digest{}, fmt.Errorf("%q does not start with %s", s, spkiPrefix)
	}
	return artifact.ParseDigest(hex)
}

// validateAll checks every token and key and how they refer to each other.
func validateAll(tokens []Config, keys []KeyConfig) error {
	var errs []error
	names := map[string]bool{}
	places := map[[2]string]string{}
	for _, c := range tokens {
		errs = append(errs, c.Validate())
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("token %q is configured twice", c.Name))
		}
		names[c.Name] = true
		place := [2]string{c.Module, c.Label}
		if other, ok := places[place]; ok && other != c.Name {
			errs = append(errs, fmt.Errorf("tokens %q and %q are the same token of the same module; keep one", other, c.Name))
		}
		places[place] = c.Name
	}
	seen := map[string]bool{}
	pins := map[string]string{}
	for _, k := range keys {
		errs = append(errs, k.Validate())
		if other, ok := pins[k.SPKI]; ok && k.SPKI != "" && other != k.Name {
			errs = append(errs, fmt.Errorf("keys %q and %q pin the same public key; under two names it would count as two signers, or stand in both lanes", other, k.Name))
		}
		pins[k.SPKI] = k.Name
		if seen[k.Name] {
			errs = append(errs, fmt.Errorf("key %q is configured twice", k.Name))
		}
		seen[k.Name] = true
		if k.Token != "" && !names[k.Token] {
			errs = append(errs, fmt.Errorf("key %q names the token %q, which is not configured", k.Name, k.Token))
		}
	}
	return errors.Join(errs...)
}
