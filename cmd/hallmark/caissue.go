package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// issued is the answer of ca issue and ca import.
type issued struct {
	Certificate certificateView `json:"certificate"`
	Kept        string          `json:"kept,omitempty"` // where the certificate that it replaced is now
	Next        string          `json:"next"`
}

func newCAIssue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issue issuing|timestamping",
		Short: "Renew the issuing or the time-stamping certificate, or make one for a new key",
		Long: `Renew the certificate of the issuing authority or of the time-stamping key, or make one for a new
key. The root's key signs it, once: its token must be there, and the configuration must name both.

Without --out the new certificate takes the place of the old one, which is kept beside it. What was
signed before still needs the old one, which the ledger remembers. A new issuing key has to be
introduced by the old one: leave that under keys until every replica has started with both.
Services read their certificates when they start.`,
		Example: `  hallmark ca issue issuing --config root.yaml
  hallmark ca issue timestamping --key timestamp-2027 --out trust/timestamping-2027.pem
  hallmark ca issue issuing --life 43800h -o json`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(trust.KindIssuing), string(trust.KindTimestamping)},
	}
	config, output, dir := configFlag(cmd), outputFlag(cmd), caDirFlag(cmd)
	name := cmd.Flags().String("key", "", "key of the configuration to certify (default: the only one with that use)")
	out := cmd.Flags().String("out", "", "new file to write instead of replacing the certificate that is there")
	title := cmd.Flags().String("name", "", "common name (default: that of the certificate that is there)")
	life := cmd.Flags().Duration("life", 0, "how long it lives (default: 5 years)")
	subject, profile := subjectFlags(cmd), profileFlags(cmd)
	completeKeys(cmd, config)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		files, kind := c.filesIn(*dir), trust.Kind(args[0])
		order := trust.Order{Life: *life}
		order.Profile, order.Addresses = profile()
		if old, err := readCertificates(files.of(kind)); err == nil {
			order.Subject = old[0].Subject
		}
		if *title != "" || order.Subject.CommonName == "" {
			order.Subject = subject(cmp.Or(*title, "Hallmark "+map[trust.Kind]string{trust.KindIssuing: "Issuing", trust.KindTimestamping: "Time-stamping"}[kind]))
		}
		made, err := c.renew(cmd.Context(), files, kind, *name, order)
		if err != nil {
			return err
		}
		answer, err := c.place(files, kind, []*x509.Certificate{made}, *out, true)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, answer, answer.text)
	}
	return cmd
}

// completeKeys lets --key be completed.
func completeKeys(cmd *cobra.Command, config *string) {
	_ = cmd.RegisterFlagCompletionFunc("key", complete(config, func(c *Config) (names []string) {
		for _, k := range values(c.Keys) {
			if k.UseOrDefault() != hsm.UseArtifact {
				names = append(names, k.Name)
			}
		}
		return names
	}))
}

// keyFor is the key that a kind of certificate is made for: the one that is asked for, the one that the trust section
// names, or the only one there is.
func (c *Config) keyFor(kind trust.Kind, name string) (hsm.KeyConfig, error) {
	return c.serviceKey(useOf(kind), cmp.Or(name, c.certified(kind)))
}

