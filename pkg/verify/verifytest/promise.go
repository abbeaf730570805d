package verifytest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
)

// extension is the list of one promise over a certificate that lacks it.
func (p Promise) extension(r *Realm, issuing *x509.Certificate, tbs []byte) pkix.Extension {
	r.Helper()
	at := p.At
	if at.IsZero() {
		at = Now
	}
	issuer, ms := sha256.Sum256(issuing.RawSubjectPublicKeyInfo), uint64(at.UnixMilli())
	var text cryptobyte.Builder
	text.AddBytes([]byte{0, 0})
	text.AddUint64(ms)
	text.AddUint16(1)
	text.AddBytes(issuer[:])
	text.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(tbs) })
	text.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Extensions) })
	sum := sha256.Sum256(text.BytesOrPanic())
	sig, err := p.Key.Sign(rand.Reader, sum[:], nil)
	require.NoError(r, err)
	log := sha256.Sum256(SPKI(r, p.Key.Public()))
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddBytes(log[:])
			b.AddUint64(ms)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Extensions) })
			b.AddUint16(0x0403)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sig) })
		})
	})
	value, err := asn1.Marshal(list.BytesOrPanic())
	require.NoError(r, err)
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}
}
