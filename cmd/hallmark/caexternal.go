package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// kindsBySomebodyElse are the certificates that an authority of the organisation may sign.
var kindsBySomebodyElse = []string{string(trust.KindIssuing), string(trust.KindTimestamping)}

// certificateRequest is the answer of ca csr.
type certificateRequest struct {
	Key  string `json:"key"`
	SPKI string `json:"spki"`
	PEM  string `json:"pem"`
}

func newCACSR() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "csr issuing|timestamping --name COMMON-NAME",
		Short: "Ask an authority of your own organisation for a certificate",
		Long: `Print a certificate request (PKCS#10), signed by the issuing or the time-stamping key on its token,
for an authority of your own organisation to sign. What it sends back goes in with hallmark ca import.

Artifact keys sign what policy grants and nothing else, not even a request: their certificates come
from the issuing authority.`,
		Example: `  hallmark ca csr issuing --name Example-Signing --organization Example > issuing.csr
  hallmark ca csr timestamping --name Example-Time --key timestamp-2027 -o json`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: kindsBySomebodyElse,
	}
	config, output := configFlag(cmd), outputFlag(cmd)
	name := cmd.Flags().String("key", "", "key of the configuration (default: the only one with that use)")
	title := cmd.Flags().String("name", "", "common name")
	subject := subjectFlags(cmd)
	completeKeys(cmd, config)
	_ = cmd.MarkFlagRequired("name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		kind := trust.Kind(args[0])
		key, err := c.keyFor(kind, *name)
		if err != nil {
			return err
		}
		answer := certificateRequest{Key: key.Name, SPKI: key.SPKI}
		err = c.withKeys(cmd.Context(), []hsm.KeyConfig{key}, func(ring *hsm.Keyring) error {
			signer, err := ring.Service(key.Name, useOf(kind))
			if err != nil {
				return err
			}
			pem, err := trust.NewCSR(cmd.Context(), signer, trust.CSR{Kind: kind, Subject: subject(*title)})
			answer.PEM = string(pem)
			return err
		})
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { fmt.Fprint(w, answer.PEM) })
	}
	return cmd
}

func newCAImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import issuing|timestamping FILE",
		Short: "Take in a certificate that another authority made, after judging it",
		Long: `Take in the certificate of the issuing or the time-stamping key that an authority of your own
organisation made, with its whole chain up to the root, as PEM in any order. It is judged before
it is believed: it is of the key that the configuration pins, every certificate signed the one
before and may do so, the extended key usages nest, and all are valid now. No token is asked.

A certificate that is there is replaced only with --replace, and kept beside the new one.`,
		Example: `  hallmark ca import issuing chain.pem
  hallmark ca import timestamping tsa-chain.pem --replace -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(2)(cmd, args); err != nil {
				return err
			}
			return cobra.OnlyValidArgs(cmd, args[:1])
		},
		ValidArgs: kindsBySomebodyElse,
	}
	config, output, dir := configFlag(cmd), outputFlag(cmd), caDirFlag(cmd)
	name := cmd.Flags().String("key", "", "key of the configuration (default: the only one with that use)")
	replace := cmd.Flags().Bool("replace", false, "replace the certificates that are there")
	completeKeys(cmd, config)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		kind := trust.Kind(args[0])
		key, err := c.keyFor(kind, *name)
		if err != nil {
			return err
		}
		chain, err := readCertificates(args[1])
		if err != nil {
			return err
		}
		if found := spkiOf(chain[0]); found != key.SPKI {
			return fmt.Errorf("%s: %w: the first certificate is of the key %s, and the configuration pins %s as %s; was the request of another key?", args[1], trust.ErrChain, found, key.Name, key.SPKI)
		}
		if err := trust.CheckChain(chain, kind, nil, time.Now()); err != nil {
			return fmt.Errorf("%s: %w", args[1], err)
		}
		answer, err := c.takeIn(c.filesIn(*dir), kind, chain, *replace)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, answer, answer.text)
	}
	return cmd
}

// takeIn writes a judged chain: the root to its file, unless it is there, and the rest to its own.
func (c *Config) takeIn(files caFiles, kind trust.Kind, chain []*x509.Certificate, replace bool) (*issued, error) {
	root := chain[len(chain)-1]
	if _, err := os.Stat(files.of(kind)); err == nil && !replace { // before anything is written
		return nil, fmt.Errorf("%s is there already; say --replace: %w", files.of(kind), fs.ErrExist)
	}
	there, err := readCertificates(files.Root)
	switch {
	case err == nil && there[0].Equal(root):
	case errors.Is(err, fs.ErrNotExist) || replace:
		if err := c.keepRoot(files, there); err != nil {
			return nil, err
		}
		if err := writeNew(files.Root, trust.PEMChain(root), replace); err != nil {
			return nil, fmt.Errorf("writing the root: %w", err)
		}
	case err != nil:
		return nil, err
	default:
		return nil, fmt.Errorf("%s is another root (%s) than that of the chain (%s); say --replace, or name another --dir: %w", files.Root, there[0].Subject, root.Subject, fs.ErrExist)
	}
	return c.place(files, kind, withoutRoot(chain), "", replace)
}

// keepRoot puts a root that is about to be replaced beside it.
func (c *Config) keepRoot(files caFiles, old []*x509.Certificate) error {
	if len(old) == 0 {
		return nil
	}
	if err := writeNew(kept(files.Root, old[0]), trust.PEMChain(old...), false); err != nil {
		return fmt.Errorf("keeping the root that is replaced: %w", err)
	}
	return nil
}
