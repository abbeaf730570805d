package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Match says which artifacts a signing policy is about.
type Match struct {
	Pos          strictyaml.Pos
	Instances    []strictyaml.Located[string] `yaml:"instances" default:"all" doc:"names of configured Artifactory instances"`
	Repositories []strictyaml.Located[string] `yaml:"repositories" required:"true" doc:"repository names; * stands for any characters"`
	Paths        []strictyaml.Located[string] `yaml:"paths" default:"**" doc:"path patterns; * stays within a folder, ** spans folders, {a,b} is either"`
	Exclude      []strictyaml.Located[string] `yaml:"exclude" default:"nothing" doc:"path patterns that are taken out again"`
	Events       []strictyaml.Located[string] `yaml:"events" default:"all" doc:"events such as artifact/deployed; who asks by name (hallmark sign) and the sweep are not held to them"`
	Kinds        []strictyaml.Located[string] `yaml:"kinds" default:"all" doc:"kinds of artifact: file, image, bundle"`
	Projects     []strictyaml.Located[string] `yaml:"projects" default:"all" doc:"keys of the projects whose repositories are meant; * stands for any characters"`

	Properties map[string][]strictyaml.Located[string] `yaml:"properties" default:"any" doc:"names of properties with patterns, one of which one of the values matches; whoever may annotate decides by them whether the policy applies"`
}

// match is a Match that was checked. An empty list means any, except for exclude.
type match struct {
	instances, repositories, paths, exclude, events []string

	kinds, projects []string
	properties      []propertyTest // sorted by name

	common [3]uint8 // of repositories, paths and exclude the numbers that known has
}

// about reports whether the match leaves the instance in.
func (m *match) about(instance string) bool {
	return len(m.instances) == 0 || slices.Contains(m.instances, instance)
}

// mismatch says which line of a match did not hold.
type mismatch struct {
	field string
	value string
	list  []string
}

func (m *mismatch) String() string {
	if m.field == "exclude" {
		return fmt.Sprintf("path %s is excluded by %s", m.value, m.list[0])
	}
	return fmt.Sprintf("%s %s is not in [%s]", m.field, m.value, strings.Join(m.list, ", "))
}

// byName reports whether an event is somebody's wish for this very artifact rather than news from Artifactory: none at
// all, or one of Hallmark's own domains "request" and "sweep".
func byName(event string) bool {
	return event == "" || strings.HasPrefix(event, "request/") || strings.HasPrefix(event, "sweep/")
}

// takes reports whether the match leaves the event in.
func (m *match) takes(event string) bool {
	return byName(event) || len(m.events) == 0 || slices.Contains(m.events, event)
}

// holds reports whether test would return nil, faster: most policies of a set are passed over.
func (m *match) holds(instance, repo, path, event string, known *known) bool {
	return m.about(instance) && m.takes(event) && known.match(m.common[0], m.repositories, repo) &&
		(len(m.paths) == 0 || known.match(m.common[1], m.paths, path)) && !known.match(m.common[2], m.exclude, path)
}

// test returns nil when everything holds, else the first line that does not. A wish by name passes any events list.
func (m *match) test(instance, repo, path, event string) *mismatch {
	switch {
	case !m.about(instance):
		return &mismatch{"instance", instance, m.instances}
	case firstMatch(m.repositories, repo) == "":
		return &mismatch{"repository", repo, m.repositories}
	case len(m.paths) > 0 && firstMatch(m.paths, path) == "":
		return &mismatch{"path", path, m.paths}
	case !m.takes(event):
		return &mismatch{"event", event, m.events}
	}
	if x := firstMatch(m.exclude, path); x != "" {
		return &mismatch{"exclude", path, []string{x}}
	}
	return nil
}

// needs tells which facts the match looks at.
func (m *match) needs() Needs {
	var n Needs
	if len(m.projects) > 0 {
		n |= NeedProject
	}
	if len(m.properties) > 0 {
		n |= NeedProperties
	}
	return n
}

