package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// grammar is the set of all names of a sort, as an automaton: the state that a character leads to. It starts in 0 and
// accepts in done.
type grammar func(state uint8, r rune) uint8

const (
	dead uint8 = 255
	done uint8 = 254
)

// repositoryNames are those that artifact.NewRef takes.
func repositoryNames(state uint8, r rune) uint8 {
	switch {
	case r == '.':
		return state
	case r <= unicode.MaxASCII && (r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)):
		return done
	}
	return dead
}

// pathNames are those that artifact.NewRef takes, of any length: no segment is empty, "." or "..".
func pathNames(state uint8, r rune) uint8 {
	switch {
	case unicode.IsControl(r) || r == '\\' || r == utf8.RuneError:
		return dead
	case r == '/' && state == done:
		return 0
	case r == '/':
		return dead
	case r == '.' && state < 2:
		return state + 1
	}
	return done
}

// texts are values of properties and the like: anything.
func texts(_ uint8, r rune) uint8 {
	if !utf8.ValidRune(r) {
		return dead
	}
	return done
}

// plainPaths are paths that need no explanation, for examples: every segment starts with a letter or digit.
func plainPaths(state uint8, r rune) uint8 {
	if state == 0 && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)) {
		return dead
	}
	return pathNames(state, r)
}

// alphabet lists characters that stand for all: what the patterns do with any character, they do with one of these. Those
// that look best in an example come first.
func alphabet(names grammar, p, q string, except []string) []rune {
	texts := append([]string{p, q}, except...)
	said, classes := map[rune]bool{'/': true}, false
	for _, text := range texts {
		classes = classes || strings.Contains(text, "[")
		for _, r := range text {
			said[r] = true
		}
	}
	all := slices.Collect(maps.Keys(said))
	if classes { // between two characters that are said anything may begin and end
		for _, r := range slices.Clone(all) {
			all = append(all, beside(names, r, 1), beside(names, r, -1))
		}
	}
	for r := 'a'; ; r++ { // and one that nobody said
		if !said[r] && (r <= 'z' || r > 0xa0) {
			all = append(all, r)
			break
		}
	}
	all = slices.DeleteFunc(all, func(r rune) bool { return names(0, r) == dead && names(done, r) == dead })
	slices.SortFunc(all, func(a, b rune) int { return cmp.Or(cmp.Compare(beauty(a), beauty(b)), cmp.Compare(a, b)) })
	return slices.Compact(all)
}

func beauty(r rune) int {
	switch {
	case r >= 'a' && r <= 'z':
		return 0
	case unicode.IsLetter(r), unicode.IsDigit(r):
		return 1
	case r == '/':
		return 3
	}
	return 2
}

// beside is the next character that a name can have, on one side of r; r itself when there is none near. Apart from the
// surrogates, characters that no path can have stand together in less than 40.
func beside(names grammar, r rune, way rune) rune {
	for c, n := r+way, 0; n < 40; c, n = c+way, n+1 {
		switch {
		case c == 0xd800:
			c = 0xe000
		case c == 0xdfff:
			c = 0xd7ff
		}
		if c != '/' && utf8.ValidRune(c) && names(done, c) != dead {
			return c
		}
	}
	return r
}
