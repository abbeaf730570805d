package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Make, show and renew the certificates that signatures chain to",
		Long: `Make, show and renew the certificates that signatures chain to: a root, an authority that issues the
short-lived certificates of signing keys, and a time-stamping key. Their private keys are made on
tokens and never leave them. The root's may be on another token, which is needed here and by no
running service.

An authority of your own organisation can take the root's place: hallmark ca csr, then
hallmark ca import.`,
		Example: `  hallmark ca init --token hsm --root-token safe --issuer https://hallmark.example --organization Example
  hallmark ca show`,
	}
	cmd.AddCommand(newCAInit(), newCAShow(), newCAIssue(), newCACSR(), newCAImport())
	return cmd
}

// certificateView is a certificate as ca show prints it.
type certificateView struct {
	Kind        trust.Kind `json:"kind"`
	File        string     `json:"file"`
	Subject     string     `json:"subject"`
	Issuer      string     `json:"issuer"`
	Serial      string     `json:"serial"`
	From        time.Time  `json:"from"`
	Until       time.Time  `json:"until"`
	DaysLeft    int        `json:"daysLeft"`
	Key         string     `json:"key,omitempty"`       // of the configuration
	Authority   string     `json:"authority,omitempty"` // elsewhere: its address
	SPKI        string     `json:"spki"`
	Fingerprint string     `json:"fingerprint"`       // SHA-256 over the certificate
	Problem     string     `json:"problem,omitempty"` // why it cannot be used
	Warning     string     `json:"warning,omitempty"` // what should be done before long
}

func newCAShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the authorities' certificates, how long they live and whether they hold together",
		Long: `Show the certificates of root, issuing authority and time-stamping key: whose key each is of, how
long it lives, its fingerprint, and whether it chains to the root. No token is asked.

Exit status: 0 all well, 1 a certificate cannot be used, 2 could not look.`,
		Example: `  hallmark ca show --config /etc/hallmark/hallmark.yaml
  hallmark ca show --dir trust -o json`,
		Args: cobra.NoArgs,
	}
	config, output, dir := configFlag(cmd), outputFlag(cmd), caDirFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		all, err := c.showCertificates(c.filesIn(*dir), time.Now())
		if err != nil {
			return err
		}
		if err := show(cmd.OutOrStdout(), *output, all, func(w io.Writer) { certificatesText(w, all) }); err != nil {
			return err
		}
		for _, v := range all {
			if v.Problem != "" {
				return &refusedError{}
			}
		}
		return nil
	}
	return cmd
}

// showCertificates judges every certificate that is there; the time-stamping one may be missing.
func (c *Config) showCertificates(files caFiles, now time.Time) ([]certificateView, error) {
	var all []certificateView
	for _, kind := range []trust.Kind{trust.KindRoot, trust.KindIssuing, trust.KindTimestamping} {
		if kind == trust.KindTimestamping && c.trusts() && len(c.Trust.Value.Time.Authorities) > 0 {
			continue // whatever lies there is not used
		}
		chain, err := files.chain(kind)
		switch {
		case kind == trust.KindTimestamping && !c.trusts() && errors.Is(err, fs.ErrNotExist):
			continue // the time is told by others
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w; make it with: hallmark ca init", err)
		case err != nil:
			return nil, err
		}
		v := c.viewOf(kind, chain[0], now)
		v.File = files.of(kind)
		if err := trust.CheckChain(chain, kind, nil, now); err != nil {
			v.Problem = err.Error()
		} else {
			v.Problem = c.foreign(kind, v)
		}
		all = append(all, v)
	}
	return append(all, c.elsewhere(now)...), nil
}

// foreign says why a certificate is not that of the configured key; empty when it is.
func (c *Config) foreign(kind trust.Kind, v certificateView) string {
	want := c.certified(kind)
	switch {
	case kind == trust.KindRoot || v.Key != "" && (want == "" || want == v.Key):
		return ""
	case want != "":
		return fmt.Sprintf("it is of the key %s, and the configuration names %s for it", cmp.Or(v.Key, v.SPKI), want)
	default:
		return fmt.Sprintf("it is of no key with use %s of the configuration", useOf(kind))
	}
}

// certified is the key that the trust section names for a kind of certificate; empty without one.
func (c *Config) certified(kind trust.Kind) string {
	switch t := c.Trust.Value; kind {
	case trust.KindIssuing:
		return t.CA.Key
	case trust.KindTimestamping:
		return t.Time.Key
	default:
		return ""
	}
}

// elsewhere judges the certificates of time-stamping authorities that are not ours.
func (c *Config) elsewhere(now time.Time) []certificateView {
	var all []certificateView
	for _, a := range c.Trust.Value.Time.Authorities {
		chain, err := readCertificates(a.Certificates)
		v := certificateView{Kind: trust.KindTimestamping}
		if err == nil {
			v = c.viewOf(trust.KindTimestamping, chain[0], now)
			err = trust.CheckChain(chain, trust.KindTimestamping, nil, now)
		}
		if err != nil {
			v.Problem = err.Error()
		}
		if v.Warning != "" {
			v.Warning = "ask who runs it for its next certificate, and add that to the file"
		}
		v.File, v.Authority, v.Key = a.Certificates, a.URL, ""
		all = append(all, v)
	}
	return all
}

