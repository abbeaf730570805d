package policy

import (
	"iter"
	"strings"
)

// index prepares what makes decisions fast. It is called once, when all policies are known.
func (s *Set) index() {
	var named []string
	for i, p := range s.signing {
		s.byRepository.put(i, p.match.repositories)
		named = append(named, p.owner)
	}
	s.owners = owners(named)

	count, number := map[string]int{}, map[string]uint8{}
	for pass := range 2 {
		for _, p := range s.signing {
			for i, list := range [][]string{p.match.repositories, p.match.paths, p.match.exclude} {
				key := string(rune('0'+i)) + strings.Join(list, "\n")
				if pass == 0 {
					count[key]++
					continue
				}
				if number[key] == 0 && count[key] > 1 && len(number) < mostKnown {
					number[key] = uint8(len(number) + 1)
				}
				p.match.common[i] = number[key]
			}
		}
	}
}

// known remembers, while one question is asked of many policies, what lists of patterns said to it that several policies
// have in common. The zero value remembers nothing yet.
type known [mostKnown + 1]answer

const mostKnown = 255

// match reports whether a pattern of a list matches. Number 0 is that of all lists that are not remembered.
func (k *known) match(number uint8, patterns []string, name string) bool {
	if number == 0 {
		return firstMatch(patterns, name) != ""
	}
	if k[number] == unsure {
		k[number] = is(firstMatch(patterns, name) != "")
	}
	return k[number] == yes
}

// byRepository finds the policies that could be about a repository without asking all of them. The zero value is empty.
type byRepository struct {
	literal  map[string][]int // by name, the policies that give it in full
	patterns []int            // those that give any pattern
}

// put takes in a policy's repositories. Numbers rise from call to call.
func (x *byRepository) put(number int, repositories []string) {
	pattern := false
	for _, name := range repositories {
		if !isLiteral(name) {
			pattern = true
		}
	}
	if pattern {
		x.patterns = append(x.patterns, number)
		return
	}
	if x.literal == nil {
		x.literal = map[string][]int{}
	}
	for _, name := range repositories {
		if list := x.literal[name]; len(list) == 0 || list[len(list)-1] != number {
			x.literal[name] = append(list, number)
		}
	}
}

// of lists the numbers of policies that could be about a repository, in order, each once.
func (x *byRepository) of(repository string) iter.Seq[int] {
	return func(yield func(int) bool) {
		a, b := x.literal[repository], x.patterns
		for len(a)+len(b) > 0 {
			least := &a
			if len(a) == 0 || len(b) > 0 && b[0] < a[0] {
				least = &b
			}
			if !yield((*least)[0]) {
				return
			}
			*least = (*least)[1:]
		}
	}
}
