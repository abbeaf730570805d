package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// authorities is what ca init made, or found.
type authorities struct {
	Keys         []authorityKey    `json:"keys"`
	Certificates []certificateView `json:"certificates"`
	YAML         string            `json:"yaml"` // for the configuration
}

type authorityKey struct {
	Name      string  `json:"name"`
	Token     string  `json:"token"`
	Use       hsm.Use `json:"use"`
	Algorithm string  `json:"algorithm"`
	SPKI      string  `json:"spki"`
	Made      bool    `json:"made"`       // now; otherwise it was there
	Known     bool    `json:"configured"` // in the configuration already
}

// initPlan is what ca init was asked for.
type initPlan struct {
	config            *Config
	files             caFiles
	issuer, origin    string
	token, rootToken  string
	suffix            string
	algorithm, rootAs hsm.Algorithm
	withoutTime       bool
	subject           func(string) pkix.Name
	profile           trust.Profile
	addresses         trust.Addresses
	rootLife, life    time.Duration
	title             string
}

func newCAInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init --token NAME --issuer URL",
		Short: "Make root, issuing authority and time-stamping key, and the keys of the log",
		Long: `Make root, issuing authority and time-stamping key: their keys on the tokens, and their certificates
as files. Makes the keys of the log and of its promise in certificates (sct) too, and prints what to
put into the configuration.

A key that the configuration has for a use, or that the token holds under the name, is taken as it
is; so is a certificate file that is of that key and still valid. So it can be run again after a
failure, and makes only what is missing. It never writes over a file.

The root may be on another token (--root-token). It is needed here, and later to renew the others
(hallmark ca issue); no service opens it. Take that token away and keep it safe.

--issuer is the address of the service as verifiers will name it. It stands in every certificate:
choose one that lasts.`,
		Example: `  hallmark ca init --token hsm --issuer https://hallmark.example --organization Example
  hallmark ca init --token hsm --root-token safe --issuer https://hallmark.example --organization Example
  hallmark ca init --token hsm --issuer https://hallmark.example --suffix 2027 --dir trust-2027 -o json`,
		Args: cobra.NoArgs,
	}
	p := &initPlan{}
	config, output, dir := configFlag(cmd), outputFlag(cmd), caDirFlag(cmd)
	var algorithm, rootAlgorithm string
	cmd.Flags().StringVar(&p.token, "token", "", "token of the configuration for the keys")
	cmd.Flags().StringVar(&p.rootToken, "root-token", "", "token for the root's key (default: that of the others)")
	cmd.Flags().StringVar(&p.issuer, "issuer", "", "address of the service, such as https://hallmark.example, without a slash at the end")
	cmd.Flags().StringVar(&p.origin, "origin", "", "name of the log (default: the host of --issuer)")
	cmd.Flags().StringVar(&p.suffix, "suffix", "", "what new keys' names end in (default: the year)")
	cmd.Flags().StringVar(&p.title, "name", "Hallmark", "what certificates' common names begin with")
	cmd.Flags().StringVar(&algorithm, "algorithm", string(hsm.P256), "of the issuing and the time-stamping key: one of "+algorithmNames())
	cmd.Flags().StringVar(&rootAlgorithm, "root-algorithm", string(hsm.P384), "of the root's key: one of "+algorithmNames())
	cmd.Flags().BoolVar(&p.withoutTime, "without-time", false, "make no time-stamping key: authorities elsewhere tell the time")
	cmd.Flags().DurationVar(&p.rootLife, "root-life", 0, "how long the root's certificate lives (default: 20 years)")
	cmd.Flags().DurationVar(&p.life, "life", 0, "how long the others live (default: 5 years)")
	p.subject = subjectFlags(cmd)
	profile := profileFlags(cmd)
	for _, required := range []string{"token", "issuer"} {
		_ = cmd.MarkFlagRequired(required)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if p.config, err = loadTokens(*config); err != nil {
			return err
		}
		p.files, p.algorithm, p.rootAs = p.config.filesIn(*dir), hsm.Algorithm(algorithm), hsm.Algorithm(rootAlgorithm)
		p.profile, p.addresses = profile()
		made, err := p.run(cmd.Context())
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, made, made.text)
	}
	return cmd
}

