package hsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Use is the one thing that a key is for. A key of one use never serves another: an artifact key is reached by a grant of
// policy and by nothing else, and no policy can name any other key.
type Use string

// The uses. Those below UseArtifact are the service's own: they stand in no lane.
const (
	UseArtifact  Use = "artifact"  // signs what policy grants; the default
	UseLog       Use = "log"       // signs the checkpoints of the transparency log
	UseSCT       Use = "sct"       // promises in a certificate that the certificate is logged
	UseTimestamp Use = "timestamp" // says when a signature was made
	UseIssuer    Use = "issuer"    // issues the certificates of artifact keys
	UseRoot      Use = "root"      // signs the certificates of issuers and of time-stamping keys, and is nothing the service needs
)

// uses in the order in which they are told.
var uses = []Use{UseArtifact, UseLog, UseSCT, UseTimestamp, UseIssuer, UseRoot}

// Uses lists every use, the default first.
func Uses() []Use { return slices.Clone(uses) }

// ErrKeyUse is returned when a key is asked for something that it is not for.
var ErrKeyUse = errors.New("the key is for another use")

// UseOf reads a use as configuration writes it; empty is UseArtifact.
func UseOf(s string) (Use, error) {
	if s == "" {
		return UseArtifact, nil
	}
	if u := Use(s); slices.Contains(uses, u) {
		return u, nil
	}
	names := make([]string, len(uses))
	for i, u := range uses {
		names[i] = string(u)
	}
	return "", fmt.Errorf("use %q is unknown; it is one of %s", s, strings.Join(names, ", "))
}

// UseOrDefault is what the key is for.
func (k KeyConfig) UseOrDefault() Use {
	if k.Use == "" {
		return UseArtifact
	}
	return k.Use
}

// validateUse judges the use, and the lane that goes with it.
func (k KeyConfig) validateUse(say func(format string, args ...any)) {
	use, err := UseOf(string(k.Use))
	switch {
	case err != nil:
		say("%w", err)
	case use == UseArtifact && k.Lane != "development" && k.Lane != "release":
		say("lane is %q, it must be development or release", k.Lane)
	case use != UseArtifact && k.Lane != "":
		say("lane is %q, but a key with use %s signs no artifacts and stands in no lane; leave lane away", k.Lane, use)
	case use != UseArtifact && (!k.Retired.IsZero() || !k.From.IsZero()):
		say("from and retired are for artifact keys; a key with use %s is taken out of the configuration when its time is over", use)
	}
}

// opened are the keys that a Keyring holds, and the tokens that it needs for them: root keys only when they are asked
// for, so that the token of the root can be taken away. A token with none but root keys is not touched then.
func opened(tokens []Config, keys []KeyConfig, opts Options) ([]Config, []KeyConfig) {
	if opts.Root {
		return tokens, keys
	}
	isRoot := func(k KeyConfig) bool { return k.Use == UseRoot }
	onlyRoot := func(c Config) bool {
		held := slices.DeleteFunc(slices.Clone(keys), func(k KeyConfig) bool { return k.Token != c.Name })
		return len(held) > 0 && !slices.ContainsFunc(held, func(k KeyConfig) bool { return !isRoot(k) })
	}
	return slices.DeleteFunc(slices.Clone(tokens), onlyRoot), slices.DeleteFunc(slices.Clone(keys), isRoot)
}

// distinct refuses one key pair under two names: it would count as two signers, or serve two uses.
func distinct(all []Public) error {
	var errs []error
	for i, a := range all {
		for _, b := range all[:i] {
			if a.SPKI == b.SPKI {
				errs = append(errs, &Problem{
					Step: "key " + a.Name + ": " + stepKey, Err: fmt.Errorf("%w: it is the same key pair as %s", ErrKeyUnfit, b.Name),
					Fix: "make a key of its own for each name: 'hallmark keys generate'",
				})
			}
		}
	}
	return errors.Join(errs...)
}
