// Package policy decides. It reads YAML files once, checks all of them, and is pure from then on: which signing policy
// applies to an artifact (Decide), and what a gate demands before an artifact may enter a repository (Demand). It is
// the only maker of a Grant, and without a Grant nothing reaches a key.
package policy

import (
	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Key is a signing key as policies know it. Lane is "development" or "release"; one rule never mixes the two.
type Key struct {
	Name string
	Lane string
}

// Vocabulary is what policies may speak of. A policy that names anything else does not load. An empty Instances or
// Events list leaves those names unchecked.
type Vocabulary struct {
	Keys      []Key
	Formats   []string
	Instances []string
	Events    []string
}

// NoMatch says what happens to an artifact that no signing policy matches. There is no default: choosing for the
// operator would be a policy of its own.
type NoMatch string

// The two choices.
const (
	Skip NoMatch = "skip" // leave it alone
	Deny NoMatch = "deny" // refuse it, with a reason
)

// Set is a directory of policies, loaded and checked. It is immutable and safe for concurrent use.
type Set struct {
	noMatch NoMatch
	digest  artifact.Digest
	signing []*SigningPolicy
}

// SigningPolicy says which artifacts are signed, and with what.
type SigningPolicy struct {
	rule   string
	orders []Order
}

func (p *SigningPolicy) name() string { return "" }

// Load reads and checks every policy in dir.
func Load(dir string, noMatch NoMatch, v Vocabulary) (*Set, error) {
	return &Set{noMatch: noMatch}, nil
}

// Decide answers a request.
func (s *Set) Decide(req Request) Decision { return Decision{} }

// Digest names the exact policy files of the set.
func (s *Set) Digest() artifact.Digest { return s.digest }
