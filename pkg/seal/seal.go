// Package seal makes and checks what holds a signature: one file per format (sigstore.go, raw.go, cosign.go, …), one line
// per format in the table below. It does no I/O. Keys stay behind Signer, the bytes behind their Digests, so a seal
// costs the same for one byte and for one terabyte.
//
// Nothing here decides whom to believe: a caller pins a public key and asks whether a file verifies under it.
package seal

import (
	"context"
	"crypto"
	"fmt"
	"slices"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// MaxSize bounds a signature file in bytes. Verify refuses larger content as malformed before it reads any of it;
// whoever fetches a file to verify need not fetch more than MaxSize+1 bytes.
const MaxSize = 1 << 20

// Signer uses one key. Sign takes a digest of exactly Hash().Size() bytes and returns an ASN.1 DER signature for an
// ECDSA key (RFC 3279, section 2.2.3), PKCS#1 v1.5 for an RSA key (RFC 8017, section 8.2). Implementations are safe for
// concurrent use. Each Sign is one use of the key: callers do not repeat it for bytes that they have a signature of.
//
// A Signer may also have Name() string, the key's configured name. Formats that tell their readers which key to look up
// need it, and refuse to seal without; no verification here rests on it.
type Signer interface {
	Public() crypto.PublicKey
	Hash() crypto.Hash
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

// Format is one kind of signature file. Values come from Lookup; the zero Format can neither seal nor verify.
type Format struct {
	Name      string          // as policies name it
	Kinds     []artifact.Kind // of the subjects that it can sign
	Suffix    string          // added to the artifact's file name, with its leading dot; "" when it is not kept as a file beside it
	MediaType string          // of the signature file
	Seldom    bool            // whoever looks for any signature looks for files of other formats first
	Apart     bool            // says more than a signature does; it counts as one only where that is asked for

	draft func(k key, d Digests) (draft, error)
	open  func(pub crypto.PublicKey, d Digests, content []byte) (claim, error) // all of Verify but the signature
	hint  func(content []byte) (artifact.Digest, bool)
}

// key is what a format may know of the key that it drafts for.
type key struct {
	public crypto.PublicKey
	name   string // "" when the signer does not tell

	summary *Summary
}

// draft is a signature file that waits for its signature. Two drafts with one digest can share one signature.
type draft struct {
	digest []byte // what the key signs
	naming naming
	finish func(signature []byte, m material) ([]byte, error) // the file around it
}

// formats is the table of formats. A format is one line here, one file beside this one, one golden file.
var formats = []Format{sigstore, raw, evidence, cosign, cosignTag, sigstoreKey, cosignKey, vsa}

// Formats returns the names of all formats, in the order of the table.
func Formats() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names
}

// FormatsOf returns the names of the formats that can sign subjects of a kind, in the order of the table.
func FormatsOf(kind artifact.Kind) []string {
	var names []string
	for _, f := range formats {
		if slices.Contains(f.Kinds, kind) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Kinds tells of each format what it can sign.
func Kinds() map[string][]artifact.Kind {
	kinds := make(map[string][]artifact.Kind, len(formats))
	for _, f := range formats {
		kinds[f.Name] = slices.Clone(f.Kinds)
	}
	return kinds
}

// Apart returns the names of the formats that count as signatures only where that is asked for.
func Apart() []string {
	var names []string
	for _, f := range formats {
		if f.Apart {
			names = append(names, f.Name)
		}
	}
	return names
}

// Lookup returns the format of a name.
func Lookup(name string) (Format, bool) {
	for _, f := range formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Seal makes the content of one signature file, without certificate, log, time and summary; it uses the key once.
func (f Format) Seal(ctx context.Context, s Signer, d Digests) ([]byte, error) {
	sealed, err := SealAll(ctx, s, d, []Format{f}, Context{})
	if err != nil {
		return nil, err
	}
	return sealed[f.Name], nil
}

// SealAll makes one signature file per format, keyed by the format's name, and uses the key once for all formats that
// sign the same digest. Either all files are made or none. The output is not verified here: whoever publishes it calls
// VerifyAll with the pinned key first.
//
// With a notary, no signature is in what SealAll returns that its log does not hold, whatever the format; bundles carry
// the certificate (or, in formats made for that, the key's hint), the entry and the time-stamp. The notary is told of
// each signature when it is made. Each is verified before it is stamped, at most once, and recorded, once for each way of
// naming its key. The
// same signature and material give the same files. An error wraps ErrCertificate, ErrNotStamped or ErrNotLogged when the
// notary is to blame.
//
//nolint:revive // Seal is the verb of the whole house: SealAll is Seal for several formats.
func SealAll(ctx context.Context, s Signer, d Digests, fs []Format, c Context) (map[string][]byte, error) {
	pub := s.Public()
	h, err := HashFor(pub)
	if err != nil {
		return nil, err
	}
	if s.Hash() != h {
		return nil, fmt.Errorf("sealing: the signer hashes with %s, its key goes with %s", s.Hash(), h)
	}
	k := key{public: pub, summary: c.Summary}
	if named, ok := s.(interface{ Name() string }); ok {
		k.name = named.Name()
	}

	drafts := make([]draft, len(fs))
	for i, f := range fs {
		if f.draft == nil {
			return nil, fmt.Errorf("sealing: %q is not a format", f.Name)
		}
		if drafts[i], err = f.draft(k, d); err != nil {
			return nil, fmt.Errorf("sealing as %s: %w", f.Name, err)
		}
	}
	certificate, err := c.certified(ctx, pub)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}

	made := map[string]*signed{} // by the digest that was signed
	for i, f := range fs {
		digest := string(drafts[i].digest)
		if made[digest] != nil {
			continue
		}
		sig, err := s.Sign(ctx, slices.Clone(drafts[i].digest))
		if err != nil {
			return nil, fmt.Errorf("sealing as %s: %w", f.Name, err)
		}
		if c.Notary != nil {
			c.Notary.Signed(slices.Clone(sig))
		}
		made[digest] = &signed{claim: claim{hash: h, digest: drafts[i].digest, signature: sig}, entries: map[bool]*rekor.TransparencyLogEntry{}}
	}
	if c.Notary != nil {
		if err := notarize(ctx, c.Notary, pub, certificate, drafts, made); err != nil {
			return nil, fmt.Errorf("sealing: %w", err)
		}
	}

	sealed := make(map[string][]byte, len(fs))
	for i, f := range fs {
		by := made[string(drafts[i].digest)]
		m := material{token: by.token}
		if drafts[i].naming == byCertificate {
			m.certificate = certificate
		}
		m.entry = by.entries[m.certificate != nil]
		if sealed[f.Name], err = drafts[i].finish(by.signature, m); err != nil {
			return nil, fmt.Errorf("sealing as %s: %w", f.Name, err)
		}
	}
	return sealed, nil
}

// KeyHint returns the SHA-256 of the SubjectPublicKeyInfo that the file says it was made with, in words or by a
// certificate, if the format carries one and the file can be read. It is a claim to pick a pinned key by, not evidence.
func (f Format) KeyHint(content []byte) (artifact.Digest, bool) {
	if f.hint == nil || len(content) > MaxSize {
		return artifact.Digest{}, false
	}
	return f.hint(content)
}
