package verify

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Why a signature by a pinned key does not count.
var (
	// ErrNotYet: it was made before the key's time.
	ErrNotYet = errors.New("signed before the key's time")
	// ErrRetired: it was made after the key was retired, or nothing shows that it was made before.
	ErrRetired = errors.New("the key is retired")
	// ErrDistrusted: nothing shows that it was made before the key lost all trust.
	ErrDistrusted = errors.New("the key is distrusted")
	// ErrLane: the key is of a lane that does not count here.
	ErrLane = errors.New("the key is of another lane")
)

// counts holds a signature against the time of its key. A signature that nothing dates may be of any time up to now.
func (t Trust) counts(f *Finding, k *Key) error {
	for _, p := range t.Distrusted {
		if p.SPKI == f.SPKI && (f.At.IsZero() || !f.At.Before(p.From)) {
			return fmt.Errorf("%w: the key sha256:%s is distrusted from %s, signed at %s", ErrDistrusted, p.SPKI, moment(p.From), cmp.Or(dated(f.At), "a time that nothing tells"))
		}
	}
	if k == nil {
		f.add("key", "the certificate", "it is not among the pinned keys, so nothing but the certificate speaks for it")
		return nil
	}
	f.Key, f.Lane = k.Name, k.Lane
	at, when := f.At, "signed at "+moment(f.At)
	if at.IsZero() {
		if at = t.Now; at.IsZero() {
			at = time.Now()
		}
		when = "and nothing tells when it signed"
	}
	switch {
	case t.Lane != "" && k.Lane != "" && k.Lane != t.Lane:
		return fmt.Errorf("%w: %s is a %s key, expected one of the lane %s", ErrLane, k.name(), k.Lane, t.Lane)
	case !k.Distrusted.IsZero() && (f.At.IsZero() || !at.Before(k.Distrusted)):
		return fmt.Errorf("%w: %s is distrusted from %s, %s", ErrDistrusted, k.name(), moment(k.Distrusted), when)
	case !k.Retired.IsZero() && at.After(k.Retired):
		return fmt.Errorf("%w: %s is retired since %s, %s", ErrRetired, k.name(), moment(k.Retired), when)
	case !k.From.IsZero() && at.Before(k.From):
		return fmt.Errorf("%w: %s counts from %s, %s", ErrNotYet, k.name(), moment(k.From), when)
	}
	checked := "pinned"
	if !k.From.IsZero() || !k.Retired.IsZero() || !k.Distrusted.IsZero() {
		checked += "; the signature falls into its time"
	}
	f.add("key", k.name(), checked)
	return nil
}

// dated is a moment, "" for none.
func dated(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return moment(at)
}

func (k *Key) name() string {
	if k.Name == "" {
		return "the pinned key"
	}
	return "the key " + k.Name
}