// serviceKey is the key of the configuration with this use; name is needed when there are several.
func (c *Config) serviceKey(use hsm.Use, name string) (hsm.KeyConfig, error) {
	var found []hsm.KeyConfig
	for _, k := range values(c.Keys) {
		switch {
		case k.Name == name && k.UseOrDefault() != use:
			return k, fmt.Errorf("%w: %s has use %s, not %s", hsm.ErrKeyUse, name, k.UseOrDefault(), use)
		case k.Use == use && (name == "" || name == k.Name):
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return hsm.KeyConfig{}, fmt.Errorf("the configuration has no key %swith use %s; make one with: hallmark keys generate %s-%d --token NAME --use %s", spaced(name), use, use, time.Now().Year(), use)
	case 1:
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, k := range found {
		names[i] = k.Name
	}
	return hsm.KeyConfig{}, fmt.Errorf("the configuration has several keys with use %s: choose one of %s with --key", use, strings.Join(names, ", "))
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

// renew has the root certify a key.
func (c *Config) renew(ctx context.Context, files caFiles, kind trust.Kind, name string, order trust.Order) (*x509.Certificate, error) {
	top, err := files.chain(trust.KindRoot)
	if err != nil {
		return nil, err
	}
	if err := withinRoot(order.Life, time.Now(), top[0].NotAfter); err != nil {
		return nil, err
	}
	var rootKey hsm.KeyConfig
	for _, k := range values(c.Keys) {
		if k.Use == hsm.UseRoot && k.SPKI == spkiOf(top[0]) {
			rootKey = k
		}
	}
	if rootKey.Name == "" {
		return nil, fmt.Errorf("the configuration has no key with use root that %s is of: list it with its token, spki %s", files.Root, spkiOf(top[0]))
	}
	key, err := c.keyFor(kind, name)
	if err != nil {
		return nil, err
	}
	var der []byte
	err = c.withKeys(ctx, []hsm.KeyConfig{rootKey, key}, func(ring *hsm.Keyring) error {
		root, err := ring.Service(rootKey.Name, hsm.UseRoot)
		if err != nil {
			return err
		}
		certified, err := ring.Service(key.Name, useOf(kind))
		if err != nil {
			return err
		}
		parent := trust.Parent{Key: root, Chain: top}
		if kind == trust.KindIssuing {
			der, err = trust.NewIssuing(ctx, parent, certified.Public(), order)
		} else {
			der, err = trust.NewTimestamping(ctx, parent, certified.Public(), order)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// place writes certificates of one kind, root excluded: to out, or where that kind lies. What lies there is kept beside
// it, and only replaced when that was asked for.
func (c *Config) place(files caFiles, kind trust.Kind, chain []*x509.Certificate, out string, replace bool) (*issued, error) {
	answer := &issued{Certificate: c.viewOf(kind, chain[0], time.Now())}
	answer.Certificate.File = cmp.Or(out, files.of(kind))
	old, err := readCertificates(answer.Certificate.File)
	if err == nil && out == "" && replace {
		answer.Kept = kept(answer.Certificate.File, old[0])
		if err := writeNew(answer.Kept, trust.PEMChain(old...), false); err != nil {
			return nil, fmt.Errorf("keeping the certificate that is replaced: %w", err)
		}
	}
	if err := writeNew(answer.Certificate.File, trust.PEMChain(chain...), out == "" && replace); err != nil {
		return nil, fmt.Errorf("writing the certificate: %w", err)
	}
	switch {
	case out != "":
		answer.Next = "name the file in the configuration, leave the old key under keys, and restart every replica"
	case answer.Kept != "":
		answer.Next = "restart every replica; what was signed with the old certificate stays believed, for the ledger remembers it (hallmark doctor)"
	default:
		answer.Next = "hallmark ca show"
	}
	return answer, nil
}

// kept is where a certificate that is replaced is put: beside it, by the end of its life and its number.
func kept(file string, c *x509.Certificate) string {
	extension := filepath.Ext(file)
	return fmt.Sprintf("%s-until-%s-%.8s%s", strings.TrimSuffix(file, extension), c.NotAfter.UTC().Format(time.DateOnly), c.SerialNumber.Text(16), extension)
}

func (i *issued) text(w io.Writer) {
	certificatesText(w, []certificateView{i.Certificate})
	fmt.Fprintf(w, "\nwritten  %s\n", i.Certificate.File)
	if i.Kept != "" {
		fmt.Fprintf(w, "kept     %s\n", i.Kept)
	}
	fmt.Fprintf(w, "next     %s\n", i.Next)
}
