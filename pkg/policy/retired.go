package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retirements tells where the set rests on keys whose time is over at a moment, or will be: signing policies that deny what
// they match, and gates that nothing newly signed can pass. Policies that only warn are among them. Such a set loads,
// because what was signed in time is still to be judged by it.
func (s *Set) Retirements(at time.Time) []string {
	var out []string
	for _, p := range s.signing {
		for _, l := range p.lines {
			if said := s.timesUp(p, l, at); said != "" {
				out = append(out, said)
			}
		}
	}
	for _, g := range s.gates {
		for _, r := range g.requirements {
			use := slices.DeleteFunc(slices.Clone(r.keys), func(k string) bool {
				return !s.vocabulary.key(k).open(at)
			})
			if len(use) < r.count {
				out = append(out, fmt.Sprintf("%s demands %s, and too few of these keys are in use: only what was signed in their time can pass; add a key", r.rule, strings.Join(r.keys, ", ")))
			}
		}
	}
	return out
}

// timesUp tells of a line of a sign list whose keys are not in use, or will not be for ever; empty when there is nothing to
// tell.
func (s *Set) timesUp(p *signingRule, l line, at time.Time) string {
	_, open := s.vocabulary.pick(l, at)
	end := s.vocabulary.ends(l, at)
	one := len(l.keys) == 1
	switch {
	case open && end.IsZero():
		return ""
	case open && one:
		return fmt.Sprintf("%s signs with %s, which is retired from %s on; name another key until then", p.rule, l.names(), minute(end))
	case open:
		return fmt.Sprintf("%s signs with %s, none of which is in use from %s on; add a key until then", p.rule, l.names(), minute(end))
	case one && s.vocabulary.next(l, at).IsZero():
		return fmt.Sprintf("%s signs with %s, which is retired since %s, so what it matches is denied; name another key in %s",
			p.rule, l.names(), minute(s.vocabulary.key(l.keys[0]).Retired), p.source())
	}
	return fmt.Sprintf("%s signs with %s, and no key of it is in use, so what it matches is denied (%s); name another key in %s",
		p.rule, l.names(), s.vocabulary.shutText(l, at), p.source())
}

// Moments adds to some moments others, so that at one of them each key that the demand counts or forbids is in use.
func (d Demand) Moments(at ...time.Time) []time.Time {
	for _, name := range slices.Concat(d.Keys(), d.Forbidden()) {
		k := d.set.vocabulary.key(name)
		if slices.ContainsFunc(at, k.open) {
			continue
		}
		in := k.From
		if before := k.Retired.Add(-time.Hour); !k.Retired.IsZero() && before.After(in) {
			in = before
		}
		at = append(at, in)
	}
	return at
}

// minute is a moment as messages tell it.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
