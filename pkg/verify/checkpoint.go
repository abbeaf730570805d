package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// checkpoint is what a log says of itself in a signed note: how many entries it has and the root of their tree.
type checkpoint struct {
	size uint64
	root []byte
}

// openCheckpoint believes a note that is signed by the log's key under the log's own name. Signatures by others, such as
// witnesses, are not looked at.
func (l *logKey) openCheckpoint(envelope string) (checkpoint, error) {
	signed, err := note.Open([]byte(envelope), note.VerifierList(noteVerifier{l}))
	if err != nil {
		return checkpoint{}, fmt.Errorf("the checkpoint is not signed by the log %s: %.200s", l.origin, err.Error())
	}
	lines := strings.Split(signed.Text, "\n") // a note's text ends in a line break
	if len(lines) < 4 || lines[0] != l.origin {
		return checkpoint{}, fmt.Errorf("the checkpoint is of %.100q, expected %q", lines[0], l.origin)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return checkpoint{}, fmt.Errorf("the checkpoint has the size %.40q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return checkpoint{}, fmt.Errorf("the checkpoint has the root %.100q", lines[2])
	}
	return checkpoint{size, root}, nil
}

// noteVerifier is the log's key as signed notes name it.
type noteVerifier struct{ *logKey }

func (v noteVerifier) Name() string    { return v.origin }
func (v noteVerifier) KeyHash() uint32 { return v.noteHash }

func (v noteVerifier) Verify(msg, sig []byte) bool { return v.signed(msg, sig) == nil }

// noteKeyHash is the number by which signatures of a note name the key.
func (l *logKey) noteKeyHash() (uint32, error) {
	der, err := x509.MarshalPKIXPublicKey(l.public)
	if err != nil {
		return 0, err
	}
	var of []byte
	switch public := l.public.(type) {
	case *ecdsa.PublicKey:
		of = der
	case ed25519.PublicKey:
		of = append([]byte(l.origin+"\n\x01"), public...)
	case *rsa.PublicKey:
		of = append([]byte(l.origin+"\n\xffPKIX-RSA-PKCS#1v1.5"), der...)
	default:
		return 0, fmt.Errorf("a log's key of type %T is not known here", public)
	}
	sum := sha256.Sum256(of)
	return binary.BigEndian.Uint32(sum[:]), nil
}

// signed checks a signature over a text with the hash that goes with the key.
func (l *logKey) signed(text, sig []byte) error {
	sum := func(h crypto.Hash) []byte {
		d := h.New()
		d.Write(text) // a hash never returns an error
		return d.Sum(nil)
	}
	ok := false
	switch public := l.public.(type) {
	case *ecdsa.PublicKey:
		hash := crypto.SHA256
		switch public.Curve {
		case elliptic.P384():
			hash = crypto.SHA384
		case elliptic.P521():
			hash = crypto.SHA512
		}
		ok = ecdsa.VerifyASN1(public, sum(hash), sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(public, crypto.SHA256, sum(crypto.SHA256), sig) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(public, text, sig)
	}
	if !ok {
		return errors.New("the signature does not verify")
	}
	return nil
}
