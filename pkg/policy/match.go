package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Match says which artifacts a signing policy is about.
type Match struct {
	Instances    []strictyaml.Located[string] `yaml:"instances" default:"all" doc:"names of configured Artifactory instances"`
	Repositories []strictyaml.Located[string] `yaml:"repositories" required:"true" doc:"repository names; * stands for any characters"`
	Paths        []strictyaml.Located[string] `yaml:"paths" default:"**" doc:"path patterns; * stays within a folder, ** spans folders, {a,b} is either"`
	Exclude      []strictyaml.Located[string] `yaml:"exclude" default:"nothing" doc:"path patterns that are taken out again"`
	Events       []strictyaml.Located[string] `yaml:"events" default:"all" doc:"events such as artifact/deployed; who asks by name (hallmark sign) and the sweep are not held to them"`
}

// match is a Match that was checked. An empty list means any, except for exclude.
type match struct {
	instances, repositories, paths, exclude, events []string
}

// about reports whether the match leaves the instance in.
func (m match) about(instance string) bool {
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
func (m match) takes(event string) bool {
	return byName(event) || len(m.events) == 0 || slices.Contains(m.events, event)
}

// test returns nil when everything holds, else the first line that does not. A wish by name passes any events list.
func (m match) test(instance, repo, path, event string) *mismatch {
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
	return m
}

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
	var out []string
	for _, p := range patterns {
		if err := check(p.Value); err != nil {
			c.fail(p.Pos, "%s: %v", field, err)
		}
		out = append(out, p.Value)
	}
	return out
}
