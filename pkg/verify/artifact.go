package verify

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Levels of trust in one signature. Level 0 is a file that nothing is known of, level 1 one whose hash is as somebody said.
const (
	LevelHash        = 1
	LevelKey         = 2 // a signature by a pinned key
	LevelCertificate = 3 // one whose certificate chains to the root, which the log holds and a time-stamp dates within its life
)

// Finding is what a signature file proves.
type Finding struct {
	Level    int             `json:"level"`
	At       time.Time       `json:"at,omitzero"`        // when it existed at the latest, by a time-stamp; zero when nothing tells
	Key      string          `json:"key,omitempty"`      // name of the pinned key that signed
	Lane     string          `json:"lane,omitempty"`     // of that key
	SPKI     artifact.Digest `json:"spki"`               // SHA-256 of the SubjectPublicKeyInfo of the key that signed
	Hash     string          `json:"hash"`               // that the key signs with: sha256 or sha384
	Identity string          `json:"identity,omitempty"` // of the certificate
	Issuer   string          `json:"issuer,omitempty"`   // of the certificate's identity
	Log      string          `json:"log,omitempty"`      // name of the log
	LogIndex *uint64         `json:"logIndex,omitempty"` // of the entry there
	Parts    []Part          `json:"parts"`
}

// Part is one thing that the level rests on.
type Part struct {
	Name    string `json:"name"`    // bytes, signature, key, certificate, identity, log or time
	Rests   string `json:"rests"`   // whom or what one has to believe
	Checked string `json:"checked"` // what was checked here
}

func (f *Finding) add(name, rests, checked string) {
	f.Parts = append(f.Parts, Part{Name: name, Rests: rests, Checked: checked})
}

// Artifact checks one signature file against everything that the trust holds, and says how far it proves the caller's own
// digest. What the file brings along, such as a certificate, a log entry or a time-stamp, has to hold: what is wrong is an
// error, never a lower level. Without a trusted root all that is left aside and the level is 2 at most.
//
// The error wraps one of the errors of this package; Problem tells its reason code. Content is untrusted and may be anything.
func Artifact(t Trust, format string, d Digests, content []byte) (Finding, error) {
	f, err := t.artifact(format, d, content)
	if err != nil {
		return Finding{}, fmt.Errorf("verifying as %s: %w", format, err)
	}
	return f, nil
}

func (t Trust) artifact(format string, d Digests, content []byte) (Finding, error) {
	if err := readable(format, content); err != nil {
		return Finding{}, err
	}
	candidates, leaf, err := t.candidates(format, content)
	if err != nil {
		return Finding{}, err
	}
	var failed error
	for _, c := range candidates {
		made, err := c.made(format, d, content)
		if err == nil {
			return t.judge(made, leaf, d)
		}
		failed = more(failed, err)
	}
	return Finding{}, failed
}

// more keeps the error that tells more: with several keys, all but one of them did not sign.
func more(a, b error) error {
	if a == nil || errors.Is(a, ErrInvalid) {
		return b
	}
	return a
}

// judge looks at all that is not the signature itself.
func (t Trust) judge(m made, leaf *x509.Certificate, d Digests) (Finding, error) {
	f := Finding{Level: LevelKey, SPKI: m.spki, Hash: m.hashName()}
	f.add("bytes", "SHA-256 "+hex.EncodeToString(d[crypto.SHA256]), "hashed here; the signature is about this digest")
	f.add("signature", fmt.Sprintf("key sha256:%x", m.spki), "verified here, over the digest or the statement that names it")
	if t.Root != nil && m.material != nil {
		if err := t.material(&f, m, leaf); err != nil {
			return Finding{}, err
		}
	} else if m.brings() {
		f.add("time", "nothing", "there is a certificate, a log entry or a time-stamp, and no trusted root to judge it by")
	}
	if err := t.counts(&f, m.pinned); err != nil {
		return Finding{}, err
	}
	return f, nil
}

// brings reports whether the file holds more than a signature.
func (m made) brings() bool {
	return m.material.GetCertificate() != nil || len(m.material.GetTlogEntries()) > 0 || len(m.material.GetTimestampVerificationData().GetRfc3161Timestamps()) > 0
}

// maxMaterial bounds the log entries and the time-stamps of one file.
const maxMaterial = 4