// run checks everything that can be checked, then makes keys, then certificates.
func (p *initPlan) run(ctx context.Context) (*authorities, error) {
	if err := p.sameRootToken(); err != nil {
		return nil, err
	}
	p.rootToken, p.suffix, p.origin = cmp.Or(p.rootToken, p.token), cmp.Or(p.suffix, fmt.Sprint(time.Now().Year())), cmp.Or(p.origin, trust.HostOf(p.issuer))
	for _, name := range []string{p.token, p.rootToken} {
		if _, err := p.config.token(name); err != nil {
			return nil, err
		}
	}
	if err := trust.CheckIssuer(p.issuer); err != nil {
		return nil, err
	}
	for _, a := range []hsm.Algorithm{p.algorithm, p.rootAs} {
		if !slices.Contains(hsm.Algorithms(), a) {
			return nil, fmt.Errorf("algorithm %q is unknown: one of %s", a, algorithmNames())
		}
	}
	if err := p.config.noneOf(p.files, p.withoutTime); err != nil {
		return nil, err
	}
	if err := p.checkLife(time.Now()); err != nil {
		return nil, err
	}
	if err := p.rehearse(ctx); err != nil {
		return nil, err
	}
	made, keys := &authorities{}, map[hsm.Use]hsm.KeyConfig{}
	for _, use := range p.uses() {
		key, view, err := p.key(ctx, use)
		if err != nil {
			return nil, err
		}
		keys[use], made.Keys = key, append(made.Keys, view)
	}
	if err := p.certify(ctx, keys); err != nil {
		return nil, err
	}
	for _, k := range made.Keys { // what is shown knows the new keys
		if !k.Known {
			p.config.Keys = append(p.config.Keys, located[hsm.KeyConfig]{Value: keys[k.Use]})
		}
	}
	var err error
	made.Certificates, err = p.config.showCertificates(p.files, time.Now())
	made.YAML = p.yaml(made)
	return made, err
}

func (p *initPlan) uses() []hsm.Use {
	uses := []hsm.Use{hsm.UseRoot, hsm.UseIssuer, hsm.UseTimestamp, hsm.UseSCT, hsm.UseLog}
	if p.withoutTime {
		uses = slices.DeleteFunc(uses, func(u hsm.Use) bool { return u == hsm.UseTimestamp })
	}
	return uses
}

// key finds the key for a use, or makes it.
func (p *initPlan) key(ctx context.Context, use hsm.Use) (hsm.KeyConfig, authorityKey, error) {
	t := p.config.Trust.Value
	named := map[hsm.Use]string{hsm.UseIssuer: t.CA.Key, hsm.UseTimestamp: t.Time.Key, hsm.UseSCT: t.CA.SCT, hsm.UseLog: t.Log.Key}[use]
	other := use == hsm.UseLog && p.otherLog()
	if other && named == string(use)+"-"+p.suffix {
		return hsm.KeyConfig{}, authorityKey{}, fmt.Errorf("the key %s signs the log %s, and every log has a key of its own: choose another --suffix, or --origin %s", named, t.Log.Origin, t.Log.Origin)
	}
	for _, k := range values(p.config.Keys) {
		if k.Use == use && (other && named != k.Name || !other && (named == "" || named == k.Name)) {
			return k, authorityKey{Name: k.Name, Token: k.Token, Use: use, SPKI: k.SPKI, Known: true}, nil
		}
	}
	k := hsm.KeyConfig{Name: string(use) + "-" + p.suffix, Token: p.token, Use: use}
	algorithm := p.algorithm
	switch use {
	case hsm.UseRoot:
		k.Token, algorithm = p.rootToken, p.rootAs
	case hsm.UseSCT, hsm.UseLog:
		algorithm = hsm.P256 // what every verifier takes
	}
	if err := seal.CheckKeyName(k.Name); err != nil {
		return k, authorityKey{}, err
	}
	token, err := p.config.token(k.Token)
	if err != nil {
		return k, authorityKey{}, err
	}
	view := authorityKey{Name: k.Name, Token: k.Token, Use: use, Algorithm: string(algorithm)}
	made, err := hsm.Generate(ctx, token, hsm.GenerateRequest{Label: k.Name, Algorithm: algorithm})
	switch {
	case errors.Is(err, hsm.ErrLabelTaken):
		found, err := onToken(ctx, token, k.Name)
		if err != nil {
			return k, view, err
		}
		view.SPKI, view.Algorithm = found.SPKI, found.Algorithm
	case err != nil:
		return k, view, err
	default:
		view.SPKI, view.Made = made.Public.Pin(), true
	}
	k.SPKI = view.SPKI
	return k, view, nil
}

