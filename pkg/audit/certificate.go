package audit

import (
	"crypto/x509"
	"fmt"
)

// Certificate is a certificate that was issued here, after its Draft, or configured. It is in the log before its first use, so
// that a certificate that is not in the log is known for a foreign one.
type Certificate struct {
	DER []byte `json:"der"`
}

// Kind implements Leaf.
func (Certificate) Kind() string { return KindCertificate }

// Marshal implements Leaf.
func (c Certificate) Marshal() ([]byte, error) {
	_, err := x509.ParseCertificate(c.DER)
	if err != nil {
		err = fmt.Errorf("der: %w", err)
	}
	return marshalLeaf(KindCertificate, c, err)
}
