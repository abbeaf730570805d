package policy

import (
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Evidence is one signature file that the gate looked at. Problem is empty when, and only when, the signature verified
// with the pinned public key of the configured key Key over the artifact's bytes.
type Evidence struct {
	File    string          `json:"file"`
	Format  string          `json:"format"`
	Key     string          `json:"key,omitempty"` // empty when unknown
	Problem reason.Code     `json:"problem,omitempty"`
	Detail  string          `json:"detail,omitempty"` // what exactly is wrong, for people
	At      time.Time       `json:"at,omitzero"`      // when it was made: Stamped, else Recorded; zero when unknown
	Level   int             `json:"level,omitempty"`  // of trust, when it verified; 0 means 2: with a pinned key
	SHA256  artifact.Digest `json:"sha256,omitzero"`  // of the file; zero when it was not read whole
	Kept    bool            `json:"kept,omitempty"`   // no file of it stands with the artifact, the ledger alone has it: it counts against the artifact, never for it

	Stamped    time.Time `json:"stamped,omitzero"`    // by the time-stamp in it
	Recorded   time.Time `json:"recorded,omitzero"`   // by the ledger's record of this very file
	Identity   string    `json:"identity,omitempty"`  // that its certificate names, when the certificate chains to the root of trust
	Distrusted time.Time `json:"distrusted,omitzero"` // from when on its key is distrusted; zero when it is not
}

// Dated returns the evidence with the time at which it was made: the time-stamp's word goes before the ledger's.
func (e Evidence) Dated(recorded time.Time) Evidence {
	e.Recorded, e.At = recorded, e.Stamped
	if e.At.IsZero() {
		e.At = recorded
	}
	return e
}

// signed reports whether the key that the evidence names made it over these bytes, whatever is wrong with the rest.
func (e Evidence) signed() bool {
	switch e.Problem {
	case "", reason.CertificateUntrusted, reason.CertificateExpired, reason.LogUnknown, reason.LogProofInvalid, reason.TimestampInvalid:
		return true
	}
	return false
}

// Counts says why a signature counts for none of the lines of the policies that enforce, or where none does, of those that
// warn; empty when it counts for one, or would in one of its formats.
func (d Demand) Counts(e Evidence) reason.Code { return d.weigh(e, false) }

// Accompanies says why a signature may not go along with an artifact that the policies let in; empty when it may: where it
// counts, and where nothing but its level of trust is in the way. What a bare key signed is as genuine beside a signature that
// proves more, and other verifiers than the gate want it.
func (d Demand) Accompanies(e Evidence) reason.Code { return d.weigh(e, true) }

func (d Demand) weigh(e Evidence, anyLevel bool) reason.Code {
	why, enforced := reason.SignatureWrongKey, slices.ContainsFunc(d.gates, func(g *gateRule) bool { return !g.warn })
	for _, g := range d.gates {
		if g.warn && enforced {
			continue
		}
		for _, r := range g.requirements {
			r.formats = []string{e.Format}
			if anyLevel {
				r.level = 0
			}
			code := r.counts(e, d.now())
			if code == "" {
				return ""
			}
			if why == reason.SignatureWrongKey {
				why = code
			}
		}
	}
	return why
}

// level is the evidence's level of trust.
func (e Evidence) level() int {
	if e.Level == 0 {
		return levelPinned
	}
	return e.Level
}

// maxSkew is how far the clocks of those who record and those who judge may be apart. What was made later than that is
// not dated: its age could not be told for as long as its date is to come.
const maxSkew = 5 * time.Minute

// signers lists the different keys whose verified signatures count, in order of evidence.
func (r requirement) signers(found []Evidence, at time.Time) []string {
	var have []string
	for _, e := range found {
		if r.counts(e, at) == "" && !slices.Contains(have, e.Key) {
			have = append(have, e.Key)
		}
	}
	return have
}

// early reports whether a signature is from before its key's time. What has no date is judged by the moment of the
// question: it may have been made since, unless that moment is too early itself.
func (e Evidence) early(from, at time.Time) bool {
	made := e.At
	if made.IsZero() {
		made = at
	}
	return !from.IsZero() && made.Before(from)
}

// counts says why a signature does not count; empty when it does.
func (r requirement) counts(e Evidence, at time.Time) reason.Code {
	key := r.words.key(e.Key)
	switch {
	case e.Problem != "":
		return e.Problem
	case e.Kept:
		return reason.SignatureMissing
	case !slices.Contains(r.keys, e.Key) && r.keyLane == LaneRelease && r.words.lane(e.Key) == LaneDevelopment:
		return reason.KeyDevelopment
	case !slices.Contains(r.keys, e.Key):
		return reason.SignatureWrongKey
	case !slices.Contains(r.formats, e.Format):
		return reason.SignatureMissing
	case !e.Distrusted.IsZero() && (e.At.IsZero() || !e.At.Before(e.Distrusted)):
		return reason.KeyDistrusted
	case e.early(key.From, at):
		return reason.KeyNotYet
	case !key.Retired.IsZero() && (e.At.IsZero() || !e.At.Before(key.Retired)):
		return reason.KeyRetired
	case e.level() < r.level:
		return reason.TrustLevelLow
	case r.maxAge > 0 && (e.At.IsZero() || e.At.After(at.Add(maxSkew))):
		return reason.SignatureUndated
	case r.maxAge > 0 && at.Sub(e.At) > r.maxAge:
		return reason.SignatureStale
	}
	return ""
}
