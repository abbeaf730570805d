package verify

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Trust is whom a verifier believes. The zero Trust believes nobody. It is not changed by use and may be used by many at a
// time.
type Trust struct {
	Root       *Root      // nil: nothing is known of certificates, of the log and of time
	Keys       []Key      // pinned
	Identities []Identity // of certificates; without any, a certificate has to be of a pinned key
	Distrusted []Pin      // keys that are pinned, or in certificates
	Lane       string     // only keys of this lane count, beside those that have none; "" for any lane
	Now        time.Time  // zero: the clock's; it only matters to signatures that nothing trustworthy dates
}

// Key is a pinned public key. What it signs counts from From until Retired, and nothing counts that is not shown to have been
// signed before Distrusted. Zero times are no bounds.
type Key struct {
	Name                      string // to tell people; "" when it has none
	Lane                      string
	Public                    crypto.PublicKey
	From, Retired, Distrusted time.Time
	OnlyCertified             bool // counts only with a certificate, which has to chain to the root: the key itself nobody vouched for
}

// Pin is a key of which nothing counts that is not shown to have been signed before From.
type Pin struct {
	SPKI artifact.Digest // SHA-256 of the SubjectPublicKeyInfo
	From time.Time
}

// Identity is whose certificates are believed: by whom they are vouched for, and for whom they are. Lane is that of the keys that
// sign under it, "" for any; it only matters to keys that are not pinned, whose own lane is not known.
type Identity struct {
	Issuer, Subject Pattern
	Lane            string
}

// Pattern is a text or a regular expression. The zero Pattern fits nothing.
type Pattern struct {
	exact      string
	expression *regexp.Regexp
}

// Exactly fits this text alone.
func Exactly(text string) Pattern { return Pattern{exact: text} }

// Like fits every text that the expression describes as a whole, in the syntax of Go's regexp.
func Like(expression string) (Pattern, error) {
	if _, err := regexp.Compile(expression); err != nil { // by itself: in parentheses more would pass
		return Pattern{}, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	e, err := regexp.Compile(`^(?:` + expression + `)$`)
	if err != nil {
		return Pattern{}, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	return Pattern{expression: e}, nil
}

func (p Pattern) fits(text string) bool {
	if p.expression != nil {
		return p.expression.MatchString(text)
	}
	return text != "" && text == p.exact
}

func (p Pattern) String() string {
	if p.expression != nil {
		return p.expression.String()
	}
	return p.exact
}

// fileType is the media type of hallmark-trust.json.
const fileType = "application/vnd.hallmark.trust.v1+json"

// trustFile is hallmark-trust.json, which hallmark trust export writes beside trusted_root.json: what Sigstore has no words
// for. Members that are not known here are refused, for they could be restrictions.
type trustFile struct {
	MediaType  string           `json:"mediaType"`
	Exported   time.Time        `json:"exported"` // for people
	Issuer     string           `json:"issuer"`   // of the certificates of all identities
	Identities []listedIdentity `json:"identities"`
	Keys       []listedKey      `json:"keys"`
	Distrusted []listedPin      `json:"distrustedKeys"` // those of which nothing but the hash is known
}

type listedPin struct {
	SPKI string    `json:"spki"` // as that of a key
	From time.Time `json:"from"` // what is not shown to have been signed before does not count
}

type listedIdentity struct {
	URI  string `json:"uri"`  // to the letter
	Lane string `json:"lane"` // of the keys that sign under it; "" for any
}

type listedKey struct {
	Name       string    `json:"name"`
	Lane       string    `json:"lane"`                // development or release; "" for any
	PublicKey  []byte    `json:"publicKey"`           // SubjectPublicKeyInfo, DER in base64
	SPKI       string    `json:"spki"`                // "sha256:" and the hash of that in hexadecimal, for people
	From       time.Time `json:"from,omitzero"`       // what is signed before does not count
	Retired    time.Time `json:"retired,omitzero"`    // what is signed after does not count
	Distrusted time.Time `json:"distrusted,omitzero"` // what is not shown to have been signed before does not count

	OnlyCertified bool `json:"onlyCertified,omitempty"` // it counts only with a certificate
}

// ReadTrust reads hallmark-trust.json and the trusted_root.json beside it; without the latter root is nil. The error wraps
// ErrTrust.
func ReadTrust(content, root []byte) (Trust, error) {
	if len(content) > maxRoot {
		return Trust{}, fmt.Errorf("%w: more than %d bytes", ErrTrust, maxRoot)
	}
	var f trustFile
	in := json.NewDecoder(bytes.NewReader(content))
	in.DisallowUnknownFields()
	if err := in.Decode(&f); err != nil {
		return Trust{}, fmt.Errorf("%w: %.200s", ErrTrust, err.Error())
	}
	switch _, err := in.Token(); {
	case !errors.Is(err, io.EOF):
		return Trust{}, fmt.Errorf("%w: something follows the document", ErrTrust)
	case f.MediaType != fileType:
		return Trust{}, fmt.Errorf("%w: the media type is %.100q, expected %q", ErrTrust, f.MediaType, fileType)
	case len(f.Identities) > 0 && f.Issuer == "":
		return Trust{}, fmt.Errorf("%w: there are identities and no issuer", ErrTrust)
	}
	var t Trust
	for i, id := range f.Identities {
		if id.URI == "" {
			return Trust{}, fmt.Errorf("%w: identities[%d] is empty", ErrTrust, i)
		}
		t.Identities = append(t.Identities, Identity{Issuer: Exactly(f.Issuer), Subject: Exactly(id.URI), Lane: id.Lane})
	}
	for i, l := range f.Keys {
		k, err := l.read()
		if err != nil {
			return Trust{}, fmt.Errorf("%w: keys[%d]: %w", ErrTrust, i, err)
		}
		t.Keys = append(t.Keys, k)
	}
	for i, l := range f.Distrusted {
		hex, pinned := strings.CutPrefix(l.SPKI, "sha256:")
		spki, err := artifact.ParseDigest(hex)
		if !pinned || err != nil || l.From.IsZero() {
			return Trust{}, fmt.Errorf("%w: distrustedKeys[%d]: it needs spki, sha256: and 64 hexadecimal digits, and from", ErrTrust, i)
		}
		t.Distrusted = append(t.Distrusted, Pin{spki, l.From})
	}
	if root != nil {
		var err error
		if t.Root, err = ReadRoot(root); err != nil {
			return Trust{}, err
		}
	}
	return t, nil
}

func (l listedKey) read() (Key, error) {
	public, err := x509.ParsePKIXPublicKey(l.PublicKey)
	if err != nil {
		return Key{}, fmt.Errorf("the public key cannot be read: %w", err)
	}
	k, err := pinned(public)
	if err != nil {
		return Key{}, err
	}
	if said := fmt.Sprintf("sha256:%x", k.spki); l.SPKI != said {
		return Key{}, fmt.Errorf("spki is %.100q, the public key's is %q", l.SPKI, said)
	}
	return Key{Name: l.Name, Lane: l.Lane, Public: public, From: l.From, Retired: l.Retired, Distrusted: l.Distrusted, OnlyCertified: l.OnlyCertified}, nil
}
