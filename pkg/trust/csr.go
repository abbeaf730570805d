package trust

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/url"
)

// CSR asks an external authority for a certificate.
type CSR struct {
	Kind     Kind      // KindIssuing, KindTimestamping or KindLeaf
	Subject  pkix.Name // a common name at least, unless there is an identity
	Identity string    // of a leaf: its URI
}

// NewCSR makes a PKCS#10 request in PEM, signed by the key that it is for: one signature, which was verified. It asks for
// the extensions that the kind needs; the authority decides what it grants, and CheckChain judges what comes back.
func NewCSR(ctx context.Context, key Signer, c CSR) ([]byte, error) {
	failed := func(err error) ([]byte, error) { return nil, fmt.Errorf("making a certificate request: %w", err) }
	m, err := newMaker(key)
	if err != nil {
		return failed(err)
	}
	t := &x509.CertificateRequest{Subject: c.Subject, SignatureAlgorithm: m.algorithm}
	usage, extended := asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}, oidCodeSigning // digitalSignature
	switch c.Kind {
	case KindIssuing:
		usage = asn1.BitString{Bytes: []byte{0x06}, BitLength: 7} // keyCertSign, cRLSign
		basic, err := asn1.Marshal(struct {
			CA  bool
			Len int
		}{true, 0})
		if err != nil {
			return failed(err)
		}
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidBasic, Critical: true, Value: basic})
	case KindTimestamping:
		extended = oidTimeStamping
	case KindLeaf:
		if c.Identity != "" {
			u, err := url.Parse(c.Identity)
			if err != nil || !u.IsAbs() || u.String() != c.Identity {
				return failed(fmt.Errorf("%w: identity %q is not a plain URI", ErrProfile, c.Identity))
			}
			t.URIs = []*url.URL{u}
		}
	default:
		return failed(fmt.Errorf("%w: nobody else signs a certificate of the kind %s", ErrProfile, c.Kind))
	}
	if c.Subject.CommonName == "" && len(t.URIs) == 0 {
		return failed(fmt.Errorf("%w: it names nobody; give a common name", ErrProfile))
	}
	for _, e := range []struct {
		id       asn1.ObjectIdentifier
		critical bool
		value    any
	}{{oidKeyUsage, true, usage}, {oidEKU, c.Kind == KindTimestamping, []asn1.ObjectIdentifier{extended}}} {
		value, err := asn1.Marshal(e.value)
		if err != nil {
			return failed(err)
		}
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: e.id, Critical: e.critical, Value: value})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, asCryptoSigner{ctx: ctx, key: key})
	if err != nil {
		return failed(err)
	}
	made, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return failed(err)
	}
	if err := made.CheckSignature(); err != nil {
		return failed(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}
