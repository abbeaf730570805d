package policy

import (
	"encoding/binary"
	"slices"
	"strings"
)

// language is a set of names: those that any of the globs matches and none of the exceptions.
type language struct {
	globs, except []string
}

// maxName is the length of the longest path that an artifact has, in bytes.
const maxName = 1024

// meet looks for a name of both languages, a shortest one of the first two globs that have any. The answer is exact; it
// is unsure when work runs out, which is counted down. Memory stays in proportion to the work.
func meet(a, b language, names grammar, work *int) (string, answer) {
	except := slices.Concat(a.except, b.except)
	doubt := false
	for _, p := range a.globs {
		for _, q := range b.globs {
			if *work--; *work < 0 {
				return "", unsure
			}
			if !compatible(p, q) {
				continue
			}
			name, found := newMeeting(p, q, nil, names, work).search()
			if found == yes && !slices.ContainsFunc(except, func(x string) bool { return matchGlob(x, name) }) {
				return name, yes
			}
			if found == yes { // the exceptions decide
				name, found = newMeeting(p, q, except, names, work).search()
			}
			if found == yes {
				return name, yes
			}
			doubt = doubt || found == unsure
		}
	}
	if doubt {
		return "", unsure
	}
	return "", no
}

// compatible compares the literal ends of two globs, which tells most of those apart that have no name in common.
func compatible(p, q string) bool {
	a, b := literalStart(p), literalStart(q)
	if !strings.HasPrefix(a, b) && !strings.HasPrefix(b, a) {
		return false
	}
	a, b = literalEnd(p), literalEnd(q)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// meeting is the search for a shortest name that two globs match and no exception does: breadth first through the
// product of their automata. The globs keep one place each, so that without exceptions there are at most as many states
// as pairs of places; of the exceptions all places are kept, because none may accept.
type meeting struct {
	p, q     string
	except   []string
	names    grammar
	alphabet []rune
	work     *int

	nodes   []node
	seen    map[state]struct{}
	closure [2][][]int16     // by place, all that are reached without a character
	sets    [][]spot         // of places of exceptions
	numbers map[string]int32 // of sets
	steps   map[setStep]int32
}

type state struct {
	p, q   int16
	except int32 // index of sets, or covered
	names  uint8
}

type node struct {
	state
	from int32
	via  rune
}

// spot is a place in one of the exceptions.
type spot struct {
	pattern int32
	place   int16
}

type setStep struct {
	set int32
	via rune
}

// covered stands for sets of places from which an exception takes out every longer name.
const covered = -1

func newMeeting(p, q string, except []string, names grammar, work *int) *meeting {
	*work -= len(p) + len(q)
	for _, x := range except {
		*work -= len(x)
	}
	return &meeting{
		p: p, q: q, except: except, names: names, work: work, alphabet: alphabet(names, p, q, except),
		seen: map[state]struct{}{}, numbers: map[string]int32{}, steps: map[setStep]int32{},
		closure: [2][][]int16{make([][]int16, len(p)+1), make([][]int16, len(q)+1)},
	}
}

func (m *meeting) search() (string, answer) {
	if found := m.visit(node{state: state{except: m.start()}, from: -1}); found {
		return "", no // the empty name is none
	}
	for at := 0; at < len(m.nodes); at++ {
		now := m.nodes[at]
		for _, r := range m.alphabet {
			if *m.work < 0 {
				return "", unsure
			}
			names := m.names(now.names, r)
			if names == dead {
				*m.work--
				continue
			}
			for _, i := range m.reached(0, m.p, now.p) {
				*m.work--
				p := step(m.p, int(i), r)
				if p < 0 {
					continue
				}
				for _, j := range m.reached(1, m.q, now.q) {
					*m.work--
					q := step(m.q, int(j), r)
					if q < 0 {
						continue
					}
					next := state{p: int16(p), q: int16(q), except: m.excepted(now.except, r), names: names}
					if m.visit(node{state: next, from: int32(at), via: r}) {
						name := m.name()
						if len(name) > maxName {
							return "", unsure
						}
						return name, yes
					}
				}
			}
		}
	}
	return "", no
}

// visit takes note of a state and reports whether its name is one that is looked for.
func (m *meeting) visit(n node) bool {
	if n.except == covered {
		return false
	}
	if _, known := m.seen[n.state]; known {
		return false
	}
	m.seen[n.state] = struct{}{}
	m.nodes = append(m.nodes, n)
	return n.names == done && m.accepts(0, m.p, n.p) && m.accepts(1, m.q, n.q) && !m.taken(n.except)
}

// name spells the name that led to the newest node.
func (m *meeting) name() string {
	var out []rune
	for n := m.nodes[len(m.nodes)-1]; n.from >= 0; n = m.nodes[n.from] {
		out = append(out, n.via)
	}
	slices.Reverse(out)
	return string(out)
}

func (m *meeting) reached(which int, p string, from int16) []int16 {
	list := &m.closure[which][from]
	if *list == nil {
		var set spots
		set.add(p, int(from))
		set.walk(func(i int) { *list = append(*list, int16(i)) })
	}
	return *list
}

func (m *meeting) accepts(which int, p string, from int16) bool {
	return slices.Contains(m.reached(which, p, from), int16(len(p)))
}

// taken reports whether an exception matches the name that led to a set.
func (m *meeting) taken(set int32) bool {
	return slices.ContainsFunc(m.sets[set], func(s spot) bool { return int(s.place) == len(m.except[s.pattern]) })
}

func (m *meeting) start() int32 {
	list := make([]spot, len(m.except))
	for i := range list {
		list[i].pattern = int32(i)
	}
	return m.number(list)
}

// excepted is the set that a character leads to from a set.
func (m *meeting) excepted(set int32, r rune) int32 {
	if len(m.sets[set]) == 0 {
		return set // nothing is left that could match
	}
	to, known := m.steps[setStep{set, r}]
	if !known {
		var list []spot
		for _, s := range m.sets[set] {
			*m.work--
			if place := step(m.except[s.pattern], int(s.place), r); place >= 0 {
				list = append(list, spot{s.pattern, int16(place)})
			}
		}
		to = m.number(list)
		m.steps[setStep{set, r}] = to
	}
	return to
}

// number adds to places what is reached from them without a character, and names the set.
func (m *meeting) number(list []spot) int32 {
	var all []spot
	var key []byte
	for len(list) > 0 {
		pattern := list[0].pattern
		var set spots
		for len(list) > 0 && list[0].pattern == pattern {
			set.add(m.except[pattern], int(list[0].place))
			list = list[1:]
		}
		forever := false
		set.walk(func(i int) {
			*m.work--
			forever = forever || tokenAt(m.except[pattern], i) == isRest
			all = append(all, spot{pattern, int16(i)})
			key = binary.BigEndian.AppendUint32(key, uint32(pattern))
			key = binary.BigEndian.AppendUint16(key, uint16(i))
		})
		if forever {
			return covered
		}
	}
	number, known := m.numbers[string(key)]
	if !known {
		number = int32(len(m.sets))
		m.sets = append(m.sets, all)
		m.numbers[string(key)] = number
	}
	return number
}
