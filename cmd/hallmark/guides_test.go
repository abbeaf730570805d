package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// block is a fenced block of a page: its language, and its text without the fences.
type block struct {
	page, language, text string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), filepath.FromSlash(page)))
	require.NoError(t, err)
	var out []block
	for _, m := range fence.FindAllStringSubmatch(string(content), -1) {
		out = append(out, block{page, m[1], m[2]})
	}
	return out
}

// guides are the pages with commands and configurations of ours.
var guides = []string{"docs/audit.md", "docs/operators.md", "docs/policies.md", "docs/promotion.md", "docs/verify.md", "policies/README.md", "policies/gates/ci/README.md", "policies/gates/groovy/README.md", "README.md"}

// operatorsConfig is the complete configuration that docs/operators.md shows.
func operatorsConfig(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, "docs/operators.md") {
		if strings.HasPrefix(b.text, "# /etc/hallmark/hallmark.yaml\n") {
			return b.text
		}
	}
	t.Fatal("docs/operators.md shows no /etc/hallmark/hallmark.yaml")
	return ""
}

// Every YAML block of the guides loads: a whole configuration as the service would, a part of one as far as its form
// goes, policies against the keys of the operators' page. Values of the Helm chart are rendered by a test of charts.
func TestGuidesYAMLLoads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "hallmark.yaml")
	require.NoError(t, os.WriteFile(main, []byte(operatorsConfig(t)), 0o600))
	whole, err := loadConfig(main)
	require.NoError(t, err)

	kinds := map[string]int{}
	for _, page := range guides {
		for i, b := range blocks(t, page) {
			if b.language != "yaml" {
				continue
			}
			var doc map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(b.text), &doc), "%s: %s", page, b.text)
			switch {
			case strings.HasPrefix(b.text, "# values.yaml"):
				kinds["values"]++
			case strings.HasSuffix(strings.SplitN(b.text, "\n", 2)[0], trial.Suffix):
				kinds["cases"]++
				require.NoError(t, strictyaml.Decode(page, []byte(b.text), &trial.File{}), b.text)
			case doc["kind"] != nil:
				kinds["policies"]++
				c := *whole
				c.Policies.Value.Dir = filepath.Join(dir, strings.ReplaceAll(page, "/", "-"), string(rune('a'+i)))
				require.NoError(t, os.MkdirAll(c.Policies.Value.Dir, 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(c.Policies.Value.Dir, "p.yaml"), []byte(b.text), 0o600))
				_, err := c.loadPolicies()
				if strings.Contains(b.text, "release-2025") || strings.Contains(b.text, "name: everything-else") { // the page's own examples of mistakes
					require.Error(t, err)
					continue
				}
				require.NoError(t, err, "%s: %s", page, b.text)
			default:
				kinds["configuration"]++
				part := filepath.Join(dir, "part.yaml")
				require.NoError(t, os.WriteFile(part, []byte(b.text), 0o600))
				_, err := readConfig(part)
				require.NoError(t, err, "%s: %s", page, b.text)
			}
		}
	}
	require.Greater(t, kinds["policies"], 2)
	require.Greater(t, kinds["configuration"], 1)
	require.Positive(t, kinds["values"])
	require.Positive(t, kinds["cases"])
}

// Every hallmark command that the guides print exists, with its flags and number of arguments.
func TestGuidesCommandsExist(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, page := range guides {
		for _, b := range blocks(t, page) {
			for line := range strings.Lines(b.text) {
				line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "$ "), "sudo -u hallmark ")
				if !strings.HasPrefix(line, "hallmark ") {
					continue
				}
				line, _, _ = strings.Cut(line, " > ")
				line, _, _ = strings.Cut(line, " #")
				seen++
				cmd, rest, err := newRoot().Find(strings.Fields(line)[1:])
				require.NoError(t, err, "%s: %s", page, line)
				require.NotNil(t, cmd.RunE, "%s: %s is no whole command", page, line)
				require.NoError(t, cmd.ParseFlags(rest), "%s: %s", page, line)
				require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%s: %s", page, line)
				require.NoError(t, cmd.ValidateRequiredFlags(), "%s: %s", page, line)
			}
		}
	}
	require.Greater(t, seen, 15)
}

