package sealtest

import (
	"bytes"
	"context"
	"crypto"
	sum256 "crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

var _ seal.Notary = (*Notary)(nil)

// Notary attests without a CA, a log and a clock that anybody would believe: certificates, entries and time-stamps have
// the right shape, and are the same for the same question. Its fields are set before it is used.
type Notary struct {
	DER                              []byte // the certificate; nil for none
	CertificateErr, StampErr, LogErr error
	Spoil                            func(*rekor.TransparencyLogEntry) // changes an entry before it is returned
	NoToken                          bool
	mu                               sync.Mutex
	certificates, signed, stamps     int
	records                          []seal.Record
}

// NewNotary returns the notary of a key, with a certificate of it.
func NewNotary(t testing.TB, key *Key) *Notary {
	t.Helper()
	return &Notary{DER: Certificate(t, key.Public())}
}

// Certificate returns a certificate of a public key, always the same for the same key.
func Certificate(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	identity, err := url.Parse("https://hallmark.example/keys/one")
	require.NoError(t, err)
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Hallmark test CA"}, SubjectKeyId: []byte("test CA")}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	der, err := x509.CreateCertificate(nil, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start.Add(24 * time.Hour), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, issuer, pub, still{NewKey(t, "P-256", "test CA").key})
	require.NoError(t, err)
	return der
}

// still signs the same way each time.
type still struct{ crypto.Signer }

func (s still) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(nil, digest, opts)
}

// Certificate implements seal.Notary.
func (n *Notary) Certificate(context.Context) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.certificates++
	return n.DER, n.CertificateErr
}

// Signed implements seal.Notary.
func (n *Notary) Signed([]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.signed++
}

// Stamp implements seal.Notary.
func (n *Notary) Stamp(_ context.Context, signature []byte) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stamps++
	if n.NoToken {
		return nil, n.StampErr
	}
	sum := sum256.Sum256(signature)
	return append([]byte("time-stamp of "), sum[:]...), n.StampErr
}

// Record implements seal.Notary.
func (n *Notary) Record(_ context.Context, r seal.Record) (*rekor.TransparencyLogEntry, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records = append(n.records, r)
	if n.LogErr != nil {
		return nil, n.LogErr
	}
	named := map[string]any{"rawBytes": r.Certificate}
	by := "x509Certificate"
	if r.Certificate == nil {
		der, err := x509.MarshalPKIXPublicKey(r.PublicKey)
		if err != nil {
			return nil, err
		}
		by, named = "publicKey", map[string]any{"rawBytes": der}
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": map[string]any{"hashedRekordV002": map[string]any{
		"data":      map[string]any{"algorithm": "SHA2_256", "digest": r.Digest},
		"signature": map[string]any{"content": r.Signature, "verifier": map[string]any{by: named}},
	}}})
	if err != nil {
		return nil, err
	}
	root := sum256.Sum256(append([]byte{0}, body...))
	e := &rekor.TransparencyLogEntry{
		LogIndex: 7, LogId: &common.LogId{KeyId: bytes.Repeat([]byte{1}, 32)},
		KindVersion: &rekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"}, CanonicalizedBody: body,
		InclusionProof: &rekor.InclusionProof{
			LogIndex: 7, TreeSize: 8, RootHash: root[:], Checkpoint: &rekor.Checkpoint{Envelope: fmt.Sprintf("log.example\n8\n%x\n", root)},
		},
	}
	if n.Spoil != nil {
		n.Spoil(e)
	}
	return e, nil
}

// Asked tells how often the notary was asked for a certificate and a time-stamp, and what it recorded.
func (n *Notary) Asked() (certificates, stamps int, records []seal.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.certificates, n.stamps, n.records
}

// Heard is of how many signatures the notary was told.
func (n *Notary) Heard() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.signed
}
