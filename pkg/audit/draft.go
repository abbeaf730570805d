package audit

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Draft is a certificate that is about to be issued here. It is in the log before the service's keys sign anything of it, so
// that none of what they sign is unknown, wherever the process dies. The Certificate comes after it.
type Draft struct {
	TBS []byte `json:"tbs"` // the TBSCertificate in DER, as it is before a promise of the log is put in (RFC 6962 section 3.2)
}

// Kind implements Leaf.
func (Draft) Kind() string { return KindDraft }

// Marshal implements Leaf.
func (d Draft) Marshal() ([]byte, error) {
	_, err := d.Parse()
	if err != nil {
		err = fmt.Errorf("tbs: %w", err)
	}
	return marshalLeaf(KindDraft, d, err)
}

// Parse reads the draft as a certificate, without a signature that anybody should look at.
func (d Draft) Parse() (*x509.Certificate, error) {
	var tbs struct { // and more, which is not needed
		Version   int `asn1:"optional,explicit,default:0,tag:0"`
		Serial    asn1.RawValue
		Algorithm asn1.RawValue
	}
	rest, err := asn1.Unmarshal(d.TBS, &tbs)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errors.New("there is something behind the end")
	}
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: d.TBS}, tbs.Algorithm, asn1.BitString{Bytes: []byte{0}, BitLength: 8}})
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// oidPromises are the log's promises in a certificate (RFC 6962 section 3.3).
var oidPromises = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// essence is what a draft and the certificate that was made of it have in common: all of it but promises and signature.
func essence(c *x509.Certificate) artifact.Digest {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	part([]byte{byte(c.Version), byte(c.SignatureAlgorithm)})
	part(c.SerialNumber.Bytes())
	part(c.RawIssuer)
	part([]byte(c.NotBefore.UTC().String()))
	part([]byte(c.NotAfter.UTC().String()))
	part(c.RawSubject)
	part(c.RawSubjectPublicKeyInfo)
	for _, e := range c.Extensions {
		if e.Id.Equal(oidPromises) {
			continue
		}
		part([]byte(e.Id.String()))
		part(slices.Concat([]byte{map[bool]byte{true: 1}[e.Critical]}, e.Value))
	}
	return artifact.Digest(h.Sum(nil))
}

// issuedHere reports whether a certificate is one of those that the service makes for keys: authorities may be elsewhere.
func issuedHere(c *x509.Certificate) bool {
	return !c.IsCA && slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning)
}