// The hallmark lines of docs/verify.md do what the page says, with every kind of key, and refuse what was tampered with.
func TestVerifyPageWorks(t *testing.T) {
	var lines []string
	for _, b := range blocks(t, "docs/verify.md") {
		for line := range strings.Lines(b.text) {
			if command, ok := strings.CutPrefix(line, "hallmark verify "); ok && strings.Contains(line, "--key") {
				lines = append(lines, "verify "+command)
			}
		}
	}
	require.Len(t, lines, 2)
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Chdir(t.TempDir())
		key := sealtest.NewKey(t, algorithm, "verify page")
		key.WritePEM(t, ".", "release.pub")
		write := func(name string, content []byte) { require.NoError(t, os.WriteFile(name, content, 0o600)) }
		good := []byte("what was built")
		write("app.tgz", good)

		verify := func(command string) (int, string) {
			var out bytes.Buffer
			code := run(t.Context(), strings.Fields(command), &out, &out)
			return code, out.String()
		}
		code, out := verify(lines[0])
		require.Equal(t, exitRefused, code)
		require.Contains(t, out, "signature-missing")
		code, _ = verify(lines[1])
		require.Equal(t, exitUndecided, code, "a file named with --bundle must be there")

		d, err := seal.NewDigester(key.Public())
		require.NoError(t, err)
		_, _ = d.Write(good)
		for _, name := range seal.FormatsOf(artifact.KindFile) {
			f, _ := seal.Lookup(name)
			write("app.tgz"+f.Suffix, sealtest.Seal(t, name, key, d.Digests(), nil))
		}
		for _, command := range lines {
			write("app.tgz", good)
			code, out := verify(command)
			require.Equal(t, exitOK, code, out)
			write("app.tgz", []byte("what was not built"))
			code, out = verify(command)
			require.Equal(t, exitRefused, code, out)
			require.Contains(t, out, "signature-wrong-bytes")
		}
	}
}

// Its lines that believe an export of trust do; e2e/judges runs those of cosign.
func TestVerifyPageTrusts(t *testing.T) {
	h := newHouse(t, "P-256")
	files := []string{"app.tgz", "downloads/one.tgz"}
	for _, name := range files {
		h.publish(name, name, nil)
	}
	list := fmt.Sprintf("%x  downloads/one.tgz\n", sha256.Sum256([]byte("downloads/one.tgz")))
	h.publish("SHA256SUMS", list, nil)
	h.export(nil)
	require.NoError(t, os.Rename(h.at("trust"), h.at("acme-trust")))
	h.key.WritePEM(t, h.dir, "release.pub")
	pageBlocks := blocks(t, "docs/verify.md")
	t.Chdir(h.dir)
	seen := map[string]int{}
	for _, b := range pageBlocks {
		for line := range strings.Lines(b.text) {
			line = strings.TrimSpace(line)
			var try func() error
			switch {
			case strings.HasPrefix(line, "hallmark verify ") && !strings.Contains(line, "--key"):
				seen["hallmark"]++
				try = func() error {
					if r := command(t, strings.Fields(line)[1:]...); r.code != exitOK {
						require.Equal(t, exitRefused, r.code, r.out+r.err)
						return errors.New(r.out)
					}
					return nil
				}
			default:
				continue
			}
			require.NoError(t, try(), line)
			for _, name := range files {
				h.put(name, []byte("tampered"))
			}
			require.Error(t, try(), line)
			for _, name := range files {
				h.put(name, []byte(name))
			}
		}
	}
	require.Equal(t, map[string]int{"hallmark": 5}, seen)
}

// policyFile is a file that docs/policies.md shows.
var policyFile = regexp.MustCompile(`^(policies|candidate)/[a-z_]+\.yaml$`)

var digestText = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// docs/policies.md is a session that happens as it is printed: its files are written where their first line says, its
// console blocks are run in order, and their output is compared; a block of NDJSON is an export. Digests are printed as sha256:…
func TestGeneratedPolicySession(t *testing.T) {
	const page = "docs/policies.md"
	file := filepath.Join(tooltest.RepoRoot(t), filepath.FromSlash(page))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	config := operatorsConfig(t)

	t.Setenv("HALLMARK_CONFIG", "")
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("policies", 0o700))
	require.NoError(t, os.WriteFile("hallmark.yaml", []byte(config), 0o600))
	ran := 0
	want := fence.ReplaceAllFunc(content, func(fenced []byte) []byte {
		m := fence.FindSubmatch(fenced)
		language, text := string(m[1]), string(m[2])
		if name, ok := strings.CutPrefix(strings.SplitN(text, "\n", 2)[0], "# "); ok && language == "yaml" && policyFile.MatchString(name) {
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		}
		if language == "ndjson" {
			require.NoError(t, os.WriteFile("decisions.ndjson", []byte(text), 0o600))
		}
		if language != "console" {
			return fenced
		}
		var out bytes.Buffer
		out.WriteString("```console\n")
		for line := range strings.Lines(text) {
			if command, ok := strings.CutPrefix(line, "$ hallmark "); ok {
				out.WriteString(line)
				code := run(t.Context(), strings.Fields(command), &out, &out)
				require.NotEqual(t, exitUndecided, code, "%s%s", line, out.String())
				ran++
			}
		}
		out.WriteString("```")
		return digestText.ReplaceAll(out.Bytes(), []byte("sha256:…"))
	})
	require.Greater(t, ran, 6)
	if *update {
		require.NoError(t, os.WriteFile(file, want, 0o644))
		content = want
	}
	require.Equal(t, string(want), string(content), "run make generate")
}
