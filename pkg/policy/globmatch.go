package policy

import (
	"strings"
	"unicode/utf8"
)

// matchGlob reports whether a pattern matches the whole of a name, as accepts would, without memory. Segments are compared
// one by one. Where a ** or a * took too little, it is the last one that takes more: what stands before it has matched as
// early as it can, so that nothing is gained by going back further.
func matchGlob(p, name string) bool {
	if settled := ends(p, name); settled != unsure {
		return settled == yes
	}
	again, from := -1, 0 // behind the last **, and the segment that it is tried at
	for i, j := 0, 0; ; {
		patternEnd, nameEnd := segmentEnd(p, i), segmentEnd(name, j)
		switch {
		case i > len(p) && j > len(name):
			return true
		case i <= len(p) && p[i:patternEnd] == "**":
			if i = patternEnd + 1; i > len(p) {
				return true
			}
			again, from = i, j
			continue
		case i <= len(p) && j <= len(name) && matchSegment(p[i:patternEnd], name[j:nameEnd]):
			i, j = patternEnd+1, nameEnd+1
			continue
		case again < 0 || from > len(name):
			return false
		}
		from = segmentEnd(name, from) + 1
		i, j = again, from
	}
}

// segmentEnd is the end of the segment that starts at i. Behind the last segment, one past the end, it is meaningless.
func segmentEnd(s string, i int) int {
	if i > len(s) {
		return i
	}
	if n := strings.IndexByte(s[i:], '/'); n >= 0 {
		return i + n
	}
	return len(s)
}

// matchSegment matches a pattern without slashes.
func matchSegment(p, name string) bool {
	if open := strings.IndexByte(p, '{'); open >= 0 {
		if p[len(p)-1] != '}' || strings.ContainsAny(p[open+1:len(p)-1], "*?[{}") {
			return accepts(p, name)
		}
		group := p[open+1 : len(p)-1] // such as that of *.{tgz,zip}
		for more := true; more; {
			var one string
			one, group, more = strings.Cut(group, ",")
			if rest, ok := strings.CutSuffix(name, one); ok && matchSegment(p[:open], rest) {
				return true
			}
		}
		return false
	}
	again, from := -1, 0 // behind the last *, and the character that it is tried at
	i, j := 0, 0
	for j < len(name) {
		if i < len(p) {
			switch p[i] {
			case '*':
				i++
				again, from = i, j
				continue
			case '?':
				_, n := utf8.DecodeRuneInString(name[j:])
				i, j = i+1, j+n
				continue
			case '[':
				r, n := utf8.DecodeRuneInString(name[j:])
				if in, after := inClass(p, i, r); in {
					i, j = after, j+n
					continue
				}
			case name[j]:
				i, j = i+1, j+1
				continue
			}
		}
		if again < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(name[from:])
		from += n
		i, j = again, from
	}
	return strings.Trim(p[i:], "*") == ""
}

// answer is what can be said for certain.
type answer int8

const (
	unsure answer = iota
	no
	yes
)

// ends compares what is literal at both ends, which settles most cases, and those of one * between them.
func ends(p, name string) answer {
	i := 0
	for i < len(p) && !special(p[i]) {
		if i == len(name) {
			return unsure // a/** on a
		}
		if p[i] != name[i] {
			return no
		}
		i++
	}
	end, rest := literalEnd(p), name[i:]
	if !strings.HasSuffix(name, end) {
		return no
	}
	switch middle := p[i:max(i, len(p)-len(end))]; {
	case i == len(p):
		return is(rest == "")
	case p[i:] == "**" && spansFolders(p, i):
		return yes
	case middle == "*":
		return is(len(rest) >= len(end) && strings.IndexByte(rest[:len(rest)-len(end)], '/') < 0)
	case middle == "**/*" && spansFolders(p, i) && strings.IndexByte(end, '/') < 0:
		return is(len(rest) >= len(end))
	}
	return unsure
}

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

func special(c byte) bool {
	switch c {
	case '*', '?', '[', ']', '{', '}':
		return true
	}
	return false
}

// literalStart is what every name starts with that the pattern matches.
func literalStart(p string) string {
	i := 0
	for i < len(p) && !special(p[i]) {
		i++
	}
	if i > 0 && p[i-1] == '/' && spansFolders(p, i) {
		i-- // a/** matches a
	}
	return p[:i]
}

// literalEnd is what every name ends with that the pattern matches.
func literalEnd(p string) string {
	i := len(p)
	for i > 0 && !special(p[i-1]) {
		i--
	}
	if i > 1 && i < len(p) && spansFolders(p, i-2) {
		i++ // **/a matches a
	}
	return p[i:]
}
