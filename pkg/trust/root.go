package trust

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ErrRoot says that a trusted root, or what one should be made of, cannot be used.
var ErrRoot = errors.New("trusted root cannot be used")

// rootMediaType is the one kind of trusted root that exists.
const rootMediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"

// backdate is how much earlier than said every validity begins, for the sake of clocks that run slow.
const backdate = time.Hour

// Window is a time in which something counts; both ends are open when they are zero.
type Window struct{ From, To time.Time }

func (w Window) proto() *commonv1.TimeRange {
	// A start is mandatory for keys, and a root that is made twice must be the same.
	r := &commonv1.TimeRange{Start: timestamppb.New(time.Unix(0, 0))}
	if !w.From.IsZero() {
		r.Start = timestamppb.New(w.From.Add(-backdate).UTC().Truncate(time.Second))
	}
	if !w.To.IsZero() {
		r.End = timestamppb.New(w.To.UTC().Truncate(time.Second))
	}
	return r
}

// LogKey is a log as verifiers know it. One that has ended stays listed for ever, with To.
type LogKey struct {
	Origin string // the first line of its checkpoints: a host name
	URL    string // where it is served; the host must be Origin. Empty: https://Origin
	Public crypto.PublicKey
	Window Window
}

// SCTKey signs the promises in certificates that they will be logged.
type SCTKey struct {
	URL    string // only to tell people
	Public crypto.PublicKey
	Window Window
}

// Issuer is a CA that certifies signing keys, with all that is above it.
type Issuer struct {
	URI    string
	Chain  []*x509.Certificate // the issuing certificate first, the root last
	Window Window
}

// TimeAuthority is a time-stamping authority, with all that is above it.
type TimeAuthority struct {
	URI    string
	Chain  []*x509.Certificate // its own certificate first, the root last
	Window Window
}

// Material is what a trusted root is made of.
type Material struct {
	Logs    []LogKey
	SCTs    []SCTKey
	Issuers []Issuer
	Times   []TimeAuthority
	Former  [][]byte // earlier trusted roots, and those of other replicas: what they list stays listed
}

// BuildRoot makes the trusted_root.json that verifiers of the Sigstore family take. The same material always makes the
// same bytes. What several sources list once is listed once; an end that any of them knows counts. Errors wrap ErrRoot.
func BuildRoot(m Material) ([]byte, error) {
	r := &rootv1.TrustedRoot{MediaType: rootMediaType}
	own, err := m.own()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	if err := merge(r, own); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	for i, former := range m.Former {
		f, err := parseRoot(former)
		if err != nil {
			return nil, fmt.Errorf("%w: former root %d: %w", ErrRoot, i+1, err)
		}
		if err := merge(r, f); err != nil {
			return nil, fmt.Errorf("%w: former root %d: %w", ErrRoot, i+1, err)
		}
	}
	arrange(r)
	if err := validRoot(r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	return renderRoot(r)
}

func (m Material) own() (*rootv1.TrustedRoot, error) {
	r := &rootv1.TrustedRoot{}
	for _, l := range m.Logs {
		instance, err := l.proto()
		if err != nil {
			return nil, fmt.Errorf("the log %q: %w", l.Origin, err)
		}
		r.Tlogs = append(r.Tlogs, instance)
	}
	for _, s := range m.SCTs {
		instance, err := s.proto()
		if err != nil {
			return nil, fmt.Errorf("an SCT key: %w", err)
		}
		r.Ctlogs = append(r.Ctlogs, instance)
	}
	for _, i := range m.Issuers {
		ca, err := authority(i.URI, i.Chain, i.Window)
		if err != nil {
			return nil, fmt.Errorf("an issuing CA: %w", err)
		}
		r.CertificateAuthorities = append(r.CertificateAuthorities, ca)
	}
	for _, t := range m.Times {
		ca, err := authority(t.URI, t.Chain, t.Window)
		if err != nil {
			return nil, fmt.Errorf("a time-stamping authority: %w", err)
		}
		// The same authority with its next certificate is another entry, and no two may have one URI.
		sum := sha256.Sum256(t.Chain[0].Raw)
		ca.Uri += "#" + hex.EncodeToString(sum[:4])
		r.TimestampAuthorities = append(r.TimestampAuthorities, ca)
	}
	return r, nil
}

func (l LogKey) proto() (*rootv1.TransparencyLogInstance, error) {
	base := l.URL
	if base == "" {
		base = "https://" + l.Origin
	}
	u, err := url.Parse(base)
	if err != nil || u.Hostname() != l.Origin || l.Origin == "" {
		return nil, fmt.Errorf("the host of its address %q must be its origin, without scheme and port", base)
	}
	key, err := publicKey(l.Public, l.Window)
	if err != nil {
		return nil, err
	}
	_, id, err := note.KeyHash(l.Origin, l.Public)
	if err != nil {
		return nil, err
	}
	return &rootv1.TransparencyLogInstance{BaseUrl: base, HashAlgorithm: commonv1.HashAlgorithm_SHA2_256, PublicKey: key, LogId: &commonv1.LogId{KeyId: id}}, nil
}

func (s SCTKey) proto() (*rootv1.TransparencyLogInstance, error) {
	key, err := publicKey(s.Public, s.Window)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(key.RawBytes)
	return &rootv1.TransparencyLogInstance{BaseUrl: s.URL, HashAlgorithm: commonv1.HashAlgorithm_SHA2_256, PublicKey: key, LogId: &commonv1.LogId{KeyId: id[:]}}, nil
}

func publicKey(pub crypto.PublicKey, w Window) (*commonv1.PublicKey, error) {
	details, err := signature.GetDefaultPublicKeyDetails(pub)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return &commonv1.PublicKey{RawBytes: der, KeyDetails: details, ValidFor: w.proto()}, nil
}

func authority(uri string, chain []*x509.Certificate, w Window) (*rootv1.CertificateAuthority, error) {
	if len(chain) == 0 {
		return nil, errors.New("it has no certificates")
	}
	top := chain[len(chain)-1].Subject
	ca := &rootv1.CertificateAuthority{Uri: uri, Subject: &commonv1.DistinguishedName{CommonName: top.CommonName},
		CertChain: &commonv1.X509CertificateChain{}, ValidFor: w.proto()}
	if len(top.Organization) > 0 {
		ca.Subject.Organization = top.Organization[0]
	}
	for _, cert := range chain {
		ca.CertChain.Certificates = append(ca.CertChain.Certificates, &commonv1.X509Certificate{RawBytes: cert.Raw})
	}
	return ca, nil
}

// renderRoot writes the same bytes for the same root: protojson alone strews spaces at random.
func renderRoot(r *rootv1.TrustedRoot) ([]byte, error) {
	loose, err := protojson.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding the trusted root: %w", err)
	}
	var tight, out bytes.Buffer
	if err := json.Compact(&tight, loose); err != nil {
		return nil, fmt.Errorf("encoding the trusted root: %w", err)
	}
	if err := json.Indent(&out, tight.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("encoding the trusted root: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
