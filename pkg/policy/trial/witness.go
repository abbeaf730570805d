package trial

import (
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// witness is evidence that one demand refuses and another is content with, both ways.
type witness struct {
	opens, closes []policy.Evidence // nil: there is none
	opensAt       time.Time         // when, and when closes tells them apart
	closesAt      time.Time
	unsure        bool     // not every combination was looked at
	dropped       []string // checks that the old one had and the new one has not: what they refused may be let in
}

// maxSubsets bounds the combinations of keys that are tried of one line of a gate: a line that wants 8 of 16 keys is
// within it.
const maxSubsets = 20_000

// witnessOf looks for evidence that tells two demands apart.
func witnessOf(old, new policy.Demand) witness {
	var w witness
	for _, at := range moments(old, new) {
		old, new := old.At(at), new.At(at)
		all := everything(at, old, new)
		if w.opens == nil {
			var unsure bool
			w.opens, unsure = between(old, new, all, at)
			w.opensAt, w.unsure = at, w.unsure || unsure
		}
		if w.closes == nil {
			var unsure bool
			w.closes, unsure = between(new, old, all, at)
			w.closesAt, w.unsure = at, w.unsure || unsure
		}
		if w.dropped == nil && len(new.Judge(lessKeys(all, new.Forbidden()))) == 0 { // it can be open at all
			w.dropped = without(old.Checks(), new.Checks())
		}
	}
	return w
}

// moments are those at which demands are compared: some moment, and others at which the keys were in use that are not then,
// because what a retired key signed in its time still counts.
func moments(demands ...policy.Demand) []time.Time {
	at := []time.Time{someMoment}
	for _, d := range demands {
		at = d.Moments(at...)
	}
	return at
}

// everything is one verified signature by every key in every format that either demand counts or forbids, just made and
// of the highest level.
func everything(at time.Time, demands ...policy.Demand) []policy.Evidence {
	var keys, formats []string
	for _, d := range demands {
		keys, formats = append(keys, d.Keys()...), append(formats, d.Formats()...)
		keys = append(keys, d.Forbidden()...)
	}
	slices.Sort(keys)
	slices.Sort(formats)
	keys, formats = slices.Compact(keys), slices.Compact(formats)
	var all []policy.Evidence
	for _, k := range keys {
		for _, f := range formats {
			all = append(all, policy.Evidence{File: "a signature", Key: k, Format: f, At: at, Level: 3})
		}
	}
	return all
}

// between returns the least evidence that strict refuses and lax allows, or nil. But for what is forbidden, more evidence
// never closes a gate; so it is enough to try the largest sets that strict refuses. These are everything that lax does not
// forbid, and for each line of strict everything that neither forbids, but for the signatures of all keys that count there,
// save one key less than the line wants; or with theirs too old, or of too low a level.
func between(strict, lax policy.Demand, all []policy.Evidence, at time.Time) (least []policy.Evidence, unsure bool) {
	tells := func(found []policy.Evidence) bool { return len(strict.Judge(found)) > 0 && len(lax.Judge(found)) == 0 }
	free := lessKeys(all, lax.Forbidden())
	if tells(free) {
		return shrink(free, tells), false
	}
	free = lessKeys(free, strict.Forbidden())
	for _, line := range strict.Requirements() {
		tried := 0
		found := subsets(line.Keys, line.Count-1, func(spared []string) bool {
			if tried++; tried > maxSubsets {
				unsure = true
				return true
			}
			for _, spoilt := range spoil(free, line, spared, at) {
				if tells(spoilt) {
					least = shrink(spoilt, tells)
					return true
				}
			}
			return false
		})
		if found && least != nil {
			return least, false
		}
	}
	return nil, unsure
}

// spoil makes evidence that a line refuses: signatures of its keys, but for those that are spared, are taken away, or are
// too old for the line, or of too low a level.
func spoil(all []policy.Evidence, line policy.Requirement, spared []string, at time.Time) [][]policy.Evidence {
	counts := func(e policy.Evidence) bool {
		return contains(line.Keys, e.Key) && contains(line.Formats, e.Format) && !contains(spared, e.Key)
	}
	out := [][]policy.Evidence{slices.DeleteFunc(slices.Clone(all), counts)}
	change := func(f func(*policy.Evidence)) {
		changed := slices.Clone(all)
		for i := range changed {
			if counts(changed[i]) {
				f(&changed[i])
			}
		}
		out = append(out, changed)
	}
	if line.MaxAge > 0 {
		change(func(e *policy.Evidence) { e.At = at.Add(-line.MaxAge - time.Second) })
		change(func(e *policy.Evidence) { e.At = time.Time{} })
	}
	if line.Level > 2 {
		change(func(e *policy.Evidence) { e.Level = line.Level - 1 })
	}
	return out
}

// lessKeys leaves out the signatures by some keys.
func lessKeys(all []policy.Evidence, keys []string) []policy.Evidence {
	return slices.DeleteFunc(slices.Clone(all), func(e policy.Evidence) bool { return contains(keys, e.Key) })
}

// subsets calls each with every choice of n elements until it returns true.
func subsets(of []string, n int, each func([]string) bool) bool {
	var choose func(from int, chosen []string) bool
	choose = func(from int, chosen []string) bool {
		if len(chosen) == n {
			return each(chosen)
		}
		for i := from; i <= len(of)-(n-len(chosen)); i++ {
			if choose(i+1, append(chosen, of[i])) {
				return true
			}
		}
		return false
	}
	return choose(0, make([]string, 0, n))
}

// shrink leaves out what evidence can do without and still tells.
func shrink(enough []policy.Evidence, tells func([]policy.Evidence) bool) []policy.Evidence {
	out := slices.Clone(enough)
	for _, e := range enough {
		less := slices.DeleteFunc(slices.Clone(out), func(x policy.Evidence) bool { return x == e })
		if tells(less) {
			out = less
		}
	}
	return out
}

// evidenceText names signatures, with their age at a moment (zero: without), as "release-2026 (sigstore) and release-2027 (raw, signature-invalid)".
func evidenceText(evidence []policy.Evidence, at time.Time) string {
	var parts []string
	for _, e := range evidence {
		by, what := e.Key, e.Format
		switch {
		case e.At.IsZero():
			what += ", undated"
		case e.At.Before(at):
			what += ", " + policy.Span(at.Sub(e.At)).String() + " old"
		}
		if e.Level == 2 {
			what += ", trust level 2"
		}
		if by == "" {
			by = "an unknown key"
		}
		if e.Problem != "" {
			what += ", " + string(e.Problem)
		}
		parts = append(parts, by+" ("+what+")")
	}
	if len(parts) == 0 {
		return "no signature"
	}
	return strings.Join(parts, " and ")
}
