package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// caFiles is where the certificates of the authorities lie. Each file holds a certificate and those between it and the
// root; the root has a file of its own.
type caFiles struct {
	Root, Issuing, Timestamping string
}

// caDirFlag adds --dir.
func caDirFlag(cmd *cobra.Command) *string {
	dir := cmd.Flags().String("dir", "", "directory of the certificates (default: where trust in the configuration names them, else the directory trust beside it)")
	_ = cmd.MarkFlagDirname("dir")
	return dir
}

// filesIn are the files in a directory, by their names; without one, those that the trust section names.
func (c *Config) filesIn(dir string) caFiles {
	if dir == "" && c.trusts() {
		files := c.Trust.Value.caFiles()
		files.Timestamping = cmp.Or(files.Timestamping, filepath.Join(filepath.Dir(files.Issuing), "timestamping.pem"))
		return files
	}
	if dir == "" {
		dir = filepath.Join(filepath.Dir(c.file), "trust")
	}
	return caFiles{Root: filepath.Join(dir, "root.pem"), Issuing: filepath.Join(dir, "issuing.pem"), Timestamping: filepath.Join(dir, "timestamping.pem")}
}

// of is the file of one kind of certificate.
func (f caFiles) of(kind trust.Kind) string {
	switch kind {
	case trust.KindRoot:
		return f.Root
	case trust.KindIssuing:
		return f.Issuing
	default:
		return f.Timestamping
	}
}

// chain reads the certificates of one kind, down to the root; fs.ErrNotExist when a file is missing.
func (f caFiles) chain(kind trust.Kind) ([]*x509.Certificate, error) {
	root, err := readCertificates(f.Root)
	if err != nil || kind == trust.KindRoot {
		return root, err
	}
	chain, err := readCertificates(f.of(kind))
	if err != nil {
		return nil, err
	}
	if last := chain[len(chain)-1]; !last.Equal(root[0]) {
		chain = append(chain, root...)
	}
	return chain, nil
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	chain, err := trust.ReadChain(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return chain, nil
}

// withoutRoot is what the file of a certificate holds.
func withoutRoot(chain []*x509.Certificate) []*x509.Certificate {
	return slices.Clone(chain[:max(len(chain)-1, 1)])
}
