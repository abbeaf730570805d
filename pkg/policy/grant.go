package policy

import (
	"crypto/rand"
	"encoding/hex"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Order is one line of a signing policy's sign list: sign with this key, in these formats.
type Order struct {
	Key     string   `json:"key"`
	Formats []string `json:"formats"`
	Others  []string `json:"others,omitempty"` // keys that take turns with it: what they signed in their time serves as well
}

// Grant is the permission to use keys on one subject. Its only maker is Set.Decide, so whoever holds one holds the
// proof that a policy said yes; pkg/hsm hands out a signer for nothing else. The zero Grant and the nil Grant allow
// nothing. A Grant is immutable and safe for concurrent use.
type Grant struct {
	id      string
	subject artifact.Subject
	policy  string
	rule    string
	set     artifact.Digest
	orders  []Order

	configuration string
}

// newGrant draws the random name of the grant. It is called in Set.Decide and nowhere else.
func newGrant(s artifact.Subject, p *signingRule, orders []Order, set artifact.Digest) *Grant {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process rather than return an error
	g := &Grant{id: hex.EncodeToString(id[:]), subject: s, policy: p.name, rule: p.rule, set: set, orders: cloneOrders(orders)}
	if p.configuration != nil {
		g.configuration = p.configuration.name
	}
	return g
}

// ID is the grant's random 128-bit name in hexadecimal; the ledger records it before a key is used.
func (g *Grant) ID() string {
	if g == nil {
		return ""
	}
	return g.id
}

// Subject is what may be signed: nothing but these bytes.
func (g *Grant) Subject() artifact.Subject {
	if g == nil {
		return artifact.Subject{}
	}
	return g.subject
}

// Policy is the name of the signing policy that granted.
func (g *Grant) Policy() string {
	if g == nil {
		return ""
	}
	return g.policy
}

// Rule is the place of that policy: file:line (name).
func (g *Grant) Rule() string {
	if g == nil {
		return ""
	}
	return g.rule
}

// Configuration is the name of the signing configuration that the policy signs through; empty when it lists keys itself.
func (g *Grant) Configuration() string {
	if g == nil {
		return ""
	}
	return g.configuration
}

// SetDigest names the exact policy files that were in force.
func (g *Grant) SetDigest() artifact.Digest {
	if g == nil {
		return artifact.Digest{}
	}
	return g.set
}

// Orders lists what to sign with, in the policy's order. The caller owns the returned slice.
func (g *Grant) Orders() []Order {
	if g == nil {
		return nil
	}
	return cloneOrders(g.orders)
}

// Allows reports whether the key of this name may be used under the grant.
func (g *Grant) Allows(key string) bool {
	if g == nil || g.id == "" {
		return false
	}
	return slices.ContainsFunc(g.orders, func(o Order) bool { return o.Key == key })
}

func cloneOrders(in []Order) []Order {
	out := make([]Order, len(in))
	for i, o := range in {
		out[i] = Order{Key: o.Key, Formats: slices.Clone(o.Formats), Others: slices.Clone(o.Others)}
	}
	return out
}
