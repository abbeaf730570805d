package seal

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Inside is the signature in a signature file, whoever made it and for whatever.
type Inside struct {
	Signature []byte
	SPKI      artifact.Digest // of the key that the file names; zero: it names none

	digest []byte                     // that was signed, as the file says
	text   func(h crypto.Hash) []byte // the digest of the text in the file that was signed; nil: there is none
}

// Inside takes a file of this format apart, and returns every signature in it: an envelope can have several, and some
// verifiers are content with any. It is laxer than Verify: it takes whatever some verifier somewhere may take. The content
// is untrusted and may be anything; an error wraps ErrMalformed.
func (f Format) Inside(content []byte) ([]Inside, error) {
	if len(content) == 0 || len(content) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(content))
	}
	var all []Inside
	var err error
	switch f.Name {
	case raw.Name:
		all = []Inside{{Signature: content}}
	case cosignTag.Name:
		var s taggedSignature
		err = json.Unmarshal(content, &s)
		all = []Inside{{Signature: s.Signature, text: func(h crypto.Hash) []byte { return hashed(h, s.Payload) }}}
	case evidence.Name:
		var e envelope
		err = json.Unmarshal(content, &e)
		for _, s := range e.Signatures {
			if sig, err := base64.StdEncoding.DecodeString(s.Sig); err == nil {
				all = append(all, Inside{Signature: sig, text: func(h crypto.Hash) []byte { return paeDigest(h, e.PayloadType, e.Payload) }})
			}
		}
	default:
		all, err = insideBundle(content)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %.200s", ErrMalformed, err.Error())
	}
	all = slices.DeleteFunc(all, func(in Inside) bool { return len(in.Signature) == 0 })
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: there is no signature in it", ErrMalformed)
	}
	return all, nil
}

func insideBundle(content []byte) ([]Inside, error) {
	b := &bundle.Bundle{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, b); err != nil {
		return nil, err
	}
	var in Inside
	in.SPKI, _ = hintIn(b)
	if chain := b.GetVerificationMaterial().GetX509CertificateChain().GetCertificates(); len(chain) > 0 {
		if spki, err := spkiOf(chain[0].GetRawBytes()); err == nil {
			in.SPKI = spki
		}
	}
	if m := b.GetMessageSignature(); m != nil {
		in.Signature, in.digest = m.GetSignature(), m.GetMessageDigest().GetDigest()
		return []Inside{in}, nil
	}
	e := b.GetDsseEnvelope()
	in.text = func(h crypto.Hash) []byte { return paeDigest(h, e.GetPayloadType(), e.GetPayload()) }
	var all []Inside
	for _, s := range e.GetSignatures() {
		in.Signature = s.GetSig()
		all = append(all, in)
	}
	return all, nil
}

// paeDigest is the digest of what DSSE signs.
func paeDigest(h crypto.Hash, payloadType string, payload []byte) []byte {
	sum := h.New()
	fmt.Fprintf(sum, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	sum.Write(payload)
	return sum.Sum(nil)
}

// Over is the digest that the file says was signed; nil: it does not say, as where what was signed is in it.
func (in Inside) Over() []byte { return in.digest }

// MadeBy reports whether the key made the signature: over what the file says that it signs, or over the given bytes.
func (in Inside) MadeBy(pub crypto.PublicKey, d Digests) bool {
	h, err := HashFor(pub)
	if err != nil {
		return false
	}
	over := [][]byte{d[h]}
	if in.text != nil {
		over = append(over, in.text(h))
	}
	if !bytes.Equal(in.digest, d[h]) {
		over = append(over, in.digest)
	}
	for _, digest := range over {
		if len(digest) == h.Size() && verifySignature(pub, claim{hash: h, digest: digest, signature: in.Signature}) == nil {
			return true
		}
	}
	return false
}
