package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// TrustConfig is what makes signatures believable to those who do not pin keys: certificates, log, time. Without it
// signatures are bare.
type TrustConfig struct {
	Issuer string            `yaml:"issuer" required:"true" doc:"Address of this service as verifiers name it, such as https://hallmark.example, without a slash at the end: the issuer in certificates, below which the identities of keys and configurations stand. Nothing has to answer there. What was signed keeps it, so choose one that lasts."`
	Root   TrustRootConfig   `yaml:"root" required:"true" doc:"The root of trust. Its key is not needed here."`
	CA     TrustCAConfig     `yaml:"ca" required:"true" doc:"The authority that issues certificates of artifact keys."`
	Log    TrustLogConfig    `yaml:"log" required:"true" doc:"The log of every use of an artifact key. One log per replica."`
	Time   TrustTimeConfig   `yaml:"time" required:"true" doc:"Who says when a signature was made: either a key of our own, or authorities elsewhere."`
	Former []located[string] `yaml:"former" doc:"Files trusted_root.json whose logs and authorities are believed, too: what the ledger has not heard of, such as another service's. Replicas on one ledger, and what was configured here before, need none. An end in such a file counts for what the ledger lists, too."`
}

// TrustRootConfig is the root.
type TrustRootConfig struct {
	Certificate string `yaml:"certificate" required:"true" doc:"PEM file with the root's certificate."`
}

// TrustCAConfig is the issuing authority.
type TrustCAConfig struct {
	Key         string        `yaml:"key" required:"true" doc:"Name of a key with use issuer."`
	Certificate string        `yaml:"certificate" required:"true" doc:"PEM file with the certificate of that key, then those between it and the root, if there are any."`
	SCT         string        `yaml:"sct" required:"true" doc:"Name of a key with use sct, P-256 or RSA: stock verifiers demand the promise that it signs into each certificate."`
	Validity    time.Duration `yaml:"validity" default:"24h" doc:"How long a certificate is valid. A new one is issued after half of that. Signatures outlive it by their time-stamp."`

	CABF located[TrustCABFConfig] `yaml:"cabf" doc:"Have certificates keep the CA/Browser Forum's code signing requirements, for auditors who ask for them. hallmark ca init --cabf makes the authorities' own."`
}

// TrustCABFConfig is what the code signing requirements want to read in certificates of artifact keys.
type TrustCABFConfig struct {
	CommonName   string `yaml:"commonName" required:"true" doc:"Who signs, such as the organisation's name."`
	Organization string `yaml:"organization" required:"true" doc:"The organisation."`
	Country      string `yaml:"country" required:"true" doc:"Its country, two letters."`
	CRL          string `yaml:"crl" required:"true" doc:"http URL of the issuing authority's revocation list. Hallmark serves none: it revokes by distrust and by short lives."`
	CAIssuers    string `yaml:"caIssuers" required:"true" doc:"http URL of the issuing authority's certificate."`
}

// TrustLogConfig is the transparency log.
type TrustLogConfig struct {
	audit.Config `yaml:",inline"`
	Key          string `yaml:"key" required:"true" doc:"Name of a key with use log; P-256 if JavaScript clients are to verify. Each log has its own. In dir, origin, memory and key, {replica} stands for the name of the replica."`
	Public       bool   `yaml:"public" default:"false" doc:"Whether anybody may read the log at /log/. Otherwise it takes an API token with the role auditor. The log names artifacts, people and policies."`
}

// TrustTimeConfig is who gives time-stamps.
type TrustTimeConfig struct {
	Key         string           `yaml:"key" doc:"Name of a key with use timestamp, for the built-in authority."`
	Certificate string           `yaml:"certificate" doc:"PEM file with the certificate of that key, then those between it and the root, if there are any."`
	Disregard   hsm.Moment       `yaml:"disregard" doc:"A moment, such as 2036-01-01T00:00:00Z, up to which times in log and ledger are not held against the clock, because it was ahead when they were written. Otherwise nothing is stamped and no certificate issued while the clock is behind the newest of them; the error names it."`
	Authorities []TrustTSAConfig `yaml:"authorities" doc:"Authorities (RFC 3161) elsewhere, asked in this order: the next when one does not answer, or answers wrongly."`
}

