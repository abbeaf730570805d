package trial

import (
	"cmp"
	"strconv"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Given is what servers say about the artifact of a case. What is not written is not so: no properties, no build.
type Given struct {
	At           text              `yaml:"at" default:"2026-01-05T12:00:00Z, a Monday" doc:"the moment at which it is decided"`
	Size         *policy.Bytes     `yaml:"size" default:"1KiB" doc:"the artifact's size"`
	Created      text              `yaml:"created" default:"unknown" doc:"when it was created, as Artifactory reports it"`
	Modified     text              `yaml:"modified" default:"unknown" doc:"when its bytes were last written, as Artifactory reports it"`
	Properties   map[string][]text `yaml:"properties" default:"none" doc:"its properties, each with its values"`
	Project      text              `yaml:"project" default:"none" doc:"key of the project that the repository belongs to"`
	Build        *GivenBuild       `yaml:"build" default:"none" doc:"the build whose record lists the bytes"`
	Actors       []GivenActor      `yaml:"actors" default:"none" doc:"who did what, as Artifactory reports it"`
	Repositories []text            `yaml:"repositories" default:"its own" doc:"repositories that hold, or held, the same bytes"`
}

// GivenBuild is a build.
type GivenBuild struct {
	Name   text `yaml:"name" required:"true" doc:"its name"`
	Number text `yaml:"number" required:"true" doc:"its number"`

	Project text `yaml:"project" default:"none" doc:"key of its project"`
	Started text `yaml:"started" default:"unknown" doc:"when it started"`
}

// GivenActor is a user.
type GivenActor struct {
	User   text   `yaml:"user" required:"true" doc:"the user's name"`
	Role   text   `yaml:"role" required:"true" oneof:"creator,modifier,promoter" doc:"what the user did"`
	Groups []text `yaml:"groups" default:"none" doc:"groups that the user is in"`
}

// someMoment is when cases happen that do not say when, so that they come out alike every day.
var someMoment = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// someSize is the size of artifacts that no case tells of, in bytes.
const someSize = 1 << 10

// allKnown are all facts: in a case everything is known.
const allKnown = policy.NeedProperties | policy.NeedProject | policy.NeedBuild | policy.NeedActors | policy.NeedGroups | policy.NeedRepositories | policy.NeedSignatures

// nothingElse are the facts about an artifact of which only the name is known.
func nothingElse(ref artifact.Ref) policy.Facts {
	return policy.Facts{Known: allKnown, Repositories: []string{ref.Repo}}
}

// given turns what is written into facts, a size and a moment.
func (r *reader) given(g Given, ref artifact.Ref, signatures []policy.Evidence) (facts policy.Facts, size int64, at time.Time) {
	facts, size, at = nothingElse(ref), someSize, someMoment
	facts.Project, facts.Signatures = g.Project.Value, signatures
	if g.At.Value != "" {
		at = r.moment("at", g.At)
	}
	if g.Size != nil {
		size = int64(*g.Size)
	}
	for name, values := range g.Properties {
		if facts.Properties == nil {
			facts.Properties = map[string][]string{}
		}
		facts.Properties[name] = texts(values)
	}
	if g.Build != nil {
		facts.Build = &policy.BuildFacts{Name: g.Build.Name.Value, Number: g.Build.Number.Value, Project: g.Build.Project.Value, Started: r.moment("started", g.Build.Started)}
	}
	for _, a := range g.Actors {
		facts.Actors = append(facts.Actors, policy.Actor{User: a.User.Value, Role: a.Role.Value, Groups: texts(a.Groups)})
	}
	if len(g.Repositories) > 0 {
		facts.Repositories = texts(g.Repositories)
	}
	return facts, size, at
}

// moment reads a time; zero when none is written.
func (r *reader) moment(field string, written text) time.Time {
	if written.Value == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, written.Value)
	if err != nil {
		r.fail(written.Pos, "%s: %q is no moment; write for example 2026-12-01T06:00:00Z", field, written.Value)
	}
	return at
}

func texts(written []text) []string {
	var out []string
	for _, w := range written {
		out = append(out, w.Value)
	}
	return out
}

// evidence turns the signatures of a case into what a gate would find. They are made at the moment of the case unless
// their age is written.
func (r *reader) evidence(lines []EvidenceLine, at time.Time) []policy.Evidence {
	var out []policy.Evidence
	for _, line := range lines {
		r.known("format", line.Format, r.l.Formats)
		if line.Key.Value != "" {
			r.known("key", line.Key, keyNames(r.l))
		}
		if line.Problem.Value != "" {
			r.known("reason code", line.Problem, codes)
		} else if line.Key.Value == "" {
			r.fail(line.Pos, "a signature has either a key that made it or a problem; write key: or problem:")
		}
		e := policy.Evidence{
			File:   cmp.Or(line.File.Value, "the signature on line "+strconv.Itoa(line.Pos.Line)),
			Format: line.Format.Value, Key: line.Key.Value, Problem: reason.Code(line.Problem.Value), At: at,
			Kept: line.Stands.Value == "no",
		}
		if line.Age != nil {
			e.At = at.Add(-time.Duration(*line.Age))
		}
		if line.Dated.Value == "no" {
			e.At = time.Time{}
		}
		if line.Level != nil {
			if e.Level = *line.Level; e.Level != 2 && e.Level != 3 {
				r.fail(line.Pos, "level is %d; a signature that verifies has 2 or 3", e.Level)
			}
		}
		out = append(out, e)
	}
	return out
}

// key is the key with its time.
func (k KeyLine) key() (key policy.Key, errs []error) {
	key = policy.Key{Name: k.Name.Value, Lane: k.Lane.Value}
	for _, m := range []struct {
		name    string
		written text
		to      *time.Time
	}{{"from", k.From, &key.From}, {"retired", k.Retired, &key.Retired}} {
		if m.written.Value == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, m.written.Value)
		if err != nil {
			errs = append(errs, m.written.Pos.Errorf("%s: %q is no moment; write for example 2026-12-01T06:00:00Z", m.name, m.written.Value))
			continue
		}
		*m.to = at
	}
	if len(errs) == 0 && !key.From.IsZero() && !key.Retired.IsZero() && !key.From.Before(key.Retired) {
		errs = append(errs, k.Pos.Errorf("the time of %s ends before it begins", key.Name))
	}
	return key, errs
}
