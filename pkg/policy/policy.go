// Package policy decides. A Set is read from YAML files once, checked as a whole, and pure from then on: which signing
// policy applies to an artifact (Decide), and what a gate demands before an artifact may enter a repository (Demand). It
// is the only maker of a Grant, and without a Grant nothing reaches a key. A Live holds the set of a directory that
// changes.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// The lanes of keys. One rule never mixes keys of both.
const (
	LaneDevelopment = "development"
	LaneRelease     = "release"
)

// Key is a signing key as policies know it: its configured name, its lane and its time. Before From it signs nothing, and
// what is dated earlier does not count; zero means always. From Retired on it signs nothing, and what it signed later, or at
// a time nobody knows, does not count; zero means never.
type Key struct {
	Name    string
	Lane    string
	From    time.Time
	Retired time.Time
}

// Same reports whether two keys are alike.
func (k Key) Same(o Key) bool {
	return k.Name == o.Name && k.Lane == o.Lane && k.From.Equal(o.From) && k.Retired.Equal(o.Retired)
}

// Vocabulary is what policies may speak of. A policy that names anything else does not load. An empty Instances or
// Events list leaves those names unchecked.
type Vocabulary struct {
	Keys      []Key
	Formats   []string
	Apart     []string                   // formats that count as signatures only where a policy about signatures names them
	Kinds     map[string][]artifact.Kind // by format, what it can sign; a format that is not listed signs everything
	Instances []string
	Events    []string // "domain/type"
}

// key is what is known of the key of this name; zero when it is none.
func (v Vocabulary) key(name string) Key {
	for _, k := range v.Keys {
		if k.Name == name {
			return k
		}
	}
	return Key{}
}

func (v Vocabulary) lane(key string) string { return v.key(key).Lane }

// fits reports whether a format signs a kind of artifact.
func (v Vocabulary) fits(format string, kind artifact.Kind) bool {
	kinds, listed := v.Kinds[format]
	return !listed || slices.Contains(kinds, kind)
}

// counting lists the formats of which any counts where none is named.
func (v Vocabulary) counting() []string {
	return slices.DeleteFunc(slices.Clone(v.Formats), func(f string) bool { return slices.Contains(v.Apart, f) })
}

// check reports names that no policy could be held to.
func (v Vocabulary) check() error {
	for _, k := range v.Keys {
		if k.Lane != LaneDevelopment && k.Lane != LaneRelease {
			return fmt.Errorf("the key %q has the lane %q; configure it with lane: %s or lane: %s", k.Name, k.Lane, LaneDevelopment, LaneRelease)
		}
	}
	return nil
}

// NoMatch says what happens to an artifact that no signing policy matches. There is no default: choosing for the
// operator would be a policy of its own.
type NoMatch string

// The two choices.
const (
	Skip NoMatch = "skip" // leave it alone
	Deny NoMatch = "deny" // refuse it, with a reason
)

// Check reports whether the choice was made.
func (n NoMatch) Check() error {
	switch n {
	case Skip, Deny:
		return nil
	case "":
		return fmt.Errorf("noMatch is required: write skip to leave artifacts alone that no signing policy matches, or deny to refuse them")
	}
	return fmt.Errorf("noMatch is %q; write skip to leave artifacts alone that no signing policy matches, or deny to refuse them", string(n))
}

// Set is a directory of policies, loaded and checked. It is immutable and safe for concurrent use. A Set that Load did
// not make denies everything.
type Set struct {
	dir        string // as given to Load, for messages
	vocabulary Vocabulary
	noMatch    NoMatch
	digest     artifact.Digest
	signing    []*signingRule // in order of file name, then place
	gates      []*gateRule

	byRepository byRepository // indices of signing
	owners       string       // of the signing policies

	configurations []*configuration
}

// Digest names the exact policy files of the set: SHA-256 over their names and bytes.
func (s *Set) Digest() artifact.Digest { return s.digest }

// Repositories lists the repositories of an instance that policies name in full, each list sorted: those whose artifacts
// are signed, and those that gates guard. Patterns such as libs-*-local are left out.
func (s *Set) Repositories(instance string) (signed, guarded []string) {
	for _, p := range s.signing {
		signed = append(signed, literals(instance, p.match)...)
	}
	for _, g := range s.gates {
		guarded = append(guarded, literals(instance, g.target)...)
	}
	slices.Sort(signed)
	slices.Sort(guarded)
	return slices.Compact(signed), slices.Compact(guarded)
}

