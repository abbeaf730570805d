// Package artifact is the vocabulary of the product: what an item in Artifactory is called (Ref), what its bytes are
// (Digest), what is signed (Subject) and what is stored beside it (Attachment). It does no I/O of its own; Resolve asks
// a Source for facts.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrGone is returned by a Source when the item does not exist (any more). A deleted artifact is not a failure.
var ErrGone = errors.New("artifact does not exist")

// Digest is the SHA-256 digest of an artifact's bytes. The zero value means "unknown" and equals no artifact.
type Digest [sha256.Size]byte

// ParseDigest reads 64 lowercase hexadecimal characters.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("digest has %d characters, a SHA-256 digest has 64", len(s))
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Digest{}, fmt.Errorf("digest has the character %q, only 0-9 and a-f are allowed", c)
		}
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err
}

// String returns lowercase hexadecimal, without an algorithm prefix.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether the digest is unknown.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler; the zero digest is the empty string.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return []byte{}, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Digest{}
		return nil
	}
	v, err := ParseDigest(string(b))
	*d = v
	return err
}

// Info is what Artifactory itself reports about one file. Nothing in it comes from an event.
type Info struct {
	Ref        Ref
	SHA256     Digest
	SHA1       string // lowercase hexadecimal; to find what build-info names, never evidence; may be ""
	Size       int64  // bytes
	CreatedBy  string
	ModifiedBy string
	Created    time.Time
	Modified   time.Time
}

// Kind says how a subject was found and what its digest is over.
type Kind string

// Subject is one thing to be signed, with the facts Artifactory reports about it.
type Subject struct {
	Kind Kind
	Info
	Image Image // of a KindImage
}

// Attachment is a file that is stored beside its subject: a signature in some format.
type Attachment struct {
	Ref       Ref
	MediaType string
	Content   []byte
}

// SHA256 is the digest of the attachment's own bytes, for checksum headers and read-back comparison.
func (a Attachment) SHA256() Digest { return sha256.Sum256(a.Content) }
