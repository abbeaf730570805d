package verify

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// ErrTrust says that what should tell whom to believe cannot be read. It is about the question, never about a signature.
var ErrTrust = errors.New("unusable trust material")

// rootType is the media type of trusted_root.json.
const rootType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"

// maxRoot bounds trusted_root.json in bytes, maxListed how many of each kind it may list, maxChain one chain in it.
const (
	maxRoot   = 4 << 20
	maxListed = 256
	maxChain  = 8
)

// Root is whom a verifier believes about certificates, about the log and about time: what Sigstore calls a trusted root.
// It does not change and may be used by many at a time.
type Root struct {
	logKeys  map[string]*logKey // by their identifiers
	ctLogs   map[[32]byte]*logKey
	issuers  []*authority
	stampers []*authority
}

// logKey is the key of a log: one that holds uses of keys, or one that promises to hold certificates.
type logKey struct {
	origin   string // the host of its address, which is also the name that signs its checkpoints
	noteHash uint32 // by which those signatures name the key
	public   crypto.PublicKey
	window
}

// authority is the chain of one who issues certificates or time-stamps.
type authority struct {
	name          string
	chain         []*x509.Certificate // the root last
	leaf          *x509.Certificate   // of a time-stamping authority, when the chain begins with it
	roots, middle *x509.CertPool
	window
}

// window is a span of time, its ends included. The zero time at either end is no bound.
type window struct{ from, until time.Time }

func (w window) holds(at time.Time) bool {
	return (w.from.IsZero() || !at.Before(w.from)) && (w.until.IsZero() || !at.After(w.until))
}

func (w window) String() string {
	end := func(t time.Time) string {
		if t.IsZero() {
			return "…"
		}
		return moment(t)
	}
	return end(w.from) + " to " + end(w.until)
}

// moment is a time as reasons and findings show it.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ReadRoot reads trusted_root.json. It refuses what it cannot understand in full: whoever is listed there is believed.
// The error wraps ErrTrust.
func ReadRoot(content []byte) (*Root, error) {
	if len(content) > maxRoot {
		return nil, fmt.Errorf("%w: the trusted root has more than %d bytes", ErrTrust, maxRoot)
	}
	t := new(trustroot.TrustedRoot)
	if err := protojson.Unmarshal(content, t); err != nil {
		return nil, fmt.Errorf("%w: the trusted root cannot be read: %.200s", ErrTrust, plainly(err))
	}
	if t.GetMediaType() != rootType {
		return nil, fmt.Errorf("%w: the trusted root's media type is %.100q, expected %q", ErrTrust, t.GetMediaType(), rootType)
	}
	for _, n := range [...]int{len(t.GetTlogs()), len(t.GetCtlogs()), len(t.GetCertificateAuthorities()), len(t.GetTimestampAuthorities())} {
		if n > maxListed {
			return nil, fmt.Errorf("%w: the trusted root lists %d of one kind, at most %d are read", ErrTrust, n, maxListed)
		}
	}
	r := &Root{logKeys: map[string]*logKey{}, ctLogs: map[[32]byte]*logKey{}}
	for i, l := range t.GetTlogs() {
		if err := r.addLog(l); err != nil {
			return nil, fmt.Errorf("%w: tlogs[%d]: %w", ErrTrust, i, err)
		}
	}
	for i, l := range t.GetCtlogs() {
		if err := r.addCTLog(l); err != nil {
			return nil, fmt.Errorf("%w: ctlogs[%d]: %w", ErrTrust, i, err)
		}
	}
	var err error
	if r.issuers, err = readAuthorities(t.GetCertificateAuthorities(), false); err != nil {
		return nil, fmt.Errorf("%w: certificateAuthorities%w", ErrTrust, err)
	}
	if r.stampers, err = readAuthorities(t.GetTimestampAuthorities(), true); err != nil {
		return nil, fmt.Errorf("%w: timestampAuthorities%w", ErrTrust, err)
	}
	return r, nil
}

func (r *Root) addLog(l *trustroot.TransparencyLogInstance) error {
	k, err := readLogKey(l)
	if err != nil {
		return err
	}
	if k.origin = hostOf(l.GetBaseUrl()); k.origin == "" {
		return fmt.Errorf("baseUrl %.100q names no host, which the log's checkpoints are signed as", l.GetBaseUrl())
	}
	if k.noteHash, err = k.noteKeyHash(); err != nil {
		return err
	}
	id := string(l.GetLogId().GetKeyId())
	if id == "" || r.logKeys[id] != nil {
		return fmt.Errorf("its identifier %x is missing or listed twice", id)
	}
	r.logKeys[id] = k
	return nil
}

