package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// checker gathers what is wrong with a certificate.
type checker struct {
	c        *x509.Certificate
	findings []string
}

func (k *checker) must(holds bool, format string, args ...any) {
	if !holds {
		k.findings = append(k.findings, fmt.Sprintf(format, args...))
	}
}

// check is our own rule book: RFC 5280 for this kind of certificate, and what verifiers of Sigstore bundles ask.
func check(c, parent *x509.Certificate, kind Kind, profile Profile) []string {
	k := &checker{c: c}
	k.every(parent)
	switch kind {
	case KindRoot, KindIssuing:
		k.authority(kind)
	case KindTimestamping:
		k.must(c.Subject.CommonName != "", "a time-stamping authority has a common name")
		k.must(c.KeyUsage == x509.KeyUsageDigitalSignature, "key usage must be digitalSignature and nothing else")
		if err := onlyTimestamping(c); err != nil {
			k.must(false, "%v", err)
		}
	case KindLeaf:
		k.leaf()
	default:
		k.must(false, "kind %q is unknown", kind)
	}
	if profile == ProfileCABF {
		k.cabf(kind)
	}
	return k.findings
}

// every is what all certificates have in common.
func (k *checker) every(parent *x509.Certificate) {
	c := k.c
	k.must(c.Version == 3, "version is %d, not 3", c.Version)
	k.must(c.SerialNumber.Sign() > 0 && c.SerialNumber.BitLen() >= 64 && c.SerialNumber.BitLen() <= 159, "the serial number has %d bits; it must be positive, with 64 to 159", c.SerialNumber.BitLen())
	k.must(c.NotBefore.Before(c.NotAfter), "it ends at %s, before it begins at %s", moment(c.NotAfter), moment(c.NotBefore))
	k.must(len(c.SubjectKeyId) == 20, "the subject key identifier is missing")
	k.must(c.UnhandledCriticalExtensions == nil, "it has critical extensions that nobody knows: %v", c.UnhandledCriticalExtensions)
	critical := map[string]bool{}
	for _, e := range c.Extensions {
		critical[e.Id.String()] = e.Critical
	}
	k.must(critical[oidKeyUsage.String()], "key usage must be there and critical")
	switch pub := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		bits := pub.Curve.Params().BitSize
		k.must(bits == 256 || bits == 384 || bits == 521, "the key is on the curve %s", pub.Curve.Params().Name)
	case *rsa.PublicKey:
		k.must(pub.N.BitLen() >= 3072, "the RSA key has %d bits, fewer than 3072", pub.N.BitLen())
	default:
		k.must(false, "the key is a %T", c.PublicKey)
	}
	if parent == nil {
		k.must(bytes.Equal(c.RawIssuer, c.RawSubject), "a root is its own issuer")
		return
	}
	k.must(bytes.Equal(c.RawIssuer, parent.RawSubject), "the issuer is not %q", parent.Subject)
	k.must(len(c.AuthorityKeyId) > 0 && bytes.Equal(c.AuthorityKeyId, parent.SubjectKeyId), "the authority key identifier is not that of %q", parent.Subject)
	k.must(!c.NotBefore.Before(parent.NotBefore) && !c.NotAfter.After(parent.NotAfter), "it lives from %s to %s, beyond its issuer, which lives from %s to %s",
		moment(c.NotBefore), moment(c.NotAfter), moment(parent.NotBefore), moment(parent.NotAfter))
}

func (k *checker) authority(kind Kind) {
	c := k.c
	k.must(c.Subject.CommonName != "", "a certificate authority has a common name")
	k.must(c.BasicConstraintsValid && c.IsCA, "basic constraints must say that it is a certificate authority's")
	for _, e := range c.Extensions {
		k.must(!e.Id.Equal(oidBasic) || e.Critical, "basic constraints must be critical")
	}
	k.must(c.KeyUsage == x509.KeyUsageCertSign|x509.KeyUsageCRLSign, "key usage must be keyCertSign and cRLSign and nothing else")
	if kind == KindIssuing {
		k.must(c.MaxPathLen == 0 && c.MaxPathLenZero, "the path length must be 0: no authority stands below an issuing one")
		k.must(len(c.ExtKeyUsage) == 1 && c.ExtKeyUsage[0] == x509.ExtKeyUsageCodeSigning && len(c.UnknownExtKeyUsage) == 0, "extended key usage must be codeSigning and nothing else")
		return
	}
	k.must(len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0, "a root has no extended key usage")
}

func (k *checker) leaf() {
	c := k.c
	k.must(!c.IsCA, "it must not be a certificate authority's")
	k.must(c.KeyUsage == x509.KeyUsageDigitalSignature, "key usage must be digitalSignature and nothing else")
	k.must(len(c.ExtKeyUsage) == 1 && c.ExtKeyUsage[0] == x509.ExtKeyUsageCodeSigning && len(c.UnknownExtKeyUsage) == 0, "extended key usage must be codeSigning and nothing else")
	k.must(len(c.URIs) == 1 && len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses) == 0, "the identity must be one URI and nothing else")
	issuer := ""
	for i, e := range c.Extensions {
		switch {
		case e.Id.Equal(oidIssuer):
			rest, err := asn1.UnmarshalWithParams(e.Value, &issuer, "utf8")
			k.must(err == nil && len(rest) == 0 && !e.Critical, "the issuer extension must be a UTF8String and not critical")
		case e.Id.Equal(oidSCTs):
			k.must(i == len(c.Extensions)-1 && !e.Critical, "the log's promise must be the last extension and not critical")
		case e.Id.Equal(oidSAN):
			k.must(e.Critical == (len(c.Subject.Names) == 0), "the identity must be critical where there is no subject, and only there")
		}
	}
	k.must(issuer != "", "the issuer extension is missing")
	for _, u := range c.URIs {
		k.must(strings.HasPrefix(u.String(), issuer+"/"), "the identity %s does not lie below the issuer %s", u, issuer)
	}
}

// cabf is what the code signing baseline requirements (3.10) ask beside zlint's rules for them.
func (k *checker) cabf(kind Kind) {
	c := k.c
	k.must(c.Subject.CommonName != "" && len(c.Subject.Organization) == 1 && len(c.Subject.Country) == 1, "the subject must have common name, organisation and country (7.1.4.2)")
	if kind == KindRoot {
		return
	}
	for what, urls := range map[string][]string{"revocation list (7.1.2.2, 7.1.2.3)": c.CRLDistributionPoints, "issuer's certificate (7.1.2.2, 7.1.2.3)": c.IssuingCertificateURL} {
		k.must(len(urls) > 0 && !slices.ContainsFunc(urls, func(u string) bool { return !strings.HasPrefix(u, "http://") }), "it must say at which http URL there is the %s", what)
	}
	named := slices.ContainsFunc(c.Policies, func(o x509.OID) bool { return o.String() == oidCABFCodeSigning })
	k.must(named || kind == KindTimestamping, "the certificate policy must be %s (7.1.6.1)", oidCABFCodeSigning)
	life := c.NotAfter.Sub(c.NotBefore)
	k.must(kind != KindLeaf || life <= longestCABFLeaf, "it lives for %d days, longer than 460 (6.3.2)", int(life.Hours()/24))
	k.must(kind != KindTimestamping || life <= longestCABFStamp, "it lives for %d days, longer than 135 months (6.3.2)", int(life.Hours()/24))
	slices.Sort(k.findings)
}
