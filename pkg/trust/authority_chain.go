package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Bounds of a chain that somebody else made.
const (
	longestChain = 8
	mostPEM      = 256 << 10
)

// ReadChain reads certificates in PEM, or one in DER, and returns them in the order of a chain: the certificate that no
// other one was signed by first, the root last. It checks how they hang together, and no time; CheckChain does the rest.
func ReadChain(data []byte) ([]*x509.Certificate, error) {
	found, err := parseCertificates(data)
	if err != nil {
		return nil, err
	}
	var first []*x509.Certificate
	for _, c := range found {
		signs := false
		for _, other := range found {
			signs = signs || other != c && hangsFrom(other, c)
		}
		if !signs {
			first = append(first, c)
		}
	}
	if len(first) != 1 {
		return nil, fmt.Errorf("%w: the %d certificates are %d chains; give one, from the certificate to its root", ErrChain, len(found), len(first))
	}
	chain, rest := first, withoutCertificate(found, first[0])
	for len(rest) > 0 {
		above := (*x509.Certificate)(nil)
		for _, c := range rest {
			if hangsFrom(chain[len(chain)-1], c) {
				above = c
				break
			}
		}
		if above == nil {
			return nil, fmt.Errorf("%w: none of the certificates signed %s, yet %d are left over", ErrChain, nameOf(chain[len(chain)-1]), len(rest))
		}
		chain, rest = append(chain, above), withoutCertificate(rest, above)
	}
	return chain, nil
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	if len(data) > mostPEM {
		return nil, fmt.Errorf("%w: %d bytes are no chain of certificates", ErrChain, len(data))
	}
	if block, _ := pem.Decode(data); block == nil {
		if c, err := x509.ParseCertificate(data); err == nil {
			return []*x509.Certificate{c}, nil
		}
		return nil, fmt.Errorf("%w: neither PEM nor DER certificates found", ErrChain)
	}
	var all []*x509.Certificate
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: a PEM block is %q; only certificates belong here", ErrChain, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d: %w", ErrChain, len(all)+1, err)
		}
		for _, other := range all {
			if c.Equal(other) {
				return nil, fmt.Errorf("%w: %s is there twice", ErrChain, nameOf(c))
			}
		}
		if all = append(all, c); len(all) > longestChain {
			return nil, fmt.Errorf("%w: more than %d certificates", ErrChain, longestChain)
		}
	}
	return all, nil
}

// hangsFrom reports whether parent signed c.
func hangsFrom(c, parent *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, parent.RawSubject) && parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func withoutCertificate(all []*x509.Certificate, c *x509.Certificate) []*x509.Certificate {
	var rest []*x509.Certificate
	for _, other := range all {
		if other != c {
			rest = append(rest, other)
		}
	}
	return rest
}

// PEMChain writes certificates one after the other.
func PEMChain(chain ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// CheckChain judges a chain, first certificate to root, for what its first certificate is to do: it is of the public key
// (nil: of any), every certificate signed the one before and may do so, the uses nest, the last one is a root that signs
// itself, and all are valid at this time. ErrChain, ErrExpired, ErrNotYetValid.
func CheckChain(chain []*x509.Certificate, kind Kind, public crypto.PublicKey, at time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: it is empty", ErrChain)
	}
	if public != nil && !sameKey(chain[0].PublicKey, public) {
		return fmt.Errorf("%w: %s is not of the key that is configured for it", ErrChain, nameOf(chain[0]))
	}
	root := chain[len(chain)-1]
	if !hangsFrom(root, root) {
		return fmt.Errorf("%w: it does not end in a root: %s was signed by %q; append that certificate", ErrChain, nameOf(root), root.Issuer)
	}
	for i, c := range chain {
		if err := validAt(c, at); err != nil {
			return err
		}
		if i > 0 && !hangsFrom(chain[i-1], c) {
			return fmt.Errorf("%w: %s was not signed by %q", ErrChain, nameOf(chain[i-1]), c.Subject)
		}
		if isCA := c.BasicConstraintsValid && c.IsCA && c.KeyUsage&x509.KeyUsageCertSign != 0; !isCA && (i > 0 || kind == KindIssuing || kind == KindRoot) {
			return fmt.Errorf("%w: %s is not that of a certificate authority", ErrChain, nameOf(c))
		}
		if c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero) && pathBelow(i, kind) > c.MaxPathLen {
			return fmt.Errorf("%w: %s allows %d authorities below itself, and there are to be %d", ErrChain, nameOf(c), c.MaxPathLen, pathBelow(i, kind))
		}
	}
	use := x509.ExtKeyUsageCodeSigning
	switch kind {
	case KindTimestamping:
		if err := onlyTimestamping(chain[0]); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrChain, nameOf(chain[0]), err)
		}
		use = x509.ExtKeyUsageTimeStamping
	case KindRoot:
		use = x509.ExtKeyUsageAny
	case KindLeaf:
		if chain[0].IsCA || chain[0].KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return fmt.Errorf("%w: %s is not that of a signing key: it wants digitalSignature and no CA", ErrChain, nameOf(chain[0]))
		}
	}
	return verifyChain(chain, use, at)
}

// pathBelow is how many authorities stand below the certificate at i of a chain of this kind.
func pathBelow(i int, kind Kind) int {
	if kind == KindIssuing || kind == KindRoot {
		return i
	}
	return max(i-1, 0)
}

// verifyChain is the standard library's opinion on a chain, in exactly this order.
func verifyChain(chain []*x509.Certificate, use x509.ExtKeyUsage, at time.Time) error {
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use},
	}
	opts.Roots.AddCert(chain[len(chain)-1])
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return fmt.Errorf("%w: %w", ErrExpired, err)
		}
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	return nil
}

// onlyTimestamping is RFC 3161 section 2.3: the key makes time-stamps and nothing else, and says so critically.
func onlyTimestamping(c *x509.Certificate) error {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return errors.New("the extended key usage must be timeStamping alone")
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidEKU) && !e.Critical {
			return errors.New("the extended key usage must be critical")
		}
	}
	if c.IsCA {
		return errors.New("a time-stamping certificate is no certificate authority's")
	}
	return nil
}

// sameKey compares public keys of whatever type.
func sameKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
