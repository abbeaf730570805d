package verifytest

import (
	"cmp"
	"crypto"
	_ "crypto/sha512" // for time-stamps that use it
	"crypto/x509"
	"encoding/asn1"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/stretchr/testify/require"
)

// Stamp is how a time-stamp is made. Its zero value is right.
type Stamp struct {
	Of     []byte // instead of the signature
	At     time.Time
	By     *CA // ClockLeaf if nil
	Naming *x509.Certificate
	Hash   crypto.Hash // SHA-256 if zero
	Bare   bool        // without the certificate
}

// Stamp gives a signature its time.
func (r *Realm) Stamp(signature []byte, s Stamp) []byte {
	r.Helper()
	by, of, at := s.By, s.Of, s.At
	if by == nil {
		by = r.ClockLeaf
	}
	if of == nil {
		of = signature
	}
	if at.IsZero() {
		at = Now
	}
	naming := cmp.Or(s.Naming, by.Certificate)
	hash := cmp.Or(s.Hash, crypto.SHA256)
	d := hash.New()
	d.Write(of)
	token := timestamp.Timestamp{
		HashAlgorithm: hash, HashedMessage: d.Sum(nil), Time: at, Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, Accuracy: time.Second, AddTSACertificate: !s.Bare,
	}
	der, err := token.CreateResponseWithOpts(naming, by.Key, crypto.SHA256)
	require.NoError(r, err)
	return der
}
