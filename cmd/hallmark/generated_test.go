package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
	"github.com/hallmark-signing/hallmark/webhook"
)

var update = flag.Bool("update", false, "write the generated documents")

// The documents that are made from the code are up to date. make generate writes them.
func TestGenerated(t *testing.T) {
	for name, text := range map[string]string{
		"docs/configuration.md": configurationPage(),
		"docs/reasons.md":       reasonsPage(),
		"docs/events.md":        eventsPage(),
		"policies/schema.json":  string(policy.Schema()),
	} {
		file := filepath.Join(tooltest.RepoRoot(t), filepath.FromSlash(name))
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err, "run make generate")
		require.Equal(t, text, string(content), "run make generate")
	}
}

const generated = "<!-- Made from the code by make generate. Do not edit. -->\n"

func configurationPage() string {
	var b strings.Builder
	b.WriteString(generated + `# Configuration

Every key of ` + "`hallmark.yaml`" + ` and of policy files. Both are read strictly: an unknown or repeated key, a wrong type or an
empty value is an error with file, line and column, and nothing starts before all of them are mended. Check a
configuration with ` + "`hallmark doctor`" + `, policies with ` + "`hallmark policy check`" + `.

Secrets are never written into these files: they stand in files of their own, which are named here. A relative path is
meant from the directory of ` + "`hallmark.yaml`" + `. Durations are written like ` + "`500ms`, `30s` or `2h`" + `.

## hallmark.yaml

`)
	for _, section := range sections(strictyaml.Reference(Config{})) {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", section[0].Path, sentence(section[0].Doc))
		keyTable(&b, section[1:])
	}
	fmt.Fprintf(&b, "## Policy files\n\nEvery `*.yaml` file of `policies.dir` holds one or more documents of these kinds, separated by `---`.\n"+
		"Formats are %s for files, %s for images. Events are %s.\n\n", codes(seal.FormatsOf(artifact.KindFile)), codes(seal.FormatsOf(artifact.KindImage)), codes(webhook.Events()))
	for _, kind := range []any{policy.SigningPolicy{}, policy.GatePolicy{}} {
		fmt.Fprintf(&b, "### %s\n\n", reflect.TypeOf(kind).Name())
		keyTable(&b, strictyaml.Reference(kind))
	}
	return b.String()
}

// sections splits the reference at its top-level keys.
func sections(fields []strictyaml.Field) [][]strictyaml.Field {
	var out [][]strictyaml.Field
	for _, f := range fields {
		if !strings.Contains(f.Path, ".") {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], f)
	}
	return out
}

// markdown keeps plain text plain.
var markdown = strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*")

func keyTable(b *strings.Builder, fields []strictyaml.Field) {
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		value := f.Default
		switch {
		case value != "":
			value = "`" + value + "`"
		case f.Required:
			value = "**required**"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Path, f.Type, value, markdown.Replace(sentence(f.Doc)))
	}
	b.WriteString("\n")
}

func reasonsPage() string {
	var b strings.Builder
	b.WriteString(generated + `# Reasons

Whenever something is refused, the same object says why: in the command line's output, in the API's answers, in
` + "`hallmark status`" + `, in the log, and shortened in the property ` + "`hallmark.reason`" + `. Its code never changes its meaning;
` + "`found`, `expected`, `fix` and `who`" + ` beside it say what was seen, what would have passed, what mends it and who can.

| code | meaning |
|---|---|
`)
	for _, code := range slices.Sorted(maps.Keys(reason.Codes)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, reason.Codes[code])
	}
	return b.String()
}

func eventsPage() string {
	var b strings.Builder
	b.WriteString(generated + `# Events

What Hallmark does with each event that the JFrog platform can send it. An event is a hint where to look: what is signed is
decided from what Artifactory itself reports. An event that is acted on leads to work in a lane of the queue; any other is
answered with 200 and counted in ` + "`hallmark_webhook_events_total`" + `, with the outcome ` + "`not-for-us`" + `. Events of a domain or type that
is not listed are answered with 200 too, counted as ` + "`unknown-event`" + `, and told once in the log of each process. Subscribe to
those that are acted on; others do no harm.

| domain | types | acted on, in the lane | not for us, because |
|---|---|---|---|
`)
	var row webhook.Type // of several types with one fate
	var names []string
	flush := func() {
		if len(names) > 0 {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.Domain, codes(names), row.Lane, markdown.Replace(row.Ignored))
		}
		names = nil
	}
	for _, t := range webhook.Types() {
		name := t.Name
		t.Name = ""
		if t != row {
			flush()
			row = t
		}
		names = append(names, name)
	}
	flush()
	b.WriteString("\nJFrog Curation names neither domain nor type in what it sends; those two names are Hallmark's.\n")
	return b.String()
}

// sentence begins with a capital, unless with a word that is written otherwise, and ends with a full stop.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ContainsAny(first, ":/=.") {
		return s
	}
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return strings.TrimSuffix(string(r), ".") + "."
}

func codes(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// Every key is explained.
func TestEveryKeyHasADoc(t *testing.T) {
	t.Parallel()
	for _, v := range []any{Config{}, policy.SigningPolicy{}, policy.GatePolicy{}} {
		for _, f := range strictyaml.Reference(v) {
			if !strings.HasSuffix(f.Path, ".file") {
				require.NotEmpty(t, f.Doc, f.Path)
			}
		}
	}
}
