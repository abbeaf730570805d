package verifytest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for keys that use it
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/stretchr/testify/require"
)

// Signer is the key that signs artifacts. *sealtest.Key is one.
type Signer interface {
	Public() crypto.PublicKey
	Hash() crypto.Hash
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

// Order is how a bundle is made. Its zero value with a Key and Content is right: a message signature with a certificate, a log
// entry and a time-stamp.
type Order struct {
	Key     Signer
	Content []byte // the artifact
	Image   bool   // a statement about an image, not a message signature
	Bare    bool   // names the key, not a certificate
	Unnamed bool   // does not even name the key

	Leaf  Leaf
	Stamp Stamp
	Again *Stamp // one more
	More  int    // log entries that follow

	NoEntry, NoStamp bool
	Certificate      []byte                                                      // instead of one that is made here
	Logged           func(signature []byte, certificate []byte) ([]byte, []byte) // what the log entry says instead
	Entry            func(*Entry)
	Bundle           func(map[string]any)
}

// Bundle makes a Sigstore bundle.
func (r *Realm) Bundle(o Order) []byte {
	r.Helper()
	type object = map[string]any
	spki := SPKI(r, o.Key.Public())
	hint := sha256.Sum256(spki)
	sum := func(text []byte) []byte {
		h := o.Key.Hash().New()
		h.Write(text)
		return h.Sum(nil)
	}
	digest, algorithm := sum(o.Content), map[crypto.Hash]string{crypto.SHA256: "SHA2_256", crypto.SHA384: "SHA2_384"}[o.Key.Hash()]
	payload := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"%x"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`, sha256.Sum256(o.Content))
	if o.Image {
		digest = sum(fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
	}
	signature, err := o.Key.Sign(r.Context(), digest)
	require.NoError(r, err)

	material := object{}
	verifier, raw := "publicKey", spki
	switch {
	case o.Unnamed:
		material["publicKey"] = object{}
	case o.Bare:
		material["publicKey"] = object{"hint": base64.StdEncoding.EncodeToString(hint[:])}
	default:
		certificate := o.Certificate
		if certificate == nil {
			certificate = r.Certify(o.Key.Public(), o.Leaf)
		}
		material["certificate"] = object{"rawBytes": certificate}
		verifier, raw = "x509Certificate", certificate
	}
	if !o.NoEntry {
		logged, names := signature, raw
		if o.Logged != nil {
			logged, names = o.Logged(signature, raw)
		}
		entry := r.Tlog.Add(Body(r, algorithm, details(o.Key.Public()), digest, logged, verifier, names), o.More)
		if o.Entry != nil {
			o.Entry(entry)
		}
		material["tlogEntries"] = []any{entry}
	}
	if !o.NoStamp {
		stamps := []object{{"signedTimestamp": r.Stamp(signature, o.Stamp)}}
		if o.Again != nil {
			stamps = append(stamps, object{"signedTimestamp": r.Stamp(signature, *o.Again)})
		}
		material["timestampVerificationData"] = object{"rfc3161Timestamps": stamps}
	}
	b := object{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material}
	if o.Image {
		b["dsseEnvelope"] = object{"payload": []byte(payload), "payloadType": "application/vnd.in-toto+json", "signatures": []object{{"sig": signature}}}
	} else {
		b["messageSignature"] = object{"messageDigest": object{"algorithm": algorithm, "digest": digest}, "signature": signature}
	}
	if o.Bundle != nil {
		o.Bundle(b)
	}
	out, err := json.Marshal(b)
	require.NoError(r, err)
	return out
}

func details(pub crypto.PublicKey) string {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if pub.Params().BitSize == 384 {
			return "PKIX_ECDSA_P384_SHA_384"
		}
	case *rsa.PublicKey:
		return fmt.Sprintf("PKIX_RSA_PKCS1V15_%d_SHA256", pub.Size()*8)
	}
	return "PKIX_ECDSA_P256_SHA_256"
}
