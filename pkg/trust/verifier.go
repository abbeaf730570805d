package trust

import (
	"crypto"
	"fmt"
	"slices"
	"time"

	rootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	sumdb "golang.org/x/mod/sumdb/note"
)

// The levels of trust that a bundle can reach.
const (
	LevelKey  = 2 // a signature by a pinned key
	LevelRoot = 3 // and a certificate that chains to the root, in the log, time-stamped within the certificate's life
)

// Finding is what a bundle proves.
type Finding struct {
	Level int
	At    time.Time // when the signature existed at the latest, as an authority says; zero when none does

	// Of the certificate; empty at LevelKey. Who may sign what is the caller's to judge.
	Identity string // its subject, a URI
	Issuer   string // its issuer extension, a URL
	NotAfter time.Time

	LogOrigin string // "" when it is in no log
	LogIndex  uint64
}

// Verifier judges bundles by one trusted root. It never touches network or file system, its time and memory are bounded
// whatever it is given, and it is safe for concurrent use.
//
// The judgement is sigstore-go's, which cosign shares, and stricter: every log entry and every time-stamp that is there
// must hold, not only enough of them; the bytes of the log entry, which sigstore-go calculates anew and does not look at,
// must be those that were logged; and what Hallmark never makes is malformed.
type Verifier struct {
	root  *root.TrustedRoot
	logs  map[string]knownLog // by logId
	times []knownTime
}

type knownLog struct {
	origin   string
	window   Window
	verifier sumdb.Verifier
}

type knownTime struct {
	chain  stampChain
	window Window
}

// NewVerifier reads a trusted_root.json strictly. Errors wrap ErrRoot.
func NewVerifier(trustedRoot []byte) (*Verifier, error) {
	proto, err := parseRoot(trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	r, err := root.NewTrustedRootFromProtobuf(proto)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	v := &Verifier{root: r, logs: map[string]knownLog{}}
	for id, l := range r.RekorLogs() {
		sv, err := signature.LoadVerifier(l.PublicKey, l.SignatureHashFunc)
		if err != nil {
			return nil, fmt.Errorf("%w: the log %s: %w", ErrRoot, l.BaseURL, err)
		}
		origin := originOf(&rootv1.TransparencyLogInstance{BaseUrl: l.BaseURL})
		nv, err := note.NewNoteVerifier(origin, sv)
		if err != nil {
			return nil, fmt.Errorf("%w: the log %s: %w", ErrRoot, l.BaseURL, err)
		}
		v.logs[id] = knownLog{origin: origin, window: Window{l.ValidityPeriodStart, l.ValidityPeriodEnd}, verifier: nv}
	}
	for _, a := range proto.GetTimestampAuthorities() {
		chain, err := chainOf(a)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRoot, err)
		}
		v.times = append(v.times, knownTime{chain: chain, window: windowOf(a.GetValidFor())})
	}
	return v, nil
}

// holds tells whether a time is inside.
func (w Window) holds(at time.Time) bool {
	return (w.From.IsZero() || !at.Before(w.From)) && (w.To.IsZero() || !at.After(w.To))
}

// Verify returns what a Sigstore bundle proves about an artifact, under the pinned key. The digest is the artifact's own:
// for a signature over the bytes the one that the key signs (SHA-256, for P-384 SHA-384), for a DSSE envelope one that the
// statement's subject names; its length tells which it is.
//
// A bundle with a certificate must have all that LevelRoot needs. One with a key hint is LevelKey; a log entry or a
// time-stamp that it carries must hold and is reported. A bundle in a log that has ended must be stamped before that.
// Errors wrap one of the errors above.
func (v *Verifier) Verify(content []byte, pub crypto.PublicKey, digest []byte) (Finding, error) {
	f, err := v.verify(content, pub, digest)
	if err != nil {
		return Finding{}, fmt.Errorf("verifying the bundle: %w", err)
	}
	return f, nil
}

func (v *Verifier) verify(content []byte, pub crypto.PublicKey, digest []byte) (Finding, error) {
	e, err := readEntity(content)
	if err != nil {
		return Finding{}, err
	}
	material, err := v.with(pub)
	if err != nil {
		return Finding{}, err
	}
	if e.leaf != nil && !holds(e.leaf, pub) {
		return Finding{}, fmt.Errorf("%w: its certificate (%s) is of the key %s", ErrWrongKey, nameOfLeaf(e.leaf), pinOf(e.leaf.PublicKey))
	}
	if err := e.checkSignature(material, digest); err != nil {
		return Finding{}, err
	}
	f := Finding{Level: LevelKey}
	times, err := v.checkTimes(e)
	if err != nil {
		return Finding{}, err
	}
	if len(times) > 0 {
		f.At = slices.MinFunc(times, time.Time.Compare)
	}
	if err := v.checkLog(e, material, &f); err != nil {
		return Finding{}, err
	}
	if e.leaf == nil {
		return f, nil
	}
	if err := v.checkCertificate(e.leaf, times, &f); err != nil {
		return Finding{}, err
	}
	f.Level = LevelRoot
	return f, nil
}

// pinned is the trusted root and the one key that may have signed.
type pinned struct {
	root.TrustedMaterial
	key root.TimeConstrainedVerifier
}

// PublicKeyVerifier answers every hint with the pinned key: a hint is no statement of anyone.
func (p pinned) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) { return p.key, nil }

func (v *Verifier) with(pub crypto.PublicKey) (root.TrustedMaterial, error) {
	sv, err := signature.LoadDefaultVerifier(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return pinned{v.root, root.NewExpiringKey(sv, time.Time{}, time.Time{})}, nil
}
