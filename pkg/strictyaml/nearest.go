package strictyaml

import (
	"strings"
)

// Nearest returns the known word that was probably meant: the one with the fewest typing slips, letter case not
// counted, if they are few enough for its length.
func Nearest(word string, known []string) (string, bool) {
	best, slips := "", maxSlips(word)+1
	for _, k := range known {
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n < slips {
			best, slips = k, n
		}
	}
	return best, best != ""
}

// Hint ends an error message about an unknown word: the nearest known one, else all of them.
func Hint(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return "did you mean \"" + near + "\"?"
	}
	if len(known) == 0 {
		return "none is known"
	}
	return "known: " + strings.Join(known, ", ")
}

func maxSlips(word string) int { return min(3, 1+len(word)/4) }

// distance counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment). Words longer
// than 64 bytes are infinitely far from everything: nobody mistypes them, and the cost is quadratic.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := above[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(above[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