func (c *Config) viewOf(kind trust.Kind, cert *x509.Certificate, now time.Time) certificateView {
	print := sha256.Sum256(cert.Raw)
	v := certificateView{
		Kind: kind, Subject: cert.Subject.String(), Issuer: cert.Issuer.String(), Serial: cert.SerialNumber.Text(16), From: cert.NotBefore, Until: cert.NotAfter,
		DaysLeft: int(cert.NotAfter.Sub(now).Hours() / 24), SPKI: spkiOf(cert), Fingerprint: "sha256:" + hex.EncodeToString(print[:]),
	}
	for _, k := range values(c.Keys) {
		if k.SPKI == v.SPKI && k.Use == useOf(kind) {
			v.Key = k.Name
		}
	}
	if left := cert.NotAfter.Sub(now); left > 0 && left < trust.ExpiryWarning {
		v.Warning = "renew it: hallmark ca issue " + string(kind)
		if kind == trust.KindRoot {
			v.Warning = "make a new root beside it, and give its certificate to everyone who verifies"
		}
	}
	return v
}

// spkiOf is the public key of a certificate as configuration pins it.
func spkiOf(cert *x509.Certificate) string {
	return "sha256:" + spkiSum(cert).String()
}

func spkiSum(cert *x509.Certificate) artifact.Digest {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// useOf is what the key of a certificate is for.
func useOf(kind trust.Kind) hsm.Use {
	switch kind {
	case trust.KindRoot:
		return hsm.UseRoot
	case trust.KindIssuing:
		return hsm.UseIssuer
	case trust.KindTimestamping:
		return hsm.UseTimestamp
	default:
		return hsm.UseArtifact
	}
}

func certificatesText(w io.Writer, all []certificateView) {
	rows := make([][]string, len(all))
	for i, v := range all {
		rows[i] = []string{string(v.Kind), v.Subject, orDash(cmp.Or(v.Key, v.Authority)), v.Until.Format("2006-01-02 15:04 UTC"), fmt.Sprintf("%d days", v.DaysLeft), v.Fingerprint}
	}
	table(w, []string{"CERTIFICATE", "SUBJECT", "KEY", "UNTIL", "LEFT", "FINGERPRINT"}, rows)
	for _, v := range all {
		if v.Kind == trust.KindRoot {
			fmt.Fprintf(w, "\nfingerprint of the root's key, for hallmark trust export --fingerprint: %s\n", v.SPKI)
		}
		if v.Problem != "" {
			fmt.Fprintf(w, "\nCANNOT BE USED  %s\n  %s\n", v.File, v.Problem)
		}
		if v.Warning != "" {
			fmt.Fprintf(w, "\nwarning  %s\n  %s\n", v.File, v.Warning)
		}
	}
}

// subjectFlags adds what certificates say of whose they are.
func subjectFlags(cmd *cobra.Command) func(name string) pkix.Name {
	organization := cmd.Flags().String("organization", "", "organisation that certificates name")
	country := cmd.Flags().String("country", "", "its country, two letters")
	return func(name string) pkix.Name {
		n := pkix.Name{CommonName: name}
		if *organization != "" {
			n.Organization = []string{*organization}
		}
		if *country != "" {
			n.Country = []string{*country}
		}
		return n
	}
}

// profileFlags adds the rules beyond RFC 5280 that certificates keep.
func profileFlags(cmd *cobra.Command) func() (trust.Profile, trust.Addresses) {
	cabf := cmd.Flags().Bool("cabf", false, "keep the CA/Browser Forum's code signing requirements; wants --organization, --country, --crl and --ca-issuers")
	crl := cmd.Flags().String("crl", "", "http URL of the issuer's revocation list")
	issuers := cmd.Flags().String("ca-issuers", "", "http URL of the issuer's certificate")
	return func() (trust.Profile, trust.Addresses) {
		if *cabf {
			return trust.ProfileCABF, trust.Addresses{CRL: *crl, CAIssuers: *issuers}
		}
		return trust.ProfilePrivate, trust.Addresses{}
	}
}

// withKeys opens these keys, and no others, while f runs.
func (c *Config) withKeys(ctx context.Context, keys []hsm.KeyConfig, f func(*hsm.Keyring) error) error {
	var tokens []hsm.Config
	for _, t := range values(c.Tokens) {
		for _, k := range keys {
			if k.Token == t.Name {
				tokens = append(tokens, t)
				break
			}
		}
	}
	ring, err := hsm.Open(ctx, tokens, keys, hsm.Options{Root: true})
	if err != nil {
		return fmt.Errorf("opening keys: %w", err)
	}
	defer ring.Close()
	return f(ring)
}
