// Package docs_test holds pages to what they speak of. Commands and configurations on the pages are tested by
// cmd/hallmark, those of other people's verifiers by pkg/seal and pkg/artifactory.
package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func page(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

// Every alert of the chart has a line on the operators' page, and the other way round.
func TestAlertsAreExplained(t *testing.T) {
	t.Parallel()
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(Hallmark[A-Za-z]+)` \\|").FindAllStringSubmatch(page(t, "operators.md"), -1) {
		told = append(told, m[1])
	}
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
	}
	require.Equal(t, names, told)
}

// Every metric that alerts and pages name is one that the code registers.
func TestMetricsExist(t *testing.T) {
	t.Parallel()
	registered := map[string]bool{}
	for _, dir := range []string{"../pkg", "../webhook"} {
		require.NoError(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			for _, m := range regexp.MustCompile(`Name:\s*"(hallmark_\w+)"`).FindAllStringSubmatch(page(t, name), -1) {
				registered[m[1]] = true
			}
			return nil
		}))
	}
	require.Greater(t, len(registered), 15)
	text := page(t, "operators.md") + page(t, "policies.md")
	for _, a := range alerts(t) {
		require.Contains(t, a.Expr, "hallmark_")
		text += a.Expr
	}
	for _, name := range regexp.MustCompile(`hallmark_\w+`).FindAllString(text, -1) {
		require.True(t, registered[name], "no metric is called %s", name)
	}
}

// Every code that the policies' page explains is one.
func TestReasonsExist(t *testing.T) {
	t.Parallel()
	told := regexp.MustCompile("(?m)^\\| `([a-z]+(-[a-z]+)+)` \\|").FindAllStringSubmatch(page(t, "policies.md"), -1)
	require.Greater(t, len(told), 5)
	for _, m := range told {
		require.Contains(t, reason.Codes, reason.Code(m[1]))
	}
}

type alert struct{ Alert, Expr string }

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	require.NoError(t, yaml.Unmarshal([]byte(page(t, "../charts/hallmark/alerts.yaml")), &file))
	require.Len(t, file.Groups, 1)
	require.NotEmpty(t, file.Groups[0].Rules)
	return file.Groups[0].Rules
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile("^#{1,6} +(.+?) *#*$")
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// prose is a page without its fenced blocks, in which neither links nor headings mean anything.
func prose(t *testing.T, name string) string {
	t.Helper()
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(page(t, name), "")
}

// anchors are what a page's headings can be linked as, by GitHub's rules: lower case, no punctuation, hyphens for
// spaces, and a number for headings that are there already.
func anchors(t *testing.T, name string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for l := range strings.Lines(prose(t, name)) {
		m := heading.FindStringSubmatch(strings.TrimSpace(l))
		if m == nil {
			continue
		}
		text := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		slug := strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		one := slug
		for n := 1; all[one]; n++ {
			one = fmt.Sprintf("%s-%d", slug, n)
		}
		all[one] = true
	}
	return all
}

// Links between pages, and to files of the repository, lead somewhere, and those to a heading to one that is there.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	pages = append(pages, "../policies/README.md", "../README.md", "../CHANGELOG.md")
	files, headings := 0, 0
	for _, name := range pages {
		for _, m := range link.FindAllStringSubmatch(prose(t, name), -1) {
			if strings.Contains(m[1], ":") {
				continue // elsewhere
			}
			file, anchor, toHeading := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), filepath.FromSlash(file))
				_, err := os.Stat(target)
				require.NoError(t, err, "in %s", name)
				files++
			}
			if toHeading {
				require.Equal(t, ".md", filepath.Ext(target), "%s in %s", m[1], name)
				require.True(t, anchors(t, target)[anchor], "%s in %s: no such heading", m[1], name)
				headings++
			}
		}
	}
	require.Greater(t, files, 20)
	require.Greater(t, headings, 5)
}