// Kinds lists the kinds of artifact that the signing policies about an instance have a format for, sorted.
func (s *Set) Kinds(instance string) []artifact.Kind {
	var out []artifact.Kind
	for _, p := range s.signing {
		if !p.match.about(instance) {
			continue
		}
		for _, o := range p.lines {
			for _, f := range o.formats {
				out = append(out, s.vocabulary.Kinds[f]...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Events lists the events that signing policies of an instance name, sorted. A policy without such a list takes all, but
// asks for none.
func (s *Set) Events(instance string) []string {
	var out []string
	for _, p := range s.signing {
		if p.match.about(instance) {
			out = append(out, p.match.events...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// AsksOfBundles reports whether signing policies of an instance need an event about release bundles: one names it, or has
// a format for bundles, can be about a repository of them, and takes the event.
func (s *Set) AsksOfBundles(instance, event string) bool {
	return slices.ContainsFunc(s.signing, func(p *signingRule) bool {
		if !p.match.about(instance) || !p.match.takes(event) {
			return false
		}
		signs := slices.ContainsFunc(p.lines, func(o line) bool {
			return slices.ContainsFunc(o.formats, func(f string) bool { return slices.Contains(s.vocabulary.Kinds[f], artifact.KindBundle) })
		})
		return slices.Contains(p.match.events, event) || signs && slices.ContainsFunc(p.match.repositories, mayHoldBundles)
	})
}

// mayHoldBundles reports whether a repository's name can be that of one of release bundles, or whether a pattern can
// match one: release-bundles-v2, or <project>-release-bundles-v2.
func mayHoldBundles(pattern string) bool {
	end := pattern[strings.LastIndexAny(pattern, "*?]}")+1:]
	if end != pattern {
		return strings.HasSuffix(artifact.BundleRepo, end) || strings.HasSuffix(end, artifact.BundleRepo)
	}
	return artifact.KindOf(artifact.Repository{Key: pattern}, artifact.Ref{Repo: pattern}) == artifact.KindBundle
}

// RepositoryPatterns lists what policies about an instance call repositories by pattern, such as libs-*-local, sorted.
func (s *Set) RepositoryPatterns(instance string) []string {
	var out []string
	add := func(m match) {
		if m.about(instance) {
			out = append(out, slices.DeleteFunc(slices.Clone(m.repositories), isLiteral)...)
		}
	}
	for _, p := range s.signing {
		add(p.match)
	}
	for _, g := range s.gates {
		add(g.target)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Names reports whether any policy, of either kind, is about a repository: by its name or by a pattern.
func (s *Set) Names(instance, repo string) bool {
	about := func(m match) bool {
		return m.about(instance) && firstMatch(m.repositories, repo) != ""
	}
	return slices.ContainsFunc(s.signing, func(p *signingRule) bool { return about(p.match) }) ||
		slices.ContainsFunc(s.gates, func(g *gateRule) bool { return about(g.target) })
}

// literals are the patterns that stand for one repository alone, when the policy is about the instance at all.
func literals(instance string, m match) []string {
	if !m.about(instance) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.repositories), func(p string) bool { return !isLiteral(p) })
}

// Covers reports whether any signing policy could have something to say about such an event, so that the receiver may
// drop the others. Without a repository that is asked of an event whose artifacts may be anywhere. With noMatch: deny
// every artifact is of interest, because it has to be refused.
func (s *Set) Covers(instance, repo, path, event string) bool {
	if s.noMatch != Skip {
		return true
	}
	if repo == "" {
		return slices.ContainsFunc(s.signing, func(p *signingRule) bool { return p.match.about(instance) && p.match.takes(event) })
	}
	var known known
	for i := range s.byRepository.of(repo) {
		if s.signing[i].match.holds(instance, repo, path, event, &known) {
			return true
		}
	}
	return false
}

// place is how a rule is named everywhere: file:line (name).
func place(file string, line int, name string) string {
	return fmt.Sprintf("%s:%d (%s)", file, line, name)
}
