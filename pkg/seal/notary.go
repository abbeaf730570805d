package seal

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// Why a signature that was made is not put into a file. The key was used; the signature has not left SealAll.
var (
	// ErrNotStamped: there is no time-stamp.
	ErrNotStamped = errors.New("the signature has no time-stamp")
	// ErrNotLogged: the log did not prove that it holds the signature, or what it proved is about another one.
	ErrNotLogged = errors.New("the signature is not in the log")
)

// ErrCertificate means that there is no certificate for the key, or one of another key. The key was not used.
var ErrCertificate = errors.New("no certificate for the key")

// Notary attests one key's signatures to those who do not pin the key. Implementations are safe for concurrent use: what
// one SealAll asks for, it may ask for at the same time.
type Notary interface {
	// Certificate returns the certificate of the signing key in DER, issued and logged; nil when there is none, and
	// files name the bare key.
	Certificate(ctx context.Context) (der []byte, err error)
	// Signed tells of every use of the key as soon as it is made, whatever becomes of the signature.
	Signed(signature []byte)
	// Stamp returns a checked RFC 3161 time-stamp response over the signature, in DER.
	Stamp(ctx context.Context, signature []byte) (token []byte, err error)
	// Record appends one use of the key to the log and returns the entry with the proof that the log, durably, includes
	// it. It is called once for each way in which the files of one signature name its key.
	Record(ctx context.Context, r Record) (*rekor.TransparencyLogEntry, error)
}

// Record is what a log holds of one signature.
type Record struct {
	Digest      []byte // that was signed, made with Hash
	Hash        crypto.Hash
	Signature   []byte
	Certificate []byte // DER, by which the entry names the key; nil when it is to name the bare PublicKey
	PublicKey   crypto.PublicKey
}

// Context is what there is to say about a signature beside the signature. The zero Context is that of a service without a
// chain, a log and a time: files carry the signature and the hint of its key.
type Context struct {
	Notary  Notary
	Summary *Summary // what the format vsa says; no other needs it
}

// naming is how a file tells whose signature it holds, which is how its log entry has to tell it, too.
type naming int

const (
	nameless      naming = iota // the file is a signature, or carries no more than it; any entry of it will do
	byCertificate               // when there is one, else by the key
	byKey
)

// material is what a bundle carries so that it can be believed without knowing the key. The zero material is nothing.
type material struct {
	certificate []byte
	entry       *rekor.TransparencyLogEntry
	token       []byte
}

// certified asks for the certificate and refuses that of another key: a bundle with it could never be verified.
func (c Context) certified(ctx context.Context, pub crypto.PublicKey) ([]byte, error) {
	if c.Notary == nil {
		return nil, nil
	}
	der, err := c.Notary.Certificate(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	case der == nil:
		return nil, nil
	}
	spki, err := spkiOf(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	ours, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	if want := sha256.Sum256(ours); spki != want {
		return nil, fmt.Errorf("%w: the certificate is of the key %x, the key here is %x", ErrCertificate, spki, want)
	}
	return der, nil
}

// spkiOf is the SHA-256 of the SubjectPublicKeyInfo in a certificate, which nobody has judged.
func spkiOf(der []byte) ([sha256.Size]byte, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo), nil
}
