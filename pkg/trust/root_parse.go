package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// Bounds of a trusted root that is read.
const (
	maxRoot        = 1 << 20
	maxRootEntries = 256 // of each kind
	maxRootChain   = 8
)

// parseRoot reads a trusted root strictly: all that it lists must be usable by every verifier, or it is refused.
func parseRoot(content []byte) (*rootv1.TrustedRoot, error) {
	if len(content) > maxRoot {
		return nil, fmt.Errorf("%d bytes, over %d", len(content), maxRoot)
	}
	r := &rootv1.TrustedRoot{}
	if err := protojson.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("not a trusted root in JSON: %w", err)
	}
	if err := validRoot(r); err != nil {
		return nil, err
	}
	return r, nil
}

func validRoot(r *rootv1.TrustedRoot) error {
	if r.GetMediaType() != rootMediaType {
		return fmt.Errorf("its mediaType is %.80q, expected %q", r.GetMediaType(), rootMediaType)
	}
	if n := max(len(r.GetTlogs()), len(r.GetCtlogs()), len(r.GetCertificateAuthorities()), len(r.GetTimestampAuthorities())); n > maxRootEntries {
		return fmt.Errorf("%d entries of one kind, over %d", n, maxRootEntries)
	}
	seen := map[string]bool{}
	once := func(kind, what string) error {
		if seen[kind+what] {
			return errors.New("it is listed twice")
		}
		seen[kind+what] = true
		return nil
	}
	for i, l := range r.GetTlogs() {
		if err := errors.Join(validLog(l), once("log", string(l.GetLogId().GetKeyId()))); err != nil {
			return fmt.Errorf("tlogs[%d] (%.100q): %w", i, l.GetBaseUrl(), err)
		}
	}
	for i, l := range r.GetCtlogs() {
		if err := errors.Join(validSCT(l), once("sct", string(l.GetLogId().GetKeyId()))); err != nil {
			return fmt.Errorf("ctlogs[%d] (%.100q): %w", i, l.GetBaseUrl(), err)
		}
	}
	for i, a := range r.GetCertificateAuthorities() {
		if err := errors.Join(validIssuer(a), once("ca", authorityID(a))); err != nil {
			return fmt.Errorf("certificateAuthorities[%d] (%.100q): %w", i, a.GetUri(), err)
		}
	}
	for i, a := range r.GetTimestampAuthorities() {
		if err := errors.Join(validTime(a), once("tsa", authorityID(a)), once("uri", a.GetUri())); err != nil {
			return fmt.Errorf("timestampAuthorities[%d] (%.100q): %w", i, a.GetUri(), err)
		}
	}
	return nil
}

func validLog(l *rootv1.TransparencyLogInstance) error {
	pub, err := validKey(l)
	if err != nil {
		return err
	}
	origin := originOf(l)
	if origin == "" || strings.ContainsFunc(origin, unicode.IsSpace) || strings.Contains(origin, "+") {
		return errors.New("its address must have a host, which is the origin of its checkpoints")
	}
	_, id, err := note.KeyHash(origin, pub)
	if err != nil {
		return err
	}
	if !bytes.Equal(id, l.GetLogId().GetKeyId()) {
		return errors.New("its logId is not that of its key and origin")
	}
	return nil
}

func validSCT(l *rootv1.TransparencyLogInstance) error {
	pub, err := validKey(l)
	if err != nil {
		return err
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return errors.New("an SCT key must be P-256 or RSA, which all verifiers take")
		}
	default:
		return errors.New("an SCT key must be P-256 or RSA, which all verifiers take")
	}
	if id := sha256.Sum256(l.GetPublicKey().GetRawBytes()); !bytes.Equal(id[:], l.GetLogId().GetKeyId()) {
		return errors.New("its logId is not the SHA-256 of its key")
	}
	return nil
}

