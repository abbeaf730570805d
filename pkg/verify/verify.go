// Package verify checks signatures that stand somewhere, with public keys that the caller pins. It is what hallmark verify
// runs, and what signing asks about the files that Artifactory really holds before it says that something is signed.
//
// It is a second opinion and shares no code with pkg/seal, which makes signatures: here each format is read again from its
// specification, and the arithmetic is the standard library's. A test holds the two to the same answers. Nothing here
// opens a file or a connection.
package verify

import (
	"crypto"
	"errors"
	"fmt"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// MaxSize bounds a signature file in bytes. Larger content is malformed before any of it is read.
const MaxSize = 1 << 20

// Why a signature file is refused.
var (
	// ErrMalformed: the content is not a file of its format, or a kind of it that Hallmark does not make.
	ErrMalformed = errors.New("malformed signature file")
	// ErrWrongKey: the file says that it was made with another key.
	ErrWrongKey = errors.New("made with another key")
	// ErrWrongBytes: the file says that it was made for other bytes.
	ErrWrongBytes = errors.New("made for other bytes")
	// ErrInvalid: the signature does not verify.
	ErrInvalid = errors.New("signature does not verify")
)

// Why a question cannot be answered.
var (
	// ErrNoDigest: the caller did not bring the digest that the key's signatures are over.
	ErrNoDigest = errors.New("no digest of the needed kind")
	// ErrUnsupportedKey: the public key is none of P-256, P-384, RSA-3072, RSA-4096.
	ErrUnsupportedKey = errors.New("unsupported key")
	// ErrUnknownFormat: there is no such format.
	ErrUnknownFormat = errors.New("unknown signature format")
)

// proof is what a file comes down to once all of it but the signature was looked at.
type proof struct {
	text      []byte // that was signed, seen to be about the caller's bytes; nil when those themselves were signed
	signature []byte
	material  *bundle.VerificationMaterial // that came with it, not judged; nil when the format has room for none
}

// digest is what the key signed.
func (p proof) digest(k key, d Digests) ([]byte, error) {
	if p.text != nil {
		return k.digest(p.text), nil
	}
	return d.of(k.hash)
}

// formats is the table of formats, by the names that policies use.
var formats = map[string]func(k key, d Digests, content []byte) (proof, error){
	"sigstore":     readSigstore,
	"sigstore-key": keyed(readSigstore),
	"raw":          readRaw,
	"cosign":       readCosign,
	"cosign-key":   keyed(readCosign),
	"cosign-tag":   readCosignTag,
	"evidence":     readEvidence,
	"vsa":          readVSA,
}

// keyed is the same for a format that names the bare key and has no certificate.
func keyed(read func(k key, d Digests, content []byte) (proof, error)) func(k key, d Digests, content []byte) (proof, error) {
	return func(k key, d Digests, content []byte) (proof, error) {
		k.bare = true
		return read(k, d, content)
	}
}

// bundled are the formats that are Sigstore bundles.
var bundled = map[string]bool{"sigstore": true, "sigstore-key": true, "cosign": true, "cosign-key": true, "vsa": true}

// Signature returns nil only if content is a file of the named format whose signature verifies under pub over the
// caller's own digest. What the file says about itself names the cause of a refusal and never allows anything. The error
// wraps one of ErrMalformed, ErrWrongKey, ErrWrongBytes and ErrInvalid, which are about the file, or of ErrNoDigest,
// ErrUnsupportedKey and ErrUnknownFormat, which are about the question. Content is untrusted and may be anything.
func Signature(format string, pub crypto.PublicKey, d Digests, content []byte) error {
	if err := signature(format, pub, d, content); err != nil {
		return fmt.Errorf("verifying as %s: %w", format, err)
	}
	return nil
}

func signature(format string, pub crypto.PublicKey, d Digests, content []byte) error {
	if err := readable(format, content); err != nil {
		return err
	}
	k, err := pinned(pub)
	if err != nil {
		return err
	}
	_, err = candidate{key: k}.made(format, d, content)
	return err
}

// readable refuses what no format can be read from.
func readable(format string, content []byte) error {
	switch {
	case formats[format] == nil:
		return ErrUnknownFormat
	case len(content) == 0:
		return fmt.Errorf("%w: the file is empty", ErrMalformed)
	case len(content) > MaxSize:
		return fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	}
	return nil
}

// readRaw: the signature alone, as openssl dgst -verify takes it. It names neither key nor bytes.
func readRaw(_ key, _ Digests, content []byte) (proof, error) {
	return proof{signature: content}, nil
}

// Problem returns the reason code of an error from Signature; "" for nil. What is not a statement about the file is
// Undecided, never a pass.
func Problem(err error) reason.Code {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrInvalid):
		return reason.SignatureInvalid
	case errors.Is(err, ErrWrongBytes):
		return reason.SignatureWrongBytes
	case errors.Is(err, ErrWrongKey):
		return reason.SignatureWrongKey
	}
	for _, c := range problems {
		if errors.Is(err, c.error) {
			return c.code
		}
	}
	return reason.Undecided
}

// problems are the codes of what only Artifact finds.
var problems = []struct {
	error
	code reason.Code
}{
	{ErrUntrusted, reason.CertificateUntrusted}, {ErrExpired, reason.CertificateExpired}, {ErrLogUnknown, reason.LogUnknown}, {ErrLog, reason.LogProofInvalid}, {ErrTime, reason.TimestampInvalid},
	{ErrDistrusted, reason.KeyDistrusted}, {ErrRetired, reason.KeyRetired}, {ErrNotYet, reason.KeyNotYet}, {ErrLane, reason.KeyDevelopment},
}
