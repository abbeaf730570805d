package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/belief"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// beliefWait bounds how long a judgement waits to learn what other replicas want believed.
const beliefWait = time.Second

// attestation is what makes signatures believable to those who pin no key. The zero value is that of a service without a
// trust section.
type attestation struct {
	log     *audit.Log
	notary  *notary.Notary
	beliefs *belief.Beliefs
}

// trustFiles is who the trust section says is believed, read from its files.
type trustFiles struct {
	issuing []*x509.Certificate // the root last
	time    []*x509.Certificate // of the built-in authority, the root last; none when there is none
	others  []trust.TSA         // authorities elsewhere
	former  [][]byte            // trusted roots
}

// caFiles are the files of certificates that the trust section names.
func (t *TrustConfig) caFiles() caFiles {
	return caFiles{Root: t.Root.Certificate, Issuing: t.CA.Certificate, Timestamping: t.Time.Certificate}
}

// read reads the files, all of them, and tells all that is wrong with them.
func (t *TrustConfig) read() (f trustFiles, err error) {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	f.issuing, err = t.caFiles().chain(trust.KindIssuing)
	note(err)
	if t.Time.Certificate != "" {
		f.time, err = t.caFiles().chain(trust.KindTimestamping)
		note(err)
	}
	for _, a := range t.Time.Authorities {
		chain, err := readCertificates(a.Certificates)
		note(err)
		f.others = append(f.others, trust.TSA{URL: a.URL, Chain: chain})
	}
	for _, former := range t.Former {
		content, err := os.ReadFile(former.Value)
		note(err)
		f.former = append(f.former, content)
	}
	return f, errors.Join(errs...)
}

// rootOf is the trusted root of this replica alone.
func (c *Config) rootOf(f trustFiles, keys *hsm.Keyring) ([]byte, error) {
	t := c.Trust.Value
	m := trust.Material{
		Logs:    []trust.LogKey{{Origin: c.logConfig().Origin, Public: c.logKey(keys).PublicKey}},
		SCTs:    []trust.SCTKey{{URL: t.Issuer, Public: serviceKey(keys, t.CA.SCT).PublicKey}},
		Issuers: []trust.Issuer{{URI: t.Issuer, Chain: f.issuing}},
	}
	if len(f.time) > 0 {
		m.Times = append(m.Times, trust.TimeAuthority{URI: t.Issuer + "/time", Chain: f.time})
	}
	for _, o := range f.others {
		m.Times = append(m.Times, trust.TimeAuthority{URI: o.URL, Chain: o.Chain})
	}
	return trust.BuildRoot(m)
}

// logKey is the key of this replica's log.
func (c *Config) logKey(keys *hsm.Keyring) hsm.Public {
	return serviceKey(keys, c.forReplica(c.Trust.Value.Log.Key))
}

func serviceKey(keys *hsm.Keyring, name string) (pub hsm.Public) {
	for _, k := range keys.ServiceKeys() {
		if k.Name == name {
			pub = k
		}
	}
	return pub
}

// clock is who gives time-stamps.
func (c *Config) clock(f trustFiles, keys *hsm.Keyring, o trust.StampOptions) (trust.Clock, error) {
	if len(f.others) > 0 {
		return trust.NewAuthorities(f.others, trust.AuthoritiesOptions{StampOptions: o})
	}
	signer, err := keys.Service(c.Trust.Value.Time.Key, hsm.UseTimestamp)
	if err != nil {
		return nil, err
	}
	return trust.NewStamper(signer, f.time, o)
}

// authority issues the certificates of artifact keys, none of them before a time that is known to have been.
func (c *Config) authority(f trustFiles, keys *hsm.Keyring, after time.Time) (*trust.Authority, error) {
	t := c.Trust.Value
	signer, err := keys.Service(t.CA.Key, hsm.UseIssuer)
	if err != nil {
		return nil, err
	}
	sct, err := keys.Service(t.CA.SCT, hsm.UseSCT)
	if err != nil {
		return nil, err
	}
	config := trust.AuthorityConfig{Key: signer, Chain: f.issuing, SCT: sct, Issuer: t.Issuer, Validity: t.CA.Validity, After: after}
	if cabf := t.CA.CABF; cabf.Pos != (strictyaml.Pos{}) {
		v := cabf.Value
		config.Profile, config.Addresses = trust.ProfileCABF, trust.Addresses{CRL: v.CRL, CAIssuers: v.CAIssuers}
		config.Subject = pkix.Name{CommonName: v.CommonName, Organization: []string{v.Organization}, Country: []string{v.Country}}
	}
	return trust.NewAuthority(config)
}

