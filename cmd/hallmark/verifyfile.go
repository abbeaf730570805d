package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// maxSignatureFile bounds a signature file in bytes.
const maxSignatureFile = verify.MaxSize

// verification is the answer about one file.
type verification struct {
	Verified      bool            `json:"verified"`
	File          string          `json:"file"`
	SHA256        string          `json:"sha256"`
	Level         int             `json:"level"`                   // of trust, 0 to 3
	Proof         *verify.Finding `json:"proof,omitempty"`         // what the level rests on, by the best signature
	Signatures    []signatureFile `json:"signatures"`              // every one that was looked at
	Reasons       []reason.Reason `json:"reasons"`                 // why not; empty when verified
	SecondOpinion []string        `json:"secondOpinion,omitempty"` // commands of others that check the same
}

// signatureFile is one file that may prove the other. Problem is empty when it does.
type signatureFile struct {
	File    string      `json:"file"`
	Format  string      `json:"format"`
	Level   int         `json:"level,omitempty"`
	Attests bool        `json:"attests,omitempty"` // it says something about the file, and is no signature of it
	Problem reason.Code `json:"problem,omitempty"`

	finding verify.Finding
}

// verifier checks files. It is used by many at a time.
type verifier struct {
	believed
	bundle string // the only signature file to look at
	level  int    // that is demanded
	nobody bool   // nobody is believed: only hashes are compared
	second bool   // commands for a second opinion are wanted

	read atomic.Int64 // bytes so far, of all files
}

// candidate is a file to check.
type candidate struct {
	file   string
	beside []string        // its signature files
	want   artifact.Digest // in a list of checksums; zero when it is in none
	list   *verify.Finding // what proves that list, nil when nothing does
}

// check checks one file. An error means that it could not be: that it cannot be read, say.
func (c *verifier) check(ctx context.Context, t candidate) (verification, error) {
	v := verification{File: t.file, Signatures: []signatureFile{}, Reasons: []reason.Reason{}}
	contents := make([][]byte, len(t.beside))
	unread := make([]error, len(t.beside))
	for i, name := range t.beside {
		open := openRegular
		if c.bundle != "" {
			open = os.Open // the user's word: a pipe is as good
		}
		contents[i], unread[i] = readLimited(open, name, maxSignatureFile)
		if unread[i] != nil && c.bundle != "" {
			return v, fmt.Errorf("reading the signature file: %w", unread[i])
		}
	}
	digests, err := c.hash(ctx, t.file, contents)
	if err != nil {
		return v, err
	}
	v.SHA256 = digests.SHA256().String()
	if !t.want.IsZero() {
		if digests.SHA256() != t.want {
			v.Reasons = append(v.Reasons, reason.Reason{
				Code: reason.DigestMismatch, Message: t.file + " is not the file that the list of checksums means", Found: "sha256:" + v.SHA256, Expected: "sha256:" + t.want.String(),
				Fix: "fetch the file and the list again from the release repository", Who: "the publisher",
			})
			return v, nil
		}
		v.Level = verify.LevelHash
		v.Proof = &verify.Finding{Level: verify.LevelHash, Parts: []verify.Part{{Name: "bytes", Rests: "whoever wrote the list of checksums", Checked: "hashed here; the SHA-256 is the listed one"}}}
		if t.list != nil {
			proof := *t.list
			proof.Parts = append(v.Proof.Parts, proof.Parts...)
			v.Proof, v.Level = &proof, proof.Level
		}
	}
	for i, name := range t.beside {
		format, _ := seal.FormatOf(name)
		s := signatureFile{File: name, Format: format.Name, Attests: format.Apart}
		err := unread[i]
		if err == nil {
			s.finding, err = verify.Artifact(c.Trust, format.Name, digests, contents[i])
		}
		if err != nil {
			s.Problem = verify.Problem(err)
			if unread[i] != nil { // nobody named it: it proves nothing, and keeps no other file from proving
				s.Problem = reason.SignatureInvalid
			}
			v.Reasons = append(v.Reasons, c.refusal(s, v.SHA256, err))
		} else if s.Level = s.finding.Level; !s.Attests && (s.Level > v.Level || s.Level == v.Level && v.Proof.At.IsZero()) {
			v.Level, v.Proof = s.Level, &s.finding
		}
		v.Signatures = append(v.Signatures, s)
	}
	c.conclude(&v)
	return v, nil
}

// conclude compares the level with the one that is demanded.
func (c *verifier) conclude(v *verification) {
	v.Verified = v.Level >= c.level
	// Files by others say least about why this one is refused.
	slices.SortStableFunc(v.Reasons, func(a, b reason.Reason) int {
		last := func(r reason.Reason) int {
			if r.Code == reason.SignatureWrongKey {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	switch {
	case v.Verified:
		v.Reasons = []reason.Reason{}
	case v.Level > 0:
		v.Reasons = append([]reason.Reason{c.tooLow(v)}, v.Reasons...)
	case len(v.Reasons) == 0:
		v.Reasons = append(v.Reasons, missing(v.File))
	}
	if c.second {
		v.SecondOpinion = c.secondOpinion(*v)
	}
}

func missing(file string) reason.Reason {
	return reason.Reason{
		Code: reason.SignatureMissing, Message: "there is no signature file beside " + file,
		Found: "no file named like one", Expected: filepath.Base(file) + ".sigstore.json in the same folder, or another place given with --bundle",
		Fix: "fetch it from the repository that holds the file", Who: "the publisher",
	}
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

// hash reads a file for the hashes that its signatures need.
func (c *verifier) hash(ctx context.Context, file string, signatures [][]byte) (verify.Digests, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	d, err := c.Hash(counting{ctx, f, &c.read}, signatures...)
	if errors.Is(err, verify.ErrUnsupportedKey) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("hashing %s: %w", file, err)
	}
	return d, nil
}

// counting counts what is read, and ends with its context.
type counting struct {
	ctx  context.Context //nolint:containedctx // a reader has no other way to learn that nobody waits any more
	from io.Reader
	n    *atomic.Int64
}

func (r counting) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, cmp.Or(context.Cause(r.ctx), err)
	}
	n, err := r.from.Read(p)
	r.n.Add(int64(n))
	return n, err
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
	info, err := os.Stat(file) // #nosec G703 -- it is what the user asked about, or beside it
	if err != nil {
		return nil, err
	}
	if err := irregular(info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G703 -- the same
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
