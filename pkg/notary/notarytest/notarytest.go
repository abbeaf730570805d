// Package notarytest gives tests a realm: a root of trust with everything below it, made of the real parts with software
// keys. There is a log in a directory, an issuing authority, a time-stamping authority, and a notary on a ledger. Two realms
// of different names know nothing of each other.
package notarytest

import (
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Config says what is unlike the usual in a realm. The zero value is fine.
type Config struct {
	Name   string         // "hallmark"; realms of different names have different keys and addresses
	Ledger *ledger.Ledger // one of its own, on SQLite
	Keys   []hsm.Public   // that the notary says it has opened

	Configuration string // signing configuration that grants; none: certificates are for keys

	Validity time.Duration                   // of certificates; 24 h
	Log      func(notary.Log) notary.Log     // what the notary sees of the log
	Clock    func(trust.Clock) trust.Clock   // and of the clock
	Memory   func(audit.Memory) audit.Memory // what the log sees of the ledger
	Stamps   trust.StampOptions
	Still    bool // nothing happens in the background but what the log does
}

// Realm is a root of trust and what is below it. Its fields are for reading.
type Realm struct {
	t      testing.TB
	config Config

	Dir    string // of the log
	Origin string // of the log
	Issuer string // the address below which identities stand
	Keys   Keys
	Chains Chains

	Ledger    *ledger.Ledger
	Log       *audit.Log
	Authority *trust.Authority
	Clock     trust.Clock
	Notary    *notary.Notary
}

// Keys are the service's own.
type Keys struct{ Root, Issuing, SCT, Time, Log *sealtest.Key }

// Chains are certificates, the root last.
type Chains struct{ Issuing, Time []*x509.Certificate }

// New makes a realm that lives as long as the test.
func New(t testing.TB) *Realm {
	t.Helper()
	return NewWith(t, Config{})
}

// NewWith makes a realm that is unlike the usual.
func NewWith(t testing.TB, c Config) *Realm {
	t.Helper()
	c.Name = cmp.Or(c.Name, "hallmark")
	if c.Ledger == nil {
		c.Ledger = ledgertest.Open(t, ledger.SQLite)
	}
	r := &Realm{
		t: t, config: c, Dir: filepath.Join(t.TempDir(), "log"), Origin: "log." + c.Name + ".example", Issuer: "https://" + c.Name + ".example", Ledger: c.Ledger,
		Keys: Keys{Root: r256(t, c, "root"), Issuing: r256(t, c, "issuing"), SCT: r256(t, c, "sct"), Time: r256(t, c, "time"), Log: r256(t, c, "log")},
	}
	r.certify()
	r.open()
	t.Cleanup(r.Close)
	return r
}

func r256(t testing.TB, c Config, use string) *sealtest.Key {
	t.Helper()
	return sealtest.NewKey(t, "P-256", c.Name+" "+use)
}

// certify makes the certificates.
func (r *Realm) certify() {
	r.t.Helper()
	ctx := r.t.Context()
	order := func(what string) trust.Order {
		return trust.Order{Subject: pkix.Name{Organization: []string{r.config.Name}, CommonName: r.config.Name + " " + what}}
	}
	root := r.parse(trust.NewRoot(ctx, r.Keys.Root, order("root")))
	parent := trust.Parent{Key: r.Keys.Root, Chain: []*x509.Certificate{root}}
	r.Chains.Issuing = []*x509.Certificate{r.parse(trust.NewIssuing(ctx, parent, r.Keys.Issuing.Public(), order("issuing"))), root}
	r.Chains.Time = []*x509.Certificate{r.parse(trust.NewTimestamping(ctx, parent, r.Keys.Time.Public(), order("time"))), root}
}

func (r *Realm) parse(der []byte, err error) *x509.Certificate {
	r.t.Helper()
	require.NoError(r.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(r.t, err)
	return cert
}

// open opens the log and starts the notary.
func (r *Realm) open() {
	r.t.Helper()
	ctx := context.Background()
	var err error
	var memory audit.Memory = r.Ledger
	if r.config.Memory != nil {
		memory = r.config.Memory(memory)
	}
	r.Log, err = audit.Open(ctx, audit.Config{Dir: r.Dir, Origin: r.Origin}, r.Keys.Log, memory, audit.Options{Registerer: prometheus.NewRegistry()})
	require.NoError(r.t, err)
	after, err := r.Log.Newest(ctx)
	require.NoError(r.t, err)
	r.Authority, err = trust.NewAuthority(trust.AuthorityConfig{
		Key: r.Keys.Issuing, Chain: r.Chains.Issuing, SCT: r.Keys.SCT, Issuer: r.Issuer, Validity: r.config.Validity, After: after,
	})
	require.NoError(r.t, err)
	stamps := r.config.Stamps
	stamps.After = after
	stamper, err := trust.NewStamper(r.Keys.Time, r.Chains.Time, stamps)
	require.NoError(r.t, err)
	parts := notary.Parts{Records: r.Log, Authority: r.Authority, Clock: stamper, Ledger: r.Ledger, Registerer: prometheus.NewRegistry()}
	if r.config.Log != nil {
		parts.Records = r.config.Log(parts.Records)
	}
	if r.config.Clock != nil {
		parts.Clock = r.config.Clock(parts.Clock)
	}
	r.Clock = parts.Clock
	pause := time.Duration(0)
	if r.config.Still {
		pause = time.Hour
	}
	r.Notary, err = notary.New(notary.Config{
		Replica: r.Ledger.Replica(), Version: "test", Keys: r.config.Keys, Pause: pause,
		Configured: append(append([]*x509.Certificate{}, r.Chains.Issuing...), r.Chains.Time[0]),
	}, parts)
	require.NoError(r.t, err)
	require.NoError(r.t, r.Notary.Start(ctx))
}

// Close ends the process: notary and log. It may be called again.
func (r *Realm) Close() {
	r.Notary.Close()
	require.NoError(r.t, r.Log.Close())
}

// Restart ends the process and begins the next one, on the same log, with the ledger that is given or the old one.
func (r *Realm) Restart(l *ledger.Ledger) {
	r.t.Helper()
	r.Close()
	if l != nil {
		r.Ledger = l
	}
	r.open()
}

// Material is what the trusted root is made of.
func (r *Realm) Material() trust.Material {
	return trust.Material{
		Logs:    []trust.LogKey{{Origin: r.Origin, Public: r.Keys.Log.Public()}},
		SCTs:    []trust.SCTKey{{URL: r.Issuer, Public: r.Keys.SCT.Public()}},
		Issuers: []trust.Issuer{{URI: r.Issuer, Chain: r.Chains.Issuing}},
		Times:   []trust.TimeAuthority{{URI: r.Issuer + "/time", Chain: r.Chains.Time}},
	}
}

// TrustedRoot is trusted_root.json, all that a verifier needs.
func (r *Realm) TrustedRoot() []byte {
	r.t.Helper()
	root, err := trust.BuildRoot(r.Material())
	require.NoError(r.t, err)
	return root
}

// Verifier judges by the trusted root.
func (r *Realm) Verifier() *trust.Verifier {
	r.t.Helper()
	v, err := trust.NewVerifier(r.TrustedRoot())
	require.NoError(r.t, err)
	return v
}

// Replay ends the realm and reads the log as auditors do.
func (r *Realm) Replay() *audit.Report {
	r.t.Helper()
	r.Close()
	reader, err := audit.ReadDir(r.Dir)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, reader.Close()) }()
	head, err := reader.Head(r.t.Context(), []audit.Key{{Origin: r.Origin, Public: r.Keys.Log.Public()}})
	require.NoError(r.t, err)
	report, err := reader.Replay(r.t.Context(), audit.Replay{Head: head, AsOf: time.Now().Add(time.Minute), Grace: time.Nanosecond})
	require.NoError(r.t, err)
	return report
}

// RequireSound ends the realm; its log accounts for every use of a key, and the ledger for nothing else.
func (r *Realm) RequireSound() *audit.Report {
	r.t.Helper()
	require.NoError(r.t, r.Notary.Recover(r.t.Context()))
	open, err := r.Ledger.Unaccounted(r.t.Context(), r.Origin, 0, 10)
	require.NoError(r.t, err)
	require.Empty(r.t, open)
	report := r.Replay()
	for _, f := range report.All {
		require.False(r.t, f.Alarm, f.Text())
	}
	return report
}
