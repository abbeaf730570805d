package trust

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Kind is what a certificate is for.
type Kind string

// The kinds of certificate.
const (
	KindRoot         Kind = "root"         // signs itself, issuing and time-stamping certificates
	KindIssuing      Kind = "issuing"      // signs leaves and nothing else
	KindTimestamping Kind = "timestamping" // signs RFC 3161 tokens
	KindLeaf         Kind = "leaf"         // of a signing key
)

// Profile is the set of rules that a certificate keeps beside those of RFC 5280.
type Profile string

// The profiles. CABF adds the CA/Browser Forum's requirements for code signing, for those whose auditors ask for them:
// subject, certificate policy, revocation and issuer addresses, key sizes, longest lives.
const (
	ProfilePrivate Profile = "" // RFC 5280 and what Sigstore verifiers ask
	ProfileCABF    Profile = "cabf"
)

// Lives of certificates. What a request leaves open gets the first; the others are limits of ProfileCABF.
const (
	defaultLeafLife  = 24 * time.Hour
	defaultRootLife  = 20 * 365 * 24 * time.Hour
	defaultCALife    = 5 * 365 * 24 * time.Hour
	longestCABFLeaf  = 460 * 24 * time.Hour
	longestCABFStamp = 135 * 30 * 24 * time.Hour

	backdateLeaf = time.Minute // a time-stamping authority's clock may be behind ours
	backdateCA   = time.Hour
)

// Object identifiers that certificates name.
var (
	oidEKU          = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidBasic        = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidSAN          = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidCodeSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	oidIssuer       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8} // Fulcio's issuer, second form
	oidSCTs         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// oidCABFCodeSigning is the certificate policy of the code signing requirements, section 7.1.6.1.
const oidCABFCodeSigning = "2.23.140.1.4.1"

// Addresses are where relying parties find what ProfileCABF demands; both are http URLs. Hallmark serves neither: it
// revokes by distrust and by short lives.
type Addresses struct {
	CRL       string // the issuer's revocation list
	CAIssuers string // the issuer's own certificate
}

// Order is what a root, issuing or time-stamping certificate is to say.
type Order struct {
	Subject   pkix.Name     // a common name at least
	Life      time.Duration // 0: 20 years for a root, 5 years for others; never longer than its issuer lives
	Profile   Profile
	Addresses Addresses // with ProfileCABF
	Now       time.Time // zero: now
}

// template is the part that every certificate has. Go writes the remaining extensions from it in a fixed order.
func template(pub crypto.PublicKey, subject pkix.Name, from, to time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	ski, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: from.UTC().Truncate(time.Second), NotAfter: to.UTC().Truncate(time.Second), SubjectKeyId: ski,
	}, nil
}

// newSerial draws 159 random bits and sets none of them: positive, at most 20 octets, and hopeless to guess.
func newSerial() (*big.Int, error) {
	for {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
		if err != nil {
			return nil, fmt.Errorf("drawing a serial number: %w", err)
		}
		if n.BitLen() > 64 {
			return n, nil
		}
	}
}

// keyID is the subject key identifier of RFC 7093, method 1: the leftmost 160 bits of SHA-256 over the key's bits.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrProfile, err)
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, fmt.Errorf("%w: public key: %w", ErrProfile, err)
	}
	sum := sha256.Sum256(spki.Key.Bytes)
	return sum[:20], nil
}

// asCA makes the template one of a certificate authority.
func asCA(t *x509.Certificate, pathLen int) {
	t.BasicConstraintsValid, t.IsCA = true, true
	t.MaxPathLen, t.MaxPathLenZero = pathLen, pathLen == 0
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

// asTimestamping makes the template one of a time-stamping authority. RFC 3161 section 2.3 wants the extended key usage
// critical and alone, which crypto/x509 has no switch for.
func asTimestamping(t *x509.Certificate) error {
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
	if err != nil {
		return fmt.Errorf("%w: extended key usage: %w", ErrProfile, err)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidEKU, Critical: true, Value: usage})
	return nil
}

// asLeaf makes the template one of a signing key, without its promise of the log.
func asLeaf(t *x509.Certificate, identity *url.URL, issuer string) error {
	name, err := asn1.MarshalWithParams(issuer, "utf8")
	if err != nil {
		return fmt.Errorf("%w: issuer extension: %w", ErrProfile, err)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	t.URIs = []*url.URL{identity}
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: oidIssuer, Value: name})
	return nil
}

// asCABF adds what the code signing requirements ask beside the profile of the kind.
func asCABF(t *x509.Certificate, kind Kind, a Addresses) error {
	if kind == KindRoot {
		return nil
	}
	policy, err := x509.ParseOID(oidCABFCodeSigning)
	if err != nil {
		return fmt.Errorf("%w: certificate policy: %w", ErrProfile, err)
	}
	if kind != KindTimestamping {
		t.Policies = []x509.OID{policy}
	}
	if a.CRL != "" {
		t.CRLDistributionPoints = []string{a.CRL}
	}
	if a.CAIssuers != "" {
		t.IssuingCertificateURL = []string{a.CAIssuers}
	}
	return nil
}