// TrustTSAConfig is one time-stamping authority elsewhere.
type TrustTSAConfig struct {
	URL          string `yaml:"url" required:"true" doc:"Where requests are sent."`
	Certificates string `yaml:"certificates" required:"true" doc:"PEM file with the certificate that signs its tokens, and its chain up to its root."`
}

// trusts reports whether there is a trust section.
func (c *Config) trusts() bool { return c.Trust.Pos != strictyaml.Pos{} }

// paths are the files that the trust section names.
func (t *TrustConfig) paths() []*string {
	all := []*string{&t.Root.Certificate, &t.CA.Certificate, &t.Log.Dir, &t.Log.Memory, &t.Time.Certificate}
	for i := range t.Time.Authorities {
		all = append(all, &t.Time.Authorities[i].Certificates)
	}
	for i := range t.Former {
		all = append(all, &t.Former[i].Value)
	}
	return all
}

// replica is the name of this process among those that share the configuration.
func (c *Config) replica() string {
	if name := c.Database.Value.Replica; name != "" {
		return name
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "hallmark"
}

// forReplica fills in the replica's name.
func (c *Config) forReplica(s string) string { return strings.ReplaceAll(s, "{replica}", c.replica()) }

// logConfig is the log of this replica.
func (c *Config) logConfig() audit.Config {
	log := c.Trust.Value.Log.Config
	log.Dir, log.Origin, log.Memory = c.forReplica(log.Dir), c.forReplica(log.Origin), c.forReplica(log.Memory)
	return log
}

// minValidity leaves a certificate time to be used in.
const minValidity = 10 * time.Minute

// checkTrust judges the trust section; files are looked at when the service starts.
func (c *Config) checkTrust(k *checker) {
	if !c.trusts() {
		return
	}
	t, pos := c.Trust.Value, c.Trust.Pos
	say := func(where, format string, args ...any) { k.found(pos, "trust."+where, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(t.Issuer); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != t.Issuer || strings.HasSuffix(t.Issuer, "/") {
		say("issuer", "%q is not the address of a service, such as https://hallmark.example", t.Issuer)
	}
	k.found(pos, "trust.ca.key", c.hasKey(t.CA.Key, hsm.UseIssuer))
	k.found(pos, "trust.ca.sct", c.hasKey(t.CA.SCT, hsm.UseSCT))
	if t.CA.Validity != 0 && t.CA.Validity < minValidity {
		say("ca.validity", "%s is too short for a signature to be made in; write at least %s", t.CA.Validity, minValidity)
	}
	k.found(pos, "trust.log.key", c.hasKey(c.forReplica(t.Log.Key), hsm.UseLog))
	k.found(pos, "trust.log", c.logConfig().Validate())
	c.checkTime(k)
}

func (c *Config) checkTime(k *checker) {
	t, pos := c.Trust.Value.Time, c.Trust.Pos
	switch own, others := t.Key != "" || t.Certificate != "", len(t.Authorities) > 0; {
	case own == others:
		k.found(pos, "trust.time", errors.New("write either key and certificate, for the built-in authority, or authorities"))
	case own && (t.Key == "" || t.Certificate == ""):
		k.found(pos, "trust.time", errors.New("key and certificate are needed together"))
	case own:
		k.found(pos, "trust.time.key", c.hasKey(t.Key, hsm.UseTimestamp))
	}
	for i, a := range t.Authorities {
		if u, err := url.Parse(a.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			k.found(pos, fmt.Sprintf("trust.time.authorities[%d]", i), fmt.Errorf("url %q is not https://host/path", a.URL))
		}
	}
}

// hasKey reports why there is no key of that name for that use.
func (c *Config) hasKey(name string, use hsm.Use) error {
	for _, key := range values(c.Keys) {
		if key.Name != name {
			continue
		}
		if found := key.UseOrDefault(); found != use {
			return fmt.Errorf("key %q has use %s, expected a key with use %s", name, found, use)
		}
		return nil
	}
	return fmt.Errorf("key %q is not in keys; make one with: hallmark keys generate %s, and configure it with use: %s", name, name, use)
}
