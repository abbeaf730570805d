// Package facts looks up what policies may ask about an artifact beyond its bytes: its properties, project and build, who
// brought it and which groups they are in, where its bytes have been, and the signatures that stand with it. Every fact
// is read from the server that keeps it, when a policy asks for it and not before; nothing is taken from an event, and
// from a property only where something else is to be looked for. One file per fact, one line per fact in the table below.
package facts

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Gatherer looks facts up. Its fields are set once, all but Trusted are required. It is safe for concurrent use.
type Gatherer struct {
	Instances map[string]*artifactory.Client // by configured instance name
	Ledger    *ledger.Ledger
	Trust     []hsm.Public // the pinned keys, by which signatures are verified
	Trusted   Trusted      // who is believed besides; may be zero
}

// table is every fact, with who looks it up.
var table = []struct {
	fact policy.Needs
	look func(*gathering, context.Context) error
}{
	{policy.NeedProperties, (*gathering).takeProperties},
	{policy.NeedProject, (*gathering).takeProject},
	{policy.NeedBuild, (*gathering).takeBuild},
	{policy.NeedActors | policy.NeedGroups, (*gathering).takeActors},
	{policy.NeedRepositories, (*gathering).takeRepositories},
	{policy.NeedSignatures, (*gathering).takeSignatures},
}

// Gather looks up the facts that are needed, and no others: without needs it asks nobody and never fails. whole is what
// the subject is a part of, such as an index, with what Artifactory reports about it; zero means the subject itself. The
// subject must be as Artifactory reports it now.
//
// An artifact that is gone meanwhile is artifact.ErrGone; whatever else cannot be learnt is *Unavailable. There is no
// answer with half of the facts.
func (g *Gatherer) Gather(ctx context.Context, needs policy.Needs, subject, whole artifact.Subject) (policy.Facts, error) {
	if needs == 0 {
		return policy.Facts{}, nil
	}
	if whole.Ref == (artifact.Ref{}) {
		whole = subject
	}
	client, ok := g.Instances[subject.Ref.Instance]
	if !ok {
		return policy.Facts{}, &Unavailable{Fact: needs, Ref: subject.Ref, Err: fmt.Errorf("no Artifactory instance %q is configured", subject.Ref.Instance)}
	}
	found := gathering{Gatherer: g, client: client, needs: needs, subject: subject, whole: whole}
	for _, line := range table {
		if needs&line.fact == 0 {
			continue
		}
		if err := line.look(&found, ctx); err != nil {
			return policy.Facts{}, err
		}
	}
	found.facts.Known = needs
	return found.facts, nil
}

// gathering is one Gather. What several facts take is asked for once.
type gathering struct {
	*Gatherer
	client         *artifactory.Client
	needs          policy.Needs
	subject, whole artifact.Subject
	facts          policy.Facts

	properties map[string][]string // nil until they were asked for
	repository *artifact.Repository
	built      bool            // the build was looked for
	build      *artifact.Build // nil: none lists these bytes
}

// fail is the error of a fact that could not be learnt. need says what would let the token learn it.
func (g *gathering) fail(fact policy.Needs, need string, err error) error {
	switch {
	case errors.Is(err, artifact.ErrGone): // of the artifact itself; what else is gone is no fact
		return err
	case !forbidden(err) && !errors.Is(err, errUntold):
		need = ""
	}
	return &Unavailable{Fact: fact, Ref: g.subject.Ref, Need: need, Err: err}
}
