package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parseSCTs reads the value of the extension.
func parseSCTs(value []byte) ([]signedTimestamp, error) {
	malformed := fmt.Errorf("%w: the list is malformed", ErrSCT)
	outer, inner := cryptobyte.String(value), cryptobyte.String(nil)
	var list cryptobyte.String
	if !outer.ReadASN1(&inner, casn1.OCTET_STRING) || !outer.Empty() || !inner.ReadUint16LengthPrefixed(&list) || !inner.Empty() || list.Empty() {
		return nil, malformed
	}
	var all []signedTimestamp
	for !list.Empty() {
		var one, extensions, signature cryptobyte.String
		var version uint8
		var s signedTimestamp
		if !list.ReadUint16LengthPrefixed(&one) || !one.ReadUint8(&version) {
			return nil, malformed
		}
		if version != sctV1 {
			continue // a later version says what it will
		}
		if !one.CopyBytes(s.logID[:]) || !one.ReadUint64(&s.at) || !one.ReadUint16LengthPrefixed(&extensions) ||
			!one.ReadUint8(&s.hash) || !one.ReadUint8(&s.alg) || !one.ReadUint16LengthPrefixed(&signature) || !one.Empty() {
			return nil, malformed
		}
		s.extensions, s.signature = extensions, signature
		all = append(all, s)
	}
	return all, nil
}

// VerifySCT checks that the certificate carries a promise of the log with this key, for exactly what the certificate says
// and this issuer, and tells when it was given. ErrSCT.
func VerifySCT(leaf, issuer *x509.Certificate, key crypto.PublicKey) (time.Time, error) {
	var value []byte
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oidSCTs) {
			value = e.Value
		}
	}
	if value == nil {
		return time.Time{}, fmt.Errorf("%w: the certificate has none", ErrSCT)
	}
	all, err := parseSCTs(value)
	if err != nil {
		return time.Time{}, err
	}
	id, err := logIDOf(key)
	if err != nil {
		return time.Time{}, err
	}
	tbs, err := withoutSCTs(leaf.RawTBSCertificate)
	if err != nil {
		return time.Time{}, err
	}
	for _, s := range all {
		if !bytes.Equal(s.logID[:], id[:]) {
			continue
		}
		if err := s.verify(issuer, tbs, key); err != nil {
			return time.Time{}, err
		}
		return time.UnixMilli(int64(s.at)).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%w: it is by another log", ErrSCT)
}

func (s signedTimestamp) verify(issuer *x509.Certificate, tbs []byte, key crypto.PublicKey) error {
	input, err := s.input(issuer, tbs)
	if err != nil {
		return err
	}
	digest, ok := sha256.Sum256(input), false
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		ok = s.hash == tlsSHA256 && s.alg == tlsECDSA && ecdsa.VerifyASN1(k, digest[:], s.signature)
	case *rsa.PublicKey:
		ok = s.hash == tlsSHA256 && s.alg == tlsRSA && rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], s.signature) == nil
	}
	if !ok {
		return fmt.Errorf("%w: it was given for another certificate, or by another key", ErrSCT)
	}
	return nil
}

// withoutSCTs is the TBSCertificate as it was when the promise was given: every other byte as it is.
func withoutSCTs(tbs []byte) ([]byte, error) {
	malformed := fmt.Errorf("%w: the certificate is malformed", ErrSCT)
	const extensions = casn1.Tag(3 | 0x80 | 0x20) // [3] EXPLICIT
	outer, body := cryptobyte.String(tbs), cryptobyte.String(nil)
	if !outer.ReadASN1(&body, casn1.SEQUENCE) || !outer.Empty() {
		return nil, malformed
	}
	var parts, kept [][]byte
	found := 0
	for !body.Empty() {
		var element cryptobyte.String
		var tag casn1.Tag
		if !body.ReadAnyASN1Element(&element, &tag) {
			return nil, malformed
		}
		if tag != extensions {
			parts = append(parts, element)
			continue
		}
		var explicit, list cryptobyte.String
		if !element.ReadASN1(&explicit, extensions) || !explicit.ReadASN1(&list, casn1.SEQUENCE) || !explicit.Empty() || !body.Empty() {
			return nil, malformed
		}
		for !list.Empty() {
			var whole cryptobyte.String
			if !list.ReadASN1Element(&whole, casn1.SEQUENCE) {
				return nil, malformed
			}
			extension, inner := whole, cryptobyte.String(nil)
			var id asn1.ObjectIdentifier
			if !extension.ReadASN1(&inner, casn1.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&id) {
				return nil, malformed
			}
			if id.Equal(oidSCTs) {
				found++
				continue
			}
			kept = append(kept, whole)
		}
	}
	if found != 1 {
		return nil, fmt.Errorf("%w: %d lists of promises in one certificate", ErrSCT, found)
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
		if len(kept) == 0 {
			return
		}
		b.AddASN1(extensions, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, e := range kept {
					b.AddBytes(e)
				}
			})
		})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSCT, err)
	}
	return out, nil
}