func validKey(l *rootv1.TransparencyLogInstance) (any, error) {
	if l.GetHashAlgorithm() != commonv1.HashAlgorithm_SHA2_256 {
		return nil, errors.New("its hashAlgorithm is not SHA2_256")
	}
	k := l.GetPublicKey()
	pub, err := x509.ParsePKIXPublicKey(k.GetRawBytes())
	if err != nil {
		return nil, fmt.Errorf("its public key cannot be read: %w", err)
	}
	details, err := signature.GetDefaultPublicKeyDetails(pub)
	if err != nil {
		return nil, err
	}
	if k.GetKeyDetails() != details {
		return nil, fmt.Errorf("its keyDetails are %s, those of its key are %s", k.GetKeyDetails(), details)
	}
	if k.GetValidFor().GetStart() == nil {
		return nil, errors.New("its validFor has no start")
	}
	return pub, validRange(k.GetValidFor())
}

func validRange(r *commonv1.TimeRange) error {
	if s := r.GetStart(); s != nil && !s.IsValid() || r.GetEnd() != nil && !r.GetEnd().IsValid() {
		return errors.New("its validFor is not a time")
	}
	if r.GetStart() != nil && r.GetEnd() != nil && r.GetEnd().AsTime().Before(r.GetStart().AsTime()) {
		return errors.New("its validFor ends before it starts")
	}
	return nil
}

func validIssuer(a *rootv1.CertificateAuthority) error {
	chain, err := chainOf(a)
	if err != nil {
		return err
	}
	for i, cert := range chain {
		if !cert.IsCA || !cert.BasicConstraintsValid {
			return fmt.Errorf("certificate %d of its chain (%s) is no CA's", i+1, cert.Subject)
		}
	}
	return hangs(chain)
}

func validTime(a *rootv1.CertificateAuthority) error {
	chain, err := chainOf(a)
	if err != nil {
		return err
	}
	if a.GetUri() == "" {
		return errors.New("it has no uri, by which verifiers tell authorities apart")
	}
	return stampChain(chain).valid()
}

func chainOf(a *rootv1.CertificateAuthority) ([]*x509.Certificate, error) {
	raw := a.GetCertChain().GetCertificates()
	if len(raw) == 0 || len(raw) > maxRootChain {
		return nil, fmt.Errorf("its chain has %d certificates; expected 1 to %d", len(raw), maxRootChain)
	}
	chain := make([]*x509.Certificate, 0, len(raw))
	for i, c := range raw {
		cert, err := x509.ParseCertificate(c.GetRawBytes())
		if err != nil {
			return nil, fmt.Errorf("certificate %d of its chain cannot be read: %w", i+1, err)
		}
		if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxTokenRSABits {
			return nil, fmt.Errorf("certificate %d of its chain has an RSA key of %d bits, over %d", i+1, k.N.BitLen(), maxTokenRSABits)
		}
		chain = append(chain, cert)
	}
	return chain, validRange(a.GetValidFor())
}

// hangs holds that each certificate is issued by the next, and the last by itself.
func hangs(chain []*x509.Certificate) error {
	for i, cert := range chain {
		next := chain[min(i+1, len(chain)-1)]
		if err := cert.CheckSignatureFrom(next); err != nil {
			if next == cert {
				return fmt.Errorf("the last certificate of the chain (%s) is not a root: %w", cert.Subject, err)
			}
			return fmt.Errorf("certificate %d of the chain (%s) is not issued by the next (%s): %w", i+1, cert.Subject, next.Subject, err)
		}
	}
	return nil
}

// IssuingKeys are the public keys of the issuing authorities that a trusted root lists. Errors wrap ErrRoot.
func IssuingKeys(trustedRoot []byte) ([]crypto.PublicKey, error) {
	r, err := parseRoot(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	var keys []crypto.PublicKey
	for _, a := range r.GetCertificateAuthorities() {
		chain, err := chainOf(a)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRoot, err)
		}
		keys = append(keys, chain[0].PublicKey)
	}
	return keys, nil
}

// Logs are the origins of the logs that a trusted root lists, sorted. Errors wrap ErrRoot.
func Logs(trustedRoot []byte) ([]string, error) {
	r, err := parseRoot(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	var origins []string
	for _, l := range r.GetTlogs() {
		origins = append(origins, originOf(l))
	}
	slices.Sort(origins)
	return slices.Compact(origins), nil
}