// suits reports whether fits would return nil, faster.
func (m *match) suits(q *question) bool {
	return shareName(m.kinds, []string{string(q.subject.Kind)}) &&
		(len(m.projects) == 0 || firstMatch(m.projects, q.facts.Project) != "") &&
		!slices.ContainsFunc(m.properties, func(p propertyTest) bool { return !p.holds(q) })
}

// fits tests what is not in the name, with facts that are known: nil when it holds.
func (m *match) fits(q *question) *mismatch {
	switch {
	case len(m.kinds) > 0 && !slices.Contains(m.kinds, string(q.subject.Kind)):
		return &mismatch{"kind", string(q.subject.Kind), m.kinds}
	case len(m.projects) > 0 && firstMatch(m.projects, q.facts.Project) == "":
		return &mismatch{"project", cmp.Or(q.facts.Project, "none"), m.projects}
	}
	for _, p := range m.properties {
		if !p.holds(q) {
			return &mismatch{"property " + p.name, cmp.Or(strings.Join(clip(q.values(p.name)), ","), "(not set)"), p.values}
		}
	}
	return nil
}

// conditional reports whether more than the name decides.
func (m *match) conditional() bool { return len(m.kinds)+len(m.projects)+len(m.properties) > 0 }

// conditions tells what is not in the name, as "if the kind is image and the property channel is stable".
func (m *match) conditions() string {
	var parts []string
	if len(m.kinds) > 0 {
		parts = append(parts, "the kind is "+strings.Join(m.kinds, " or "))
	}
	if len(m.projects) > 0 {
		parts = append(parts, "the project is "+strings.Join(m.projects, " or "))
	}
	for _, p := range m.properties {
		if len(p.values) == 0 {
			parts = append(parts, p.text()+" is set")
		} else {
			parts = append(parts, p.text())
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "if " + strings.Join(parts, " and ")
}

func (c *compiler) match(y Match) match {
	m := match{
		instances:    c.instances(y.Instances),
		repositories: c.globs("repositories", y.Repositories, checkRepositoryGlob),
		paths:        c.globs("paths", y.Paths, checkPathGlob),
		exclude:      c.globs("exclude", y.Exclude, checkPathGlob),
	}
	for _, e := range y.Events {
		m.events = append(m.events, e.Value)
		if len(c.vocabulary.Events) > 0 {
			c.known("event", e, c.vocabulary.Events)
		} else if !eventShape.MatchString(e.Value) {
			c.fail(e.Pos, "events: %q is not domain/type; write for example artifact/deployed", e.Value)
		}
	}
	for _, k := range y.Kinds {
		if c.known("kind", k, artifactKinds) {
			m.kinds = append(m.kinds, k.Value)
		}
	}
	m.projects = c.globs("projects", y.Projects, checkRepositoryGlob)
	for _, name := range slices.Sorted(maps.Keys(y.Properties)) {
		m.properties = append(m.properties, propertyTest{name: name, values: c.globs("properties", y.Properties[name], checkGlob)})
	}
	return m
}

// artifactKinds are the kinds that can be signed.
var artifactKinds = []string{string(artifact.KindFile), string(artifact.KindImage), string(artifact.KindBundle)}

var eventShape = regexp.MustCompile(`^[a-z0-9_]+/[a-z0-9_]+$`)

func (c *compiler) instances(named []strictyaml.Located[string]) []string {
	var out []string
	for _, n := range named {
		if len(c.vocabulary.Instances) > 0 {
			c.known("instance", n, c.vocabulary.Instances)
		}
		out = append(out, n.Value)
	}
	return out
}

func (c *compiler) globs(field string, patterns []strictyaml.Located[string], check func(string) error) []string {
	if len(patterns) > maxPatterns {
		c.fail(patterns[maxPatterns].Pos, "%s: a list has at most %d patterns, this has %d; write several policies, or wider patterns", field, maxPatterns, len(patterns))
		return nil
	}
	var out []string
	for _, p := range patterns {
		if err := check(p.Value); err != nil {
			c.fail(p.Pos, "%s: %v", field, err)
		}
		out = append(out, p.Value)
	}
	return out
}
