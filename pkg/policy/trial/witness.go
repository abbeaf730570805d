package trial

import (
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// witness is evidence that one demand refuses and another is content with, both ways.
type witness struct {
	opens, closes []policy.Evidence // nil: there is none
	unsure        bool              // not every combination was looked at
}

// maxSubsets bounds the combinations of keys that are tried of one line of a gate: a line that wants 8 of 16 keys is
// within it.
const maxSubsets = 20_000

// witnessOf looks for evidence that tells two demands apart.
func witnessOf(old, new policy.Demand) witness {
	all := everything(old, new)
	opens, unsure := between(old, new, all)
	closes, unsureToo := between(new, old, all)
	return witness{opens, closes, unsure || unsureToo}
}

// everything is one verified signature by every key in every format that either demand counts.
func everything(demands ...policy.Demand) []policy.Evidence {
	var keys, formats []string
	for _, d := range demands {
		keys, formats = append(keys, d.Keys()...), append(formats, d.Formats()...)
	}
	slices.Sort(keys)
	slices.Sort(formats)
	var all []policy.Evidence
	for _, k := range slices.Compact(keys) {
		for _, f := range slices.Compact(formats) {
			all = append(all, policy.Evidence{File: "a signature", Key: k, Format: f})
		}
	}
	return all
}

// between returns the least evidence that strict refuses and lax allows, or nil. More evidence never closes a gate, so
// it is enough to try the largest sets that strict refuses: for one of its lines, everything but the signatures of all
// keys that count there, save one key less than the line wants.
func between(strict, lax policy.Demand, all []policy.Evidence) (least []policy.Evidence, unsure bool) {
	if len(strict.Judge(all)) > 0 && len(lax.Judge(all)) == 0 {
		return shrink(lax, all), false
	}
	for _, line := range strict.Requirements() {
		tried := 0
		found := subsets(line.Keys, line.Count-1, func(spared []string) bool {
			if tried++; tried > maxSubsets {
				unsure = true
				return true
			}
			left := slices.DeleteFunc(slices.Clone(all), func(e policy.Evidence) bool {
				return contains(line.Keys, e.Key) && contains(line.Formats, e.Format) && !contains(spared, e.Key)
			})
			if len(lax.Judge(left)) == 0 {
				least = shrink(lax, left)
				return true
			}
			return false
		})
		if found && least != nil {
			return least, false
		}
	}
	return nil, unsure
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

// shrink leaves out what the demand can do without.
func shrink(demand policy.Demand, enough []policy.Evidence) []policy.Evidence {
	out := slices.Clone(enough)
	for _, e := range enough {
		less := slices.DeleteFunc(slices.Clone(out), func(x policy.Evidence) bool { return x == e })
		if len(demand.Judge(less)) == 0 {
			out = less
		}
	}
	return out
}

// evidenceText names signatures as "release-2026 (sigstore) and release-2027 (raw, signature-invalid)".
func evidenceText(evidence []policy.Evidence) string {
	var parts []string
	for _, e := range evidence {
		by, what := e.Key, e.Format
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
