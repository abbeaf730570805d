package main

import (
	"cmp"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
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