// material judges time, log and certificate, in this order. With a certificate there has to be all of it.
func (t Trust) material(f *Finding, m made, leaf *x509.Certificate) error {
	tokens, entries := m.material.GetTimestampVerificationData().GetRfc3161Timestamps(), m.material.GetTlogEntries()
	if len(tokens) > maxMaterial || len(entries) > maxMaterial {
		return fmt.Errorf("%w: it holds %d time-stamps and %d log entries, at most %d are read", ErrMalformed, len(tokens), len(entries), maxMaterial)
	}
	var clock stamped
	times := make([]time.Time, 0, len(tokens))
	for _, token := range tokens {
		s, err := t.Root.stamp(m.signature, token.GetSignedTimestamp())
		if err != nil {
			return err
		}
		if clock.by == nil || s.at.Before(clock.at) { // the signature existed at the earliest
			clock = s
		}
		times = append(times, s.at)
	}
	if clock.by == nil && leaf != nil {
		return fmt.Errorf("%w: there is none, and a certificate proves nothing without the time of the signature", ErrTime)
	}
	if err := t.entries(f, m, leaf, clock, entries); err != nil {
		return err
	}
	if clock.by != nil {
		f.At = clock.at
		f.add("time", "the time-stamping authority "+clock.by.name, "signed at "+moment(clock.at)+" at the latest, by a time-stamp over the signature; the authority's certificate held then")
	}
	if leaf == nil {
		return nil
	}
	f.Level = LevelCertificate
	return t.certificate(f, m, leaf, times)
}

// entries judges what the log holds.
func (t Trust) entries(f *Finding, m made, leaf *x509.Certificate, clock stamped, entries []*rekor.TransparencyLogEntry) error {
	u := use{key: m.key, digest: m.digest, signature: m.signature}
	if leaf != nil {
		u.certificate = leaf.Raw
		if len(entries) == 0 {
			return fmt.Errorf("%w: there is no entry, and a certificate proves nothing without one", ErrLog)
		}
	}
	for i, e := range entries {
		l, err := t.Root.logs(u, e)
		switch {
		case err != nil:
			return err
		case clock.by == nil && !l.log.until.IsZero():
			return fmt.Errorf("%w: the log's key ended at %s, and no time-stamp tells that the signature is older", ErrLog, moment(l.log.until))
		case clock.by != nil && !l.log.holds(clock.at):
			return fmt.Errorf("%w: the log's key counts from %s, the signature is of %s", ErrLog, l.log.window, moment(clock.at))
		}
		if i == 0 {
			f.Log, f.LogIndex = l.log.origin, &l.index
		}
		f.add("log", "the log "+l.log.origin, fmt.Sprintf("entry %d is about this very signature, and is in the tree of %d entries that the log signed", l.index, l.size))
	}
	return nil
}

// certificate judges the chain at every time that a time-stamp states.
func (t Trust) certificate(f *Finding, m made, leaf *x509.Certificate, times []time.Time) error {
	var c certified
	for _, at := range times {
		var err error
		if c, err = t.Root.certify(leaf, at); err != nil {
			return err
		}
	}
	switch known, lane := t.knows(c); {
	case known && m.pinned == nil && lane != "":
		return fmt.Errorf("%w: %.200q is of the lane %s, expected one of the lane %s", ErrLane, c.identity, lane, t.Lane)
	case !known:
		return fmt.Errorf("%w: it is for %.200q by %.200q, who is none of those that are believed", ErrUntrusted, c.identity, c.issuer)
	}
	f.Identity, f.Issuer = c.identity, c.issuer
	f.add("certificate", "the root "+c.root.Subject.CommonName, fmt.Sprintf("issued by %s for code signing, valid %s to %s; %d log of certificates promised to hold it", c.issuing.Subject.CommonName, moment(leaf.NotBefore), moment(leaf.NotAfter), c.promised))
	f.add("identity", "the certificate", fmt.Sprintf("it is for %s by %s", c.identity, c.issuer))
	return nil
}

// knows reports whether the identity is believed, and a lane that it is of and that does not count, if there is one.
func (t Trust) knows(c certified) (known bool, lane string) {
	for _, id := range t.Identities {
		if !id.Issuer.fits(c.issuer) || !id.Subject.fits(c.identity) {
			continue
		}
		known = true
		if t.Lane != "" && id.Lane != "" && id.Lane != t.Lane {
			lane = id.Lane
		}
	}
	return known || len(t.Identities) == 0, lane // without any, the key is pinned
}
