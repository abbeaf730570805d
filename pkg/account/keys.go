package account

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// keys are those whose signatures are looked for.
type keys struct {
	public map[artifact.Digest]crypto.PublicKey
	named  map[artifact.Digest]string // by SPKI; those of the configuration, and those that a log has opened
	opened map[artifact.Digest]bool   // by a process that a log tells of, or in use there
}

func newKeys() *keys {
	return &keys{public: map[artifact.Digest]crypto.PublicKey{}, named: map[artifact.Digest]string{}, opened: map[artifact.Digest]bool{}}
}

// learn takes a public key, whoever's it is.
func (k *keys) learn(pub crypto.PublicKey) artifact.Digest {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return artifact.Digest{} // no key of ours
	}
	spki := artifact.Digest(sha256.Sum256(der))
	k.public[spki] = pub
	return spki
}

// used takes a key that a log has a signature or a certificate of.
func (k *keys) used(pub crypto.PublicKey) artifact.Digest {
	spki := k.learn(pub)
	k.opened[spki] = true
	return spki
}

func (k *keys) pin(p Pin, opened bool) {
	if _, ok := k.named[p.SPKI]; !ok {
		k.named[p.SPKI] = p.Name
	}
	if opened {
		k.opened[p.SPKI] = true
	}
}

// names are what keys are called in the names of signature files.
func (k *keys) names() []string {
	return slices.Compact(slices.Sorted(maps.Values(k.named)))
}

// text is a key for people.
func (k *keys) text(spki artifact.Digest) string {
	if name := k.named[spki]; name != "" {
		return name + " (sha256:" + spki.String() + ")"
	}
	return "sha256:" + spki.String()
}

// Lacking are the keys, of the configuration or opened by a log, whose public key nobody has given yet.
func (b *Books) Lacking() []Pin {
	var pins []Pin
	for spki, name := range b.keys.named {
		if b.keys.public[spki] == nil {
			pins = append(pins, Pin{name, spki})
		}
	}
	slices.SortFunc(pins, func(x, y Pin) int { return strings.Compare(x.Name+x.SPKI.String(), y.Name+y.SPKI.String()) })
	return pins
}

// Learn gives a public key that was lacking.
func (b *Books) Learn(pub crypto.PublicKey) { b.keys.learn(pub) }

// Keys is an alarm for each key that is still lacking: its signatures are not found in repositories. why says where it was
// looked for in vain; it may be nil.
func (b *Books) Keys(why error) {
	for _, p := range b.Lacking() {
		found := fmt.Sprintf("the key %s, of which the configuration or the log has the digest alone: sha256:%s", p.Name, p.SPKI)
		if why != nil {
			found += "; " + why.Error()
		}
		b.alarm(reason.Reason{
			Code: reason.KeyUnread, Message: "signatures by a key are not looked for, because its public key is not known",
			Found: found, Expected: "its public key",
			Fix: "give it with --key: hallmark keys show " + p.Name + " --pem, or the file keys/" + p.Name + ".pem of a trust export", Who: "operators",
		})
	}
}
