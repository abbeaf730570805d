package audit

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// KindRekord is Rekor's own word for the leaf, rekordVersion the version that Rekor v2 writes.
const (
	KindRekord    = "hashedrekord"
	rekordVersion = "0.0.2"
)

// Rekord is a signature, in the form of a log entry of Rekor v2.
type Rekord struct {
	Digest    []byte      // what was signed: the artifact's digest, or that of the DSSE envelope's PAE
	Hash      crypto.Hash // of Digest; the one that goes with the key
	Signature []byte      // ECDSA as ASN.1 DER, RSA as PKCS#1 v1.5
	Verifier  Verifier
}

// Verifier is what a Rekord verifies with: exactly one field is set.
type Verifier struct {
	Certificate []byte           // the leaf certificate's DER
	PublicKey   crypto.PublicKey // ECDSA or RSA
}

// Key is the public key, from the certificate when there is one.
func (v Verifier) Key() (crypto.PublicKey, error) {
	switch {
	case v.Certificate != nil && v.PublicKey != nil:
		return nil, errors.New("verifier has a certificate and a public key, it must be one of them")
	case v.PublicKey != nil:
		return v.PublicKey, nil
	case v.Certificate == nil:
		return nil, errors.New("verifier is missing")
	}
	cert, err := x509.ParseCertificate(v.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return cert.PublicKey, nil
}

// HashedRekord is Rekord{…}.Marshal: the body of the log entry, whose signature has been verified.
func HashedRekord(digest []byte, hash crypto.Hash, sig []byte, v Verifier) ([]byte, error) {
	return Rekord{Digest: digest, Hash: hash, Signature: sig, Verifier: v}.Marshal()
}

// algorithms are the keys whose entries every Rekor v2 client takes. Its registry is never changed.
var algorithms = sync.OnceValues(func() (*signature.AlgorithmRegistryConfig, error) {
	return signature.NewAlgorithmRegistryConfig([]common.PublicKeyDetails{
		common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		common.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		common.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		common.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
		common.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		common.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256,
	})
})

// Kind implements Leaf.
func (Rekord) Kind() string { return KindRekord }

// Marshal implements Leaf. It refuses a signature that does not verify: what this log holds is true.
func (r Rekord) Marshal() ([]byte, error) {
	if err := r.Verify(); err != nil {
		return nil, err
	}
	return r.body()
}

// Verify checks the signature over the digest with the verifier's key, as a Rekor v2 server does before it logs an
// entry. Whether the key or certificate is to be trusted is another question.
func (r Rekord) Verify() error {
	known, err := algorithms()
	if err != nil {
		return fmt.Errorf("%s: %w", KindRekord, err)
	}
	sig, _, err := r.parts()
	if err != nil {
		return err
	}
	if _, err := hashedrekord.ToLogEntry(&rekor.HashedRekordRequestV002{Digest: r.Digest, Signature: sig}, known); err != nil {
		return fmt.Errorf("%s: %w", KindRekord, err)
	}
	return nil
}

// body is the entry's canonical form, the signature taken as it is.
func (r Rekord) body() ([]byte, error) {
	sig, hash, err := r.parts()
	if err != nil {
		return nil, err
	}
	loose, err := protojson.Marshal(&rekor.Entry{
		Kind: KindRekord, ApiVersion: rekordVersion,
		Spec: &rekor.Spec{Spec: &rekor.Spec_HashedRekordV002{HashedRekordV002: &rekor.HashedRekordLogEntryV002{
			Data:      &common.HashOutput{Algorithm: hash, Digest: r.Digest},
			Signature: sig,
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: encoding: %w", KindRekord, err)
	}
	return canonical(KindRekord, loose)
}

// parts checks that key, hash and digest belong together.
func (r Rekord) parts() (*rekor.Signature, common.HashAlgorithm, error) {
	fail := func(err error) (*rekor.Signature, common.HashAlgorithm, error) {
		return nil, 0, fmt.Errorf("%s: %w", KindRekord, err)
	}
	pub, err := r.Verifier.Key()
	if err != nil {
		return fail(err)
	}
	details, err := signature.GetDefaultAlgorithmDetails(pub)
	if err != nil {
		return fail(fmt.Errorf("key: %w", err))
	}
	switch want := details.GetHashType(); {
	case want == 0:
		return fail(fmt.Errorf("key: %s cannot sign a digest, which is all that a log entry holds", details.GetSignatureAlgorithm()))
	case r.Hash != want || len(r.Digest) != want.Size():
		return fail(fmt.Errorf("digest is %s with %d bytes, the key signs %s", r.Hash, len(r.Digest), want))
	}
	if len(r.Signature) == 0 {
		return fail(errors.New("signature is missing"))
	}
	v := &rekor.Verifier{KeyDetails: details.GetSignatureAlgorithm()}
	if r.Verifier.Certificate != nil {
		v.Verifier = &rekor.Verifier_X509Certificate{X509Certificate: &common.X509Certificate{RawBytes: r.Verifier.Certificate}}
	} else {
		spki, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return fail(fmt.Errorf("key: %w", err))
		}
		v.Verifier = &rekor.Verifier_PublicKey{PublicKey: &rekor.PublicKey{RawBytes: spki}}
	}
	return &rekor.Signature{Content: r.Signature, Verifier: v}, details.GetProtoHashType(), nil
}

func parseRekord(b []byte) (Leaf, error) {
	var e rekor.Entry
	if err := protojson.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", KindRekord, err)
	}
	spec := e.GetSpec().GetHashedRekordV002()
	sig := spec.GetSignature()
	r := Rekord{Digest: spec.GetData().GetDigest(), Signature: sig.GetContent()}
	switch v := sig.GetVerifier().GetVerifier().(type) {
	case *rekor.Verifier_X509Certificate:
		r.Verifier.Certificate = bytes.Clone(v.X509Certificate.GetRawBytes())
	case *rekor.Verifier_PublicKey:
		pub, err := x509.ParsePKIXPublicKey(v.PublicKey.GetRawBytes())
		if err != nil {
			return nil, fmt.Errorf("%s: key: %w", KindRekord, err)
		}
		r.Verifier.PublicKey = pub
	}
	details, err := signature.GetAlgorithmDetails(sig.GetVerifier().GetKeyDetails())
	if err != nil {
		return nil, fmt.Errorf("%s: key: %w", KindRekord, err)
	}
	r.Hash = details.GetHashType()
	return r, sameBytes(r, b)
}