// onToken is the key that bears a label already; it must be one that can sign and cannot leave.
func onToken(ctx context.Context, t hsm.Config, label string) (hsm.KeyInfo, error) {
	all, err := hsm.List(ctx, t)
	if err != nil {
		return hsm.KeyInfo{}, err
	}
	for _, k := range all {
		if a := k.Attributes; k.Label == label && k.Problem == "" && (a.Extractable == nil || !*a.Extractable) && (a.Sensitive == nil || *a.Sensitive) {
			return k, nil
		}
	}
	return hsm.KeyInfo{}, fmt.Errorf("the label %q is taken on token %s, and not by a key that can be used; choose another --suffix", label, t.Name)
}

// noneOf refuses before anything is made when a file is there that is no certificate: it would be found too late.
func (c *Config) noneOf(files caFiles, withoutTime bool) error {
	for _, kind := range []trust.Kind{trust.KindRoot, trust.KindIssuing, trust.KindTimestamping} {
		if kind == trust.KindTimestamping && withoutTime {
			continue
		}
		if _, err := readCertificates(files.of(kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// certify makes the certificates that are not there.
func (p *initPlan) certify(ctx context.Context, keys map[hsm.Use]hsm.KeyConfig) error {
	var needed []hsm.KeyConfig
	for _, use := range []hsm.Use{hsm.UseRoot, hsm.UseIssuer, hsm.UseTimestamp} {
		if k, ok := keys[use]; ok {
			needed = append(needed, k)
		}
	}
	complete := true
	for _, kind := range p.kinds() {
		have, err := p.have(kind, keys[useOf(kind)])
		if err != nil {
			return err
		}
		complete = complete && have
	}
	if complete {
		return nil // and no key is used
	}
	return p.config.withKeys(ctx, needed, func(ring *hsm.Keyring) error {
		root, err := ring.Service(keys[hsm.UseRoot].Name, hsm.UseRoot)
		if err != nil {
			return err
		}
		for _, kind := range p.kinds() {
			if have, err := p.have(kind, keys[useOf(kind)]); have || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := p.make(ctx, ring, root, kind, keys[useOf(kind)].Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *initPlan) kinds() []trust.Kind {
	if p.withoutTime {
		return []trust.Kind{trust.KindRoot, trust.KindIssuing}
	}
	return []trust.Kind{trust.KindRoot, trust.KindIssuing, trust.KindTimestamping}
}

// have reports whether the certificate of a kind is there. One that is there and cannot be used is an error.
func (p *initPlan) have(kind trust.Kind, key hsm.KeyConfig) (bool, error) {
	chain, err := p.files.chain(kind)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := readCertificates(p.files.of(kind)); err == nil {
			return false, fmt.Errorf("%s is there, and its root %s is not; move it away", p.files.of(kind), p.files.Root)
		}
		return false, nil
	}
	if err == nil {
		if found := spkiOf(chain[0]); found != key.SPKI {
			err = fmt.Errorf("it is of the key %s, and the key %s is %s", found, key.Name, key.SPKI)
		} else {
			err = trust.CheckChain(chain, kind, nil, time.Now())
		}
	}
	if err != nil {
		return false, fmt.Errorf("%s is there and cannot be used: %w; move it away, or name another --dir", p.files.of(kind), err)
	}
	return true, nil
}

// order is what the certificate of a kind is to say.
func (p *initPlan) order(kind trust.Kind) trust.Order {
	o := trust.Order{Life: p.life, Profile: p.profile, Addresses: p.addresses}
	switch kind {
	case trust.KindRoot:
		o.Subject, o.Life = p.subject(p.title+" Root "+p.suffix), p.rootLife
	case trust.KindIssuing:
		o.Subject = p.subject(p.title + " Issuing " + p.suffix)
	default:
		o.Subject = p.subject(p.title + " Time-stamping " + p.suffix)
	}
	return o
}

func (p *initPlan) make(ctx context.Context, ring *hsm.Keyring, root *hsm.Signer, kind trust.Kind, name string) error {
	if kind == trust.KindRoot {
		der, err := trust.NewRoot(ctx, root, p.order(kind))
		return p.store(kind, der, err)
	}
	key, err := ring.Service(name, useOf(kind))
	if err != nil {
		return err
	}
	top, err := p.files.chain(trust.KindRoot)
	if err != nil {
		return err
	}
	parent, certify := trust.Parent{Key: root, Chain: top}, trust.NewTimestamping
	if kind == trust.KindIssuing {
		certify = trust.NewIssuing
	}
	der, err := certify(ctx, parent, key.Public(), p.order(kind))
	return p.store(kind, der, err)
}

func (p *initPlan) store(kind trust.Kind, der []byte, err error) error {
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading the new certificate: %w", err)
	}
	if err := writeNew(p.files.of(kind), trust.PEMChain(c), false); err != nil {
		return fmt.Errorf("writing the certificate (%s): %w", kind, err)
	}
	return nil
}

// yaml is what the configuration needs beside what it has.
func (p *initPlan) yaml(made *authorities) string {
	var b strings.Builder
	missing := slices.DeleteFunc(slices.Clone(made.Keys), func(k authorityKey) bool { return k.Known })
	if len(missing) > 0 {
		b.WriteString("keys:\n")
	}
	named := map[hsm.Use]string{}
	for _, k := range made.Keys {
		named[k.Use] = k.Name
	}
	for _, k := range missing {
		fmt.Fprintf(&b, "  - {name: %s, token: %s, use: %s, spki: %q}\n", k.Name, k.Token, k.Use, k.SPKI)
	}
	fmt.Fprintf(&b, "trust:\n  issuer: %s\n  root: {certificate: %s}\n", p.issuer, p.place(p.files.Root))
	fmt.Fprintf(&b, "  ca: {key: %s, certificate: %s, sct: %s}\n", named[hsm.UseIssuer], p.place(p.files.Issuing), named[hsm.UseSCT])
	fmt.Fprintf(&b, "  log: {dir: %s, origin: %s, key: %s}\n", p.logDir(), p.origin, named[hsm.UseLog])
	if p.withoutTime {
		b.WriteString("  time: {authorities: [{url: https://tsa.example/tsr, certificates: tsa.pem}]} # write yours\n")
	} else {
		fmt.Fprintf(&b, "  time: {key: %s, certificate: %s}\n", named[hsm.UseTimestamp], p.place(p.files.Timestamping))
	}
	return b.String()
}

// place is a file as the configuration names it: from its own directory when it lies below.
func (p *initPlan) place(file string) string {
	dir, err := filepath.Abs(filepath.Dir(p.config.file))
	if err != nil {
		return file
	}
	whole, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(dir, whole); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return whole
}

func (a *authorities) text(w io.Writer) {
	rows := make([][]string, len(a.Keys))
	for i, k := range a.Keys {
		state := "found"
		if k.Made {
			state = "made"
		}
		rows[i] = []string{state, k.Name, string(k.Use), k.Token, k.SPKI}
	}
	table(w, []string{"", "KEY", "USE", "TOKEN", "SPKI"}, rows)
	fmt.Fprintln(w)
	certificatesText(w, a.Certificates)
	fmt.Fprintf(w, "\nput this into the configuration\n%s", a.YAML)
}