func (r *Root) addCTLog(l *trustroot.TransparencyLogInstance) error {
	k, err := readLogKey(l)
	if err != nil {
		return err
	}
	id := sha256.Sum256(l.GetPublicKey().GetRawBytes())
	if string(l.GetLogId().GetKeyId()) != string(id[:]) {
		return fmt.Errorf("its identifier is %x, that of its key is %x", l.GetLogId().GetKeyId(), id)
	}
	r.ctLogs[id] = k
	return nil
}

func readLogKey(l *trustroot.TransparencyLogInstance) (*logKey, error) {
	if l.GetHashAlgorithm() != common.HashAlgorithm_SHA2_256 {
		return nil, fmt.Errorf("its hash is %s, expected SHA2_256", l.GetHashAlgorithm())
	}
	public, err := x509.ParsePKIXPublicKey(l.GetPublicKey().GetRawBytes())
	if err != nil {
		return nil, fmt.Errorf("its public key cannot be read: %w", err)
	}
	k := &logKey{public: public, window: readWindow(l.GetPublicKey().GetValidFor())}
	if k.from.IsZero() {
		return nil, errors.New("validFor.start is missing")
	}
	return k, nil
}

func readAuthorities(all []*trustroot.CertificateAuthority, stamping bool) ([]*authority, error) {
	var out []*authority
	for i, a := range all {
		read, err := readAuthority(a, stamping)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out = append(out, read)
	}
	return out, nil
}

func readAuthority(a *trustroot.CertificateAuthority, stamping bool) (*authority, error) {
	certificates := a.GetCertChain().GetCertificates()
	if len(certificates) == 0 || len(certificates) > maxChain {
		return nil, fmt.Errorf("the chain has %d certificates, expected 1 to %d", len(certificates), maxChain)
	}
	out := &authority{window: readWindow(a.GetValidFor()), roots: x509.NewCertPool(), middle: x509.NewCertPool()}
	for i, c := range certificates {
		cert, err := x509.ParseCertificate(c.GetRawBytes())
		switch {
		case err != nil:
			return nil, fmt.Errorf("certificate %d of the chain cannot be read: %w", i, err)
		case i == len(certificates)-1:
			out.roots.AddCert(cert)
		case stamping && i == 0 && !cert.IsCA:
			out.leaf = cert
		default:
			out.middle.AddCert(cert)
		}
		out.chain = append(out.chain, cert)
	}
	out.name = out.chain[0].Subject.CommonName
	if out.name == "" {
		out.name = a.GetSubject().GetCommonName()
	}
	return out, nil
}

// Anchor is a certificate that others are believed by.
type Anchor struct {
	Name string          `json:"name"`
	SPKI artifact.Digest `json:"spki"` // SHA-256 of the SubjectPublicKeyInfo of its key
}

// Anchors are the roots that certificates of signing keys, and those of clocks, have to chain to, each as often as it is listed.
func (r *Root) Anchors() (issuers, clocks []Anchor) {
	anchors := func(all []*authority) (out []Anchor) {
		for _, a := range all {
			root := a.chain[len(a.chain)-1]
			out = append(out, Anchor{Name: root.Subject.CommonName, SPKI: sha256.Sum256(root.RawSubjectPublicKeyInfo)})
		}
		return out
	}
	return anchors(r.issuers), anchors(r.stampers)
}

func readWindow(r *common.TimeRange) (w window) {
	if r.GetStart() != nil {
		w.from = r.GetStart().AsTime()
	}
	if r.GetEnd() != nil {
		w.until = r.GetEnd().AsTime()
	}
	return w
}

// plainly is the text of a protojson error without its prefix: the blank behind that changes from build to build.
func plainly(err error) string {
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
}

// hostOf is the host in an address such as https://log.example:8443/2026; "" when it names none. Nothing that could open a
// connection is linked in for it.
func hostOf(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if inner, ok := strings.CutPrefix(rest, "["); ok { // an IPv6 address
		host, _, closed := strings.Cut(inner, "]")
		if !closed {
			return ""
		}
		return host
	}
	host, _, _ := strings.Cut(rest, ":")
	if strings.ContainsAny(host, "@% \\") {
		return ""
	}
	return host
}
