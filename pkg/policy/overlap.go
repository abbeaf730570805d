package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of the search for policies that contradict each other. What people write stays far below them. What hostile
// patterns hide behind them is refused when it is asked about, with the reason policy-conflict.
const (
	maxConflicts = 20
	workOfPair   = 200_000
	workOfSet    = 5_000_000 // less than a second
)

// conflicts refuses signing policies that match one artifact and do not agree about it. Events do not keep policies
// apart, because who asks by name and the sweep are held to none.
func (c *compiler) conflicts(rules []*signingRule) {
	o := newOverlaps(rules)
	told, more := 0, 0
	var next *signingRule
	for i, b := range rules {
		o.earlier(i, func(j int) {
			if o.group[i] == o.group[j] || o.both(i, j) != yes {
				return
			}
			if told++; told <= maxConflicts {
				c.fail(b.at, "match: %s", contradiction(rules[j], b, o.example(i, j)))
				return
			}
			if more++; more == 1 {
				next = b
			}
		})
	}
	if more > 0 {
		atLeast := ""
		if o.work < 0 {
			atLeast = "at least "
		}
		c.fail(next.at, "match: and %s%d more pairs of signing policies that match one artifact and decide differently", atLeast, more)
	}
}

func contradiction(a, b *signingRule, example string) string {
	for _, p := range []*signingRule{b, a} {
		if when := p.match.conditions(); when != "" {
			example += " (" + p.name + " " + when + ")"
		}
	}
	text := fmt.Sprintf("%s and %s (%s) both match %s and decide differently: %s %s; %s %s; ",
		b.name, a.name, a.at, example, b.name, b.outcome(), a.name, a.outcome())
	if !shareName(a.match.events, b.match.events) {
		text += "their events do not keep them apart, because hallmark sign and the sweep are held to none; "
	}
	return text + "take it out of one of them, for example with exclude or kinds, or have both decide alike"
}

// overlaps answers which of a list of rules can match one artifact. What it was asked it remembers.
type overlaps struct {
	rules        []*signingRule
	group        []int // by rule; the rules of one group agree
	repositories []int // by rule, index of languages
	paths        []int // by rule, index of languages
	languages    []language
	named        byRepository // the rules that earlier was asked about
	known        map[[2]int]common
	work         int // that is left
}

// common is what two languages have in common.
type common struct {
	name string
	is   answer
}

func newOverlaps(rules []*signingRule) *overlaps {
	o := &overlaps{rules: rules, known: map[[2]int]common{}, work: workOfSet}
	numbers := map[string]int{}
	number := func(l language) int {
		key := strings.Join(l.globs, "\n") + "\n\n" + strings.Join(l.except, "\n")
		if _, known := numbers[key]; !known {
			numbers[key] = len(o.languages)
			o.languages = append(o.languages, l)
		}
		return numbers[key]
	}
	var first []*signingRule // of each group
	for _, r := range rules {
		group := slices.IndexFunc(first, func(f *signingRule) bool { return agree(f, r) })
		if group < 0 {
			group = len(first)
			first = append(first, r)
		}
		paths := r.match.paths
		if len(paths) == 0 {
			paths = []string{"**"}
		}
		o.group = append(o.group, group)
		o.repositories = append(o.repositories, number(language{globs: r.match.repositories}))
		o.paths = append(o.paths, number(language{globs: paths, except: r.match.exclude}))
	}
	return o
}

// earlier calls each for the rules before i that could be about one of its repositories, in order. It is called for
// every i in turn.
func (o *overlaps) earlier(i int, each func(j int)) {
	names := o.rules[i].match.repositories
	if slices.ContainsFunc(names, isPattern) {
		for j := range i {
			each(j)
		}
	} else {
		var all []int
		for _, name := range names {
			for j := range o.named.of(name) {
				all = append(all, j)
			}
		}
		slices.Sort(all)
		for _, j := range slices.Compact(all) {
			each(j)
		}
	}
	o.named.put(i, names)
}

// both reports whether two rules can match one artifact. Every line of a match that can keep rules apart is asked here.
func (o *overlaps) both(i, j int) answer {
	a, b := o.rules[i].match, o.rules[j].match
	if o.work--; o.work < 0 {
		return unsure
	}
	if !shareName(a.instances, b.instances) || !shareName(a.kinds, b.kinds) {
		return no
	}
	all := yes
	for _, ask := range []func() answer{
		func() answer { return o.meet(o.repositories[i], o.repositories[j], repositoryNames).is },
		func() answer { return o.meet(o.paths[i], o.paths[j], pathNames).is },
		func() answer { return o.projects(a, b) },
		func() answer { return o.properties(a, b) },
	} {
		switch ask() {
		case no:
			return no
		case unsure:
			all = unsure
		case yes:
		}
	}
	return all
}

// projects reports whether a repository can be of a project, or of none, that both want.
func (o *overlaps) projects(a, b match) answer {
	if len(a.projects) == 0 || len(b.projects) == 0 || firstMatch(a.projects, "") != "" && firstMatch(b.projects, "") != "" {
		return yes
	}
	return o.values(a.projects, b.projects)
}

// properties reports whether one value can be what both want of a property, for each property that both look at. An
// artifact with one value for either is nevertheless matched by both, and refused when it comes.
func (o *overlaps) properties(a, b match) answer {
	all := yes
	for _, p := range a.properties {
		for _, q := range b.properties {
			if p.name != q.name || len(p.values) == 0 || len(q.values) == 0 {
				continue
			}
			switch o.values(p.values, q.values) {
			case no:
				return no
			case unsure:
				all = unsure
			case yes:
			}
		}
	}
	return all
}

// values looks for a text that two lists of patterns match.
func (o *overlaps) values(a, b []string) answer {
	work := min(workOfPair, o.work)
	left := work
	_, is := meet(language{globs: a}, language{globs: b}, texts, &left)
	o.work -= work - left
	return is
}

// shareName reports whether two lists of names have one in common; an empty list holds all.
func shareName(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(n string) bool { return slices.Contains(b, n) })
}

// example is repository/path of an artifact that both rules match, one that looks ordinary if there is any.
func (o *overlaps) example(i, j int) string {
	a, b := o.languages[o.paths[i]], o.languages[o.paths[j]]
	path := o.meet(o.paths[i], o.paths[j], pathNames).name
	work := workOfPair
	if plain, is := meet(a, b, plainPaths, &work); is == yes {
		path = plain
	}
	return o.meet(o.repositories[i], o.repositories[j], repositoryNames).name + "/" + path
}

// meet looks for a name of two languages.
func (o *overlaps) meet(i, j int, names grammar) common {
	a, b := o.languages[i], o.languages[j]
	if apart(a, b, &o.work) {
		return common{is: no}
	}
	key := [2]int{min(i, j), max(i, j)}
	found, known := o.known[key]
	if !known {
		work := min(workOfPair, o.work)
		left := work
		found.name, found.is = meet(a, b, names, &left)
		o.work -= work - left
		o.known[key] = found
	}
	return found
}

// apart reports whether the literal ends of the globs alone tell two languages apart.
func apart(a, b language, work *int) bool {
	for _, p := range a.globs {
		for _, q := range b.globs {
			if *work--; *work < 0 || compatible(p, q) {
				return false
			}
		}
	}
	return true
}

func isPattern(p string) bool { return !isLiteral(p) }
