package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

func newTrust() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "What others must believe to check signatures by themselves",
		Long: `What others must believe to check signatures by themselves: trusted_root.json for cosign and its
relatives, public keys and certificate chains for openssl, and hallmark-trust.json for hallmark verify.`,
		Example: `  hallmark trust export trust`,
	}
	cmd.AddCommand(newTrustExport())
	return cmd
}

// trustExported is the answer of trust export.
type trustExported struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
	Keys  int      `json:"keys"`
	Root  bool     `json:"root"` // whether there is one; without, signatures are bare

	Roots  []verify.Anchor `json:"roots"`            // to which certificates chain
	Pinned bool            `json:"pinned"`           // they are those of --fingerprint
	Clocks []verify.Anchor `json:"clocks,omitempty"` // pinned: roots of clocks that are another's
}

func newTrustExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [DIR]",
		Short: "Write what a running service publishes for verifiers into a directory",
		Long: `Write what a running service publishes for verifiers into a directory (default: hallmark-trust):

  trusted_root.json    logs, authorities and clocks, for cosign, sigstore-go and their like
  hallmark-trust.json  keys with the times in which they count, whom certificates may name, and
                       which keys are distrusted, for hallmark verify --trust
  keys/NAME.pem        public keys, for openssl and cosign --key
  ca.pem, tsa.pem      chains of the issuing and the time-stamping authority, for openssl

Each file is replaced whole, and keys that are published no more are removed. A directory that holds
anything else is left alone. No token is needed; what arrives is as good as the connection, so
fetch it over HTTPS, and hand it on by a way that your users trust.

With --fingerprint nothing is written unless every certificate chains to that root, whose key's
fingerprint the publisher tells by another way (hallmark ca show, and this command, print it).
It vouches for what has a certificate and for nothing else: keys are listed so that their times
and lanes are kept, count with a certificate alone, and are not written into files.`,
		Example: `  hallmark trust export trust --server https://hallmark.example
  hallmark trust export acme-trust --server https://hallmark.example --fingerprint sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  hallmark trust export trust -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	server := cmd.Flags().String("server", envOr("HALLMARK_SERVER", "http://127.0.0.1:8080"), "address of the service (or $HALLMARK_SERVER)")
	timeout := cmd.Flags().Duration("timeout", 30*time.Second, "how long to wait for each file")
	fingerprints := cmd.Flags().StringArray("fingerprint", nil, "sha256:… of the root's public key, which the publisher told by another way; may be repeated while there are two roots")
	output := outputFlag(cmd)
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "hallmark-trust"
		if len(args) > 0 {
			dir = args[0]
		}
		pinned, err := readFingerprints(*fingerprints)
		if err != nil {
			return err
		}
		client := &api.Client{URL: *server, HTTP: &http.Client{Timeout: *timeout}}
		files, err := client.Trust(cmd.Context())
		if err != nil {
			return err
		}
		answer, err := checkExport(files)
		if err != nil {
			return fmt.Errorf("%s publishes what cannot be used: %w", *server, err)
		}
		if len(pinned) > 0 {
			if files, err = pinned.hold(files, &answer); err != nil {
				return fmt.Errorf("%s: %w; nothing was written", *server, err)
			}
		}
		if err := trust.WriteFiles(dir, files); err != nil {
			return err
		}
		answer.Dir = dir
		return show(cmd.OutOrStdout(), *output, answer, answer.text)
	}
	return cmd
}

// checkExport reads the files as verifiers will, before any of them takes the place of one that can be used.
func checkExport(files []trust.File) (trustExported, error) {
	var answer trustExported
	content := map[string][]byte{}
	for _, f := range files {
		answer.Files, content[f.Name] = append(answer.Files, f.Name), f.Content
	}
	root, rooted := content[trust.RootFile]
	believed, err := verify.ReadTrust(content[trust.TrustFile], root)
	if err != nil {
		return answer, err
	}
	if rooted {
		if _, err := trust.NewVerifier(root); err != nil {
			return answer, err
		}
	}
	for _, k := range believed.Keys {
		name := trust.KeysDir + "/" + k.Name + ".pem"
		block, _ := pem.Decode(content[name])
		if block == nil {
			return answer, fmt.Errorf("%s is no PEM file", name)
		}
		der, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil || string(der) != string(block.Bytes) {
			return answer, errors.Join(fmt.Errorf("%s is not the key that %s lists", name, trust.TrustFile), err)
		}
	}
	for _, name := range []string{trust.CAFile, trust.TimeFile} {
		if chain, ok := content[name]; ok {
			if _, err := x509Chain(chain); err != nil {
				return answer, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	answer.Keys, answer.Root, answer.Roots = len(believed.Keys), rooted, []verify.Anchor{}
	if rooted {
		issuers, _ := believed.Root.Anchors()
		answer.Roots = eachOnce(issuers)
	}
	return answer, nil
}

// x509Chain reads certificates one after the other, of as many chains as there are.
func x509Chain(content []byte) (chain []*x509.Certificate, err error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("it holds no certificates")
	}
	return chain, nil
}

func (e trustExported) text(w io.Writer) {
	for _, name := range e.Files {
		fmt.Fprintf(w, "wrote  %s\n", filepath.Join(e.Dir, filepath.FromSlash(name)))
	}
	for _, root := range e.Roots {
		fmt.Fprintf(w, "\nroot   %s\n       sha256:%s\n", root.Name, root.SPKI)
	}
	switch {
	case e.Pinned:
		fmt.Fprintf(w, "It is the one that was asked for. Bare keys do not count: what has no certificate is refused.\n")
		for _, clock := range e.Clocks {
			fmt.Fprintf(w, "The clocks under %s are not by this root: they tell when, and nobody vouches for that.\n", clock.Name)
		}
	case e.Root:
		fmt.Fprintf(w, "Compare this with what the publisher says, or have it compared: --fingerprint.\n")
	}
	if !e.Root {
		fmt.Fprintf(w, "there is no trusted root: the service has no trust section, and its signatures rest on the keys alone\n")
	}
}