// attest opens the log and starts the notary, when there is a trust section. Keys and ledger are open.
func (s *service) attest(ctx context.Context) error {
	if !s.config.trusts() {
		return nil
	}
	a, c := &s.attested, s.config
	files, err := c.Trust.Value.read()
	if err != nil {
		return err
	}
	believed, err := c.believed(files, s.keys)
	if err != nil {
		return err
	}
	signer, err := s.keys.Service(c.forReplica(c.Trust.Value.Log.Key), hsm.UseLog)
	if err != nil {
		return err
	}
	if a.log, err = audit.Open(ctx, c.logConfig(), signer, s.ledger, audit.Options{Log: s.log, Registerer: s.metrics}); err != nil {
		return err
	}
	logged, err := a.log.Newest(ctx)
	if err != nil {
		return err
	}
	after, err := c.newest(ctx, logged, s.ledger)
	if err != nil {
		return err
	}
	authority, err := c.authority(files, s.keys, after)
	if err != nil {
		return err
	}
	clock, err := c.clock(files, s.keys, trust.StampOptions{After: after, Registerer: s.metrics, Log: s.log})
	if err != nil {
		return err
	}
	if a.beliefs, err = belief.Open(ctx, believed, s.ledger, s.log); err != nil {
		return err
	}
	a.notary, err = notary.New(notary.Config{
		Replica: s.ledger.Replica(), Version: version, Keys: append(s.keys.Keys(), s.keys.ServiceKeys()...), Configured: files.certificates(),
	}, notary.Parts{Records: a.log, Authority: authority, Clock: clock, Ledger: s.ledger, Identity: a.beliefs.Identity, Log: s.log, Registerer: s.metrics})
	if err != nil {
		return err
	}
	if err := files.watch(s.metrics); err != nil {
		return err
	}
	return a.notary.Start(ctx)
}

// certificates are those that are believed without having been issued here, each once.
func (f trustFiles) certificates() (all []*x509.Certificate) {
	chains := [][]*x509.Certificate{f.issuing, f.time}
	for _, o := range f.others {
		chains = append(chains, o.Chain)
	}
	for _, c := range slices.Concat(chains...) {
		if !slices.ContainsFunc(all, c.Equal) {
			all = append(all, c)
		}
	}
	return all
}

// watch tells by a metric how long certificates still live.
func (f trustFiles) watch(reg prometheus.Registerer) error {
	expiry, err := trust.NewExpiry(reg, nil)
	if err != nil {
		return err
	}
	expiry.Watch("root", f.issuing[len(f.issuing)-1])
	expiry.Watch("issuing", f.issuing[0])
	if len(f.time) > 0 {
		expiry.Watch("timestamping", f.time[0])
	}
	for _, o := range f.others {
		expiry.Watch(o.URL, o.Chain[0])
	}
	return nil
}

// trusted is who is believed besides the pinned keys; nobody without a trust section.
func (a *attestation) trusted() facts.Trusted {
	if a.beliefs == nil {
		return facts.Trusted{}
	}
	renew := func(ctx context.Context) facts.Trusted {
		ctx, cancel := context.WithTimeout(ctx, beliefWait)
		defer cancel()
		held := a.beliefs.Now(ctx)
		return facts.Trusted{Verifier: held.Verifier, Root: held.Digest}
	}
	trusted := renew(context.Background())
	trusted.Renew = renew
	return trusted
}

// close ends notary and log, in this order; it may be called on the zero value.
func (a *attestation) close() error {
	a.notary.Close()
	if a.log == nil {
		return nil
	}
	return a.log.Close()
}

// logHandler serves the log below /log/.
func (s *service) logHandler() http.Handler {
	return http.StripPrefix("/log", api.Log(values(s.config.API.Tokens), s.config.Trust.Value.Log.Public, s.attested.log.Handler(), s.log))
}
