package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// Limits of one pattern, far above what people write.
const (
	maxGlob         = 512 // bytes
	maxAlternatives = 64  // product over all {a,b,c} groups
)

// maxPatterns is the length of the longest list of patterns.
const maxPatterns = 1000

// firstMatch returns the first pattern that matches, or "". Patterns were checked when the set was loaded.
func firstMatch(patterns []string, s string) string {
	for _, p := range patterns {
		if matchGlob(p, s) {
			return p
		}
	}
	return ""
}

func isLiteral(pattern string) bool { return !strings.ContainsAny(pattern, `*?[{`) }

// checkPathGlob refuses patterns that are malformed, and those that are well-formed but can never match or do not mean
// what their writer thinks: a path has no leading slash, and ** is special only as a whole segment.
func checkPathGlob(p string) error {
	if err := checkGlob(p); err != nil {
		return err
	}
	if strings.HasPrefix(p, "/") {
		return fmt.Errorf("%q starts with a slash but paths do not; write %q", p, strings.TrimLeft(p, "/"))
	}
	if strings.HasSuffix(p, "/") {
		return fmt.Errorf("%q ends with a slash but is matched against files; write %q", p, strings.TrimRight(p, "/")+"/**")
	}
	for _, seg := range strings.Split(p, "/") {
		switch {
		case seg == "" || seg == "." || seg == "..":
			return fmt.Errorf("%q has the segment %q, which no path has", p, seg)
		case strings.Contains(seg, "**") && seg != "**":
			return fmt.Errorf("%q has ** within %q, where it spans no folders; write %q", p, seg,
				strings.Replace(p, seg, "**/"+strings.ReplaceAll(seg, "**", "*"), 1))
		}
	}
	return nil
}

// checkRepositoryGlob refuses what cannot be a repository's name.
func checkRepositoryGlob(p string) error {
	if err := checkGlob(p); err != nil {
		return err
	}
	if strings.Contains(p, "/") {
		repo, rest, _ := strings.Cut(p, "/")
		return fmt.Errorf("%q has a slash; write %q here and %q under paths", p, repo, rest)
	}
	if strings.Contains(p, "**") {
		return fmt.Errorf("%q has **; a repository name has no folders, write one *", p)
	}
	return nil
}

func checkGlob(p string) error {
	switch {
	case p == "":
		return errors.New("a pattern is empty; write the name or pattern that is meant")
	case len(p) > maxGlob:
		return fmt.Errorf("a pattern has %d bytes, the limit is %d", len(p), maxGlob)
	case !utf8.ValidString(p):
		return fmt.Errorf("%q is not UTF-8", p)
	case strings.Contains(p, `\`):
		return fmt.Errorf(`%q has a backslash; folders are separated by /, and a literal * is written [*]`, p)
	case strings.ContainsFunc(p, unicode.IsControl):
		return fmt.Errorf("%q has a control character", p)
	case !doublestar.ValidatePattern(p):
		return fmt.Errorf("%q is not a pattern: a [ or { is not closed, or a class is empty", p)
	}
	return checkAlternatives(p)
}

// checkAlternatives bounds {a,b} groups and keeps slashes out of groups and classes. Brackets hide braces, as in [{].
func checkAlternatives(p string) error {
	product, commas, open, class := 1, 0, false, false
	for _, r := range p {
		switch {
		case class && r == '/':
			return fmt.Errorf("%q has a / within [ ], which no pattern but ** matches; write two patterns", p)
		case class:
			class = r != ']'
		case r == '[':
			class = true
		case r == '{' && open:
			return fmt.Errorf("%q has { within {; write two patterns", p)
		case r == '{':
			open, commas = true, 0
		case r == ',' && open:
			commas++
		case r == '/' && open:
			return fmt.Errorf("%q has a / within { }; write two patterns", p)
		case r == '}' && open:
			open = false
			if product *= commas + 1; product > maxAlternatives {
				return fmt.Errorf("%q stands for more than %d alternatives; write several patterns", p, maxAlternatives)
			}
		}
	}
	return nil
}
