package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Facts are what servers say about an artifact beyond its Subject: Artifactory, its build records, the ledger. Nothing in
// them comes from an event. A fact that Known does not list was not looked up, and what rests on it is refused. They are
// kept as JSON with every decision, so that another set can be asked the same question later.
type Facts struct {
	Known        Needs               `json:"known,omitempty"`
	Properties   map[string][]string `json:"properties,omitempty"` // anybody who may annotate can set them: a wish, never evidence
	Project      string              `json:"project,omitempty"`    // key of the project that the repository belongs to; "" for none
	Build        *BuildFacts         `json:"build,omitempty"`      // nil: no build record lists these bytes
	Actors       []Actor             `json:"actors,omitempty"`
	Repositories []string            `json:"repositories,omitempty"` // where these bytes stand, or stood when the ledger saw them; sorted
	Signatures   []Evidence          `json:"signatures,omitempty"`   // that stand with it
}

// BuildFacts is the build whose record lists the artifact's bytes.
type BuildFacts struct {
	Name    string    `json:"name"`
	Number  string    `json:"number"`
	Project string    `json:"project,omitempty"`
	Started time.Time `json:"started"`
}

// Actor is a user who did something to the artifact, as Artifactory reports it.
type Actor struct {
	User   string   `json:"user"`
	Role   string   `json:"role"` // creator, modifier or promoter
	Groups []string `json:"groups,omitempty"`
}

// What an actor did.
const (
	Creator  = "creator"  // created the file in its repository: uploaded it, or copied it there
	Modifier = "modifier" // wrote its bytes last
	Promoter = "promoter" // had its build or release bundle promoted, as the promotion's record says
)

// Needs is a set of facts.
type Needs uint8

// The facts that cost requests.
const (
	NeedProperties Needs = 1 << iota
	NeedProject
	NeedBuild
	NeedActors // creator and modifier cost nothing, the promoter does
	NeedGroups
	NeedRepositories
	NeedSignatures
)

var needNames = []string{"properties", "project", "build", "actors", "groups", "repositories", "signatures"}

// String names the facts, for messages.
func (n Needs) String() string {
	var out []string
	for i, name := range needNames {
		if n&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// Needs tells which facts the signing policies look at that could be about an artifact, so that only those are looked up.
// about is what policies match: an index for the manifests it lists.
func (s *Set) Needs(about artifact.Ref, event string) Needs {
	var n Needs
	var known known
	for i := range s.byRepository.of(about.Repo) {
		if p := s.signing[i]; p.match.holds(about.Instance, about.Repo, about.Path, event, &known) {
			n |= p.needs
		}
	}
	return n
}

// Asks tells which facts any policy about an instance may look at.
func (s *Set) Asks(instance string) Needs {
	var n Needs
	for _, p := range s.signing {
		if p.match.about(instance) {
			n |= p.needs
		}
	}
	for _, g := range s.gates {
		if g.target.about(instance) {
			n |= needsAll(g.checks)
		}
	}
	return n
}

// Needs tells which facts the demand looks at beyond the signatures themselves.
func (d Demand) Needs() Needs {
	var n Needs
	for _, g := range d.gates {
		for _, ch := range g.checks {
			n |= ch.needs()
		}
	}
	return n
}

// question is what a rule is asked about.
type question struct {
	subject artifact.Subject
	about   artifact.Ref // what policies match: the subject, or the whole it is a part of
	event   string
	at      time.Time
	facts   *Facts
	apart   []string // formats that are no signatures to expressions
	spent   uint64   // of what one decision may cost
}

// lacks tells which of some facts were not looked up.
func (q *question) lacks(n Needs) Needs { return n &^ q.facts.Known }

// values are the values of one property, none when it is not set.
func (q *question) values(name string) []string { return q.facts.Properties[name] }

// by lists the actors with one of some roles.
func (q *question) by(roles []string) []Actor {
	var out []Actor
	for _, a := range q.facts.Actors {
		if a.User != "" && slices.Contains(roles, a.Role) {
			out = append(out, a)
		}
	}
	return out
}
