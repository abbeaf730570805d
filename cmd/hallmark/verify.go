package main

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// maxSignatureFile bounds a signature file in bytes.
const maxSignatureFile = verify.MaxSize

// verification is the answer of hallmark verify.
type verification struct {
	Verified   bool            `json:"verified"`
	File       string          `json:"file"`
	SHA256     string          `json:"sha256"`
	Signatures []signatureFile `json:"signatures"` // every one that was looked at
	Reasons    []reason.Reason `json:"reasons"`    // why not; empty when verified
}

// signatureFile is one file that may prove the other. Problem is empty when it does.
type signatureFile struct {
	File    string      `json:"file"`
	Format  string      `json:"format"`
	Problem reason.Code `json:"problem,omitempty"`
}

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE --key PEM",
		Short: "Check a file's signature, offline",
		Long: `Check a file against the signature files beside it (FILE.sigstore.json, FILE.sig and those by
further keys), with a public key that you got from the publisher on another way. Nothing is
asked on the network.

One signature by this key over these bytes is the proof; files that hold another are listed
and do not count. Exit status: 0 verified, 1 refused, 2 could not check.`,
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
		if !v.Verified {
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
	names := []string{bundle}
	if bundle == "" {
		if names, err = beside(file); err != nil {
			return verification{}, err
		}
	} else if _, ok := seal.FormatOf(bundle); !ok {
		return verification{}, fmt.Errorf("%s is no signature file: its name ends in none of the known suffixes", bundle)
	}
	digests, err := hashFile(file, pub)
	if err != nil {
		return verification{}, err
	}
	v := verification{File: file, SHA256: digests.SHA256().String(), Signatures: []signatureFile{}, Reasons: []reason.Reason{}}
	for _, name := range names {
		open := openRegular
		if bundle != "" {
			open = os.Open // the user's word: a pipe is as good
		}
		content, unread := readLimited(open, name, maxSignatureFile)
		if unread != nil && bundle != "" {
			return verification{}, fmt.Errorf("reading the signature file: %w", unread)
		}
		format, _ := seal.FormatOf(name)
		found := signatureFile{File: name, Format: format.Name}
		if err := cmp.Or(unread, verify.Signature(format.Name, pub, digests, content)); err != nil {
			found.Problem = verify.Problem(err)
			if unread != nil { // nobody named it: it proves nothing, and keeps no other file from proving
				found.Problem = reason.SignatureInvalid
			}
			v.Reasons = append(v.Reasons, reason.Reason{
				Code: found.Problem, Message: name + " does not prove this file", Found: err.Error(),
				Expected: "a signature over sha256:" + v.SHA256 + " by the key in " + keyFile,
				Fix:      "fetch the file and its signature again from the release repository", Who: "the publisher",
			})
		} else {
			v.Verified = true
		}
		v.Signatures = append(v.Signatures, found)
	}
	switch {
	case v.Verified:
		v.Reasons = []reason.Reason{}
	case len(v.Signatures) == 0:
		v.Reasons = append(v.Reasons, reason.Reason{
			Code: reason.SignatureMissing, Message: "there is no signature file beside " + file,
			Found: "no file named like one", Expected: filepath.Base(file) + ".sigstore.json in the same folder, or another place given with --bundle",
			Fix: "fetch it from the repository that holds the file", Who: "the publisher",
		})
	}
	return v, nil
}

// beside lists the files in the same folder that are named as signature files of this one.
func beside(file string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("looking for signature files: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := seal.FormatOf(e.Name()); ok && strings.HasPrefix(e.Name(), filepath.Base(file)+".") && !e.IsDir() {
			names = append(names, filepath.Join(filepath.Dir(file), e.Name()))
		}
	}
	return names, nil
}

func verificationText(w io.Writer, v verification) {
	word := "REFUSED"
	if v.Verified {
		word = "VERIFIED"
	}
	fmt.Fprintf(w, "%s  %s  sha256:%s\n", word, v.File, v.SHA256)
	for _, s := range v.Signatures {
		switch {
		case s.Problem == "":
			fmt.Fprintf(w, "  verified  %s\n", s.File)
		case v.Verified:
			fmt.Fprintf(w, "  other     %s (%s)\n", s.File, s.Problem)
		}
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

func hashFile(file string, pub crypto.PublicKey) (verify.Digests, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	d, err := verify.Hash(f, pub)
	if errors.Is(err, verify.ErrUnsupportedKey) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("hashing %s: %w", file, err)
	}
	return d, nil
}

// openRegular opens a file that nobody named. Whoever can write to the folder chose the name, so that only a regular file,
// perhaps through a symbolic link, is opened: a pipe would wait for its writer forever, and a device may act when it is
// opened. Should the file be swapped in between, opening it still does not wait.
func openRegular(file string) (*os.File, error) {
	irregular := func(info os.FileInfo) error {
		if info.Mode().IsRegular() {
			return nil
		}
		return fmt.Errorf("%s is not a regular file (%s); name it with --bundle if it is to be read", file, info.Mode())
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if err := irregular(info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = irregular(info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func readLimited(open func(file string) (*os.File, error), file string, limit int64) ([]byte, error) {
	f, err := open(file)
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
