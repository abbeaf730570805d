package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxSignatureFile bounds a signature file in bytes.
const maxSignatureFile = 1 << 20

// verification is the answer of hallmark verify.
type verification struct {
	File     string          `json:"file"`
	SHA256   string          `json:"sha256"`
	Verified []string        `json:"verified"` // signature files that verify
	Reasons  []reason.Reason `json:"reasons"`
}

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE --key PEM",
		Short: "Check a file's signature, offline",
		Long: `Check a file against the signature files beside it (FILE.sigstore.json, FILE.sig), with a
public key that you got from the publisher on another way. Nothing is asked on the network.

Every signature file found must verify. Exit status: 0 verified, 1 refused, 2 could not check.`,
		Example: `  hallmark verify app.tgz --key release.pub
  hallmark verify app.tgz --key release.pub --bundle downloads/app.tgz.sigstore.json`,
		Args: cobra.ExactArgs(1),
	}
	output := outputFlag(cmd)
	keyFile := cmd.Flags().String("key", "", "PEM file with the publisher's public key")
	bundle := cmd.Flags().String("bundle", "", "signature file, when it is not beside FILE")
	_ = cmd.MarkFlagRequired("key")
	_ = cmd.MarkFlagFilename("key", "pub", "pem")
	_ = cmd.MarkFlagFilename("bundle", "json", "sig")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := verifyFile(args[0], *keyFile, *bundle)
		if err != nil {
			return err
		}
		if err := show(cmd.OutOrStdout(), *output, v, func(w io.Writer) { verificationText(w, v) }); err != nil {
			return err
		}
		if len(v.Reasons) > 0 {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func verifyFile(file, keyFile, bundle string) (verification, error) {
	pub, err := readPublicKey(keyFile)
	if err != nil {
		return verification{}, err
	}
	candidates := seal.Candidates(filepath.Base(file), nil, seal.Formats())
	if bundle != "" {
		format, ok := seal.FormatOf(filepath.Base(bundle))
		if !ok {
			return verification{}, fmt.Errorf("%s is no signature file: its name ends in none of the known suffixes", bundle)
		}
		candidates = []seal.Candidate{{Name: bundle, Format: format.Name}}
	}
	digests, err := hashFile(file, pub)
	if err != nil {
		return verification{}, err
	}
	v := verification{File: file, SHA256: digests.SHA256().String(), Verified: []string{}, Reasons: []reason.Reason{}}
	for _, c := range candidates {
		name := c.Name
		if bundle == "" {
			name = filepath.Join(filepath.Dir(file), c.Name)
		}
		content, err := readLimited(name, maxSignatureFile)
		if errors.Is(err, os.ErrNotExist) && bundle == "" {
			continue
		}
		if err != nil {
			return verification{}, fmt.Errorf("reading the signature file: %w", err)
		}
		format, _ := seal.Lookup(c.Format)
		if err := format.Verify(pub, digests, content); err != nil {
			v.Reasons = append(v.Reasons, reason.Reason{
				Code: seal.Problem(err), Message: name + " does not prove this file", Found: err.Error(),
				Expected: "a signature over sha256:" + v.SHA256 + " by the key in " + keyFile,
				Fix:      "fetch the file and its signature again from the release repository", Who: "the publisher",
			})
			continue
		}
		v.Verified = append(v.Verified, name)
	}
	if len(v.Verified)+len(v.Reasons) == 0 {
		v.Reasons = append(v.Reasons, reason.Reason{
			Code: reason.SignatureMissing, Message: "there is no signature file beside " + file,
			Expected: filepath.Base(file) + ".sigstore.json in the same folder, or another place given with --bundle",
			Fix:      "fetch it from the repository that holds the file", Who: "the publisher",
		})
	}
	return v, nil
}

func verificationText(w io.Writer, v verification) {
	word := "VERIFIED"
	if len(v.Reasons) > 0 {
		word = "REFUSED"
	}
	fmt.Fprintf(w, "%s  %s  sha256:%s\n", word, v.File, v.SHA256)
	for _, name := range v.Verified {
		fmt.Fprintf(w, "  verified  %s\n", name)
	}
	for _, r := range v.Reasons {
		fmt.Fprint(w, r.Text())
	}
}

func readPublicKey(file string) (crypto.PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%s holds no PEM public key (BEGIN PUBLIC KEY)", file)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the public key %s: %w", file, err)
	}
	return pub, nil
}

func hashFile(file string, pub crypto.PublicKey) (seal.Digests, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	d, err := seal.NewDigester(pub)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(d, f); err != nil {
		return nil, fmt.Errorf("hashing %s: %w", file, err)
	}
	return d.Digests(), nil
}

func readLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return data, err
}
