package policy

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// A pattern that passed checkGlob is an automaton. Its states are the places of its bytes, and the place behind the last
// byte accepts. meet walks two of them to find a name that both match; matchGlob says the same of one name, and faster. The
// meaning:
//
//	[ab] [a-z] [!a]   one character of the class, never a slash
//	?, *              one character, any number of characters, never a slash
//	**                as a whole segment any number of segments, none included: a/** matches a, too
//	{a,b}             either

// token is what a place of a pattern stands for.
type token int

const (
	isEnd     token = iota
	isChar          // itself
	isOne           // ?
	isRun           // *
	isFolders       // the first byte of ** before a slash: a segment may start here
	isFolder        // its second byte: within such a segment
	isRest          // either byte of a ** at the end
	isClass         // [
	isGroup         // {
	isNext          // , within a group
	isClose         // }
)

func tokenAt(p string, i int) token {
	if i == len(p) {
		return isEnd
	}
	switch p[i] {
	case '?':
		return isOne
	case '[':
		return isClass
	case '{':
		return isGroup
	case '}':
		return isClose
	case ',':
		if groupEnd(p, i) >= 0 {
			return isNext
		}
	case '*':
		start := i
		if i > 0 && p[i-1] == '*' {
			start--
		}
		switch {
		case !spansFolders(p, start):
			return isRun
		case start+2 == len(p):
			return isRest
		case start == i:
			return isFolders
		}
		return isFolder
	}
	return isChar
}

// spansFolders reports whether a ** that is a whole segment stands at i.
func spansFolders(p string, i int) bool {
	return strings.HasPrefix(p[i:], "**") && (i == 0 || p[i-1] == '/') && (i+2 == len(p) || p[i+2] == '/')
}

// groupEnd is the place of the brace that closes the group which i lies in, or -1 when it lies in none.
func groupEnd(p string, i int) int {
	for i < len(p) {
		switch p[i] {
		case '}':
			return i
		case '{':
			return -1
		case '[':
			_, i = inClass(p, i, 0)
			continue
		}
		i++
	}
	return -1
}

// choices lists where the alternatives of the group that opens at i start.
func choices(p string, i int, each func(int)) {
	each(i + 1)
	for end, k := groupEnd(p, i+1), i+1; k < end; {
		switch p[k] {
		case '[':
			_, k = inClass(p, k, 0)
			continue
		case ',':
			each(k + 1)
		}
		k++
	}
}

// inClass reports whether a character belongs to the class that opens at i, and where the pattern goes on behind it.
func inClass(p string, i int, r rune) (in bool, after int) {
	i++
	negated := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negated {
		i++
	}
	last := rune(-1) // what a range could start with
	for i < len(p) && p[i] != ']' {
		c, n := utf8.DecodeRuneInString(p[i:])
		i += n
		if c == '-' && last >= 0 && i < len(p) && p[i] != ']' {
			c, n = utf8.DecodeRuneInString(p[i:])
			i += n
			in = in || last <= r && r <= c
			last = -1
			continue
		}
		in = in || r == c
		last = c
	}
	return in != negated && r != '/', min(i+1, len(p))
}

// step is the place that a character leads to from i, or -1.
func step(p string, i int, r rune) int {
	switch tokenAt(p, i) {
	case isChar:
		if c, n := utf8.DecodeRuneInString(p[i:]); c == r {
			return i + n
		}
	case isClass:
		if in, after := inClass(p, i, r); in {
			return after
		}
	case isOne:
		if r != '/' {
			return i + 1
		}
	case isFolders:
		if r != '/' {
			return i + 1
		}
		return i // no path has an empty segment, other texts do
	case isRun:
		if r != '/' {
			return i
		}
	case isFolder:
		if r != '/' {
			return i
		}
		return i - 1
	case isRest:
		return i
	}
	return -1
}

// spots is a set of places in one pattern.
type spots [maxGlob/64 + 1]uint64

func (s *spots) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// add puts in a place, and all that are reached from it without a character.
func (s *spots) add(p string, i int) {
	if s.has(i) {
		return
	}
	s[i/64] |= 1 << (i % 64)
	switch tokenAt(p, i) {
	case isRun, isClose:
		s.add(p, i+1)
	case isRest:
		s.add(p, len(p))
	case isFolders:
		s.add(p, i+3) // no folder at all
	case isChar:
		if p[i] == '/' && spansFolders(p, i+1) {
			s.add(p, i+3)
		}
	case isGroup:
		choices(p, i, func(next int) { s.add(p, next) })
	case isNext:
		s.add(p, groupEnd(p, i)+1)
	}
}

// walk calls each for every place of the set, in order.
func (s *spots) walk(each func(int)) {
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			each(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// next is the set after one more character; false when it is empty.
func (s *spots) next(p string, r rune) (spots, bool) {
	var out spots
	some := false
	for w, word := range s[:len(p)/64+1] {
		for ; word != 0; word &= word - 1 {
			if to := step(p, w*64+bits.TrailingZeros64(word), r); to >= 0 {
				out.add(p, to)
				some = true
			}
		}
	}
	return out, some
}

// accepts reports whether the automaton of a pattern takes the whole of a name. It takes time in proportion to the product
// of their lengths, and no memory.
func accepts(p, name string) bool {
	var now spots
	now.add(p, 0)
	for _, r := range name {
		var some bool
		if now, some = now.next(p, r); !some {
			return false
		}
	}
	return now.has(len(p))
}
