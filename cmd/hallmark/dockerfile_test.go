package main

import (
	"encoding/json"
	goversion "go/version"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// instruction is one of a Dockerfile, with continued lines joined.
type instruction struct{ name, args string }

// stages reads the Dockerfile; each stage begins with its FROM.
func stages(t *testing.T) (out [][]instruction) {
	t.Helper()
	text := strings.ReplaceAll(repoFile(t, "Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		i := instruction{strings.ToUpper(name), strings.TrimSpace(args)}
		if i.name == "FROM" {
			out = append(out, nil)
		}
		require.NotEmpty(t, out, "%s before the first FROM", line)
		out[len(out)-1] = append(out[len(out)-1], i)
	}
	return out
}

// last is the arguments of the stage's last instruction of that name: the one that counts.
func last(t *testing.T, stage []instruction, name string) (args string) {
	t.Helper()
	for _, i := range stage {
		if i.name == name {
			args = i.args
		}
	}
	require.NotEmpty(t, args, "the stage has no %s", name)
	return args
}

func repoFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(content)
}

// The image is built with cgo by a Go that go.mod accepts, and has the glibc that vendors' PKCS#11 modules need.
func TestDockerfileBuild(t *testing.T) {
	t.Parallel()
	all := stages(t)
	require.Len(t, all, 2)
	build, image := all[0], all[1]
	require.Equal(t, "debian:bookworm-slim", last(t, image, "FROM"))

	from := regexp.MustCompile(`^golang:(\d+\.\d+(?:\.\d+)?)-bookworm AS build$`).FindStringSubmatch(last(t, build, "FROM"))
	require.NotNil(t, from, "the builder has the glibc of the image: %s", last(t, build, "FROM"))
	needs := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(repoFile(t, "go.mod"))
	require.NotNil(t, needs)
	has, least := "go"+from[1], "go"+needs[1]
	if strings.Count(from[1], ".") == 1 { // the tag moves with patch releases: at least the first of them
		has += ".0"
	}
	require.True(t, goversion.IsValid(has) && goversion.IsValid(least))
	require.GreaterOrEqual(t, goversion.Compare(has, least), 0, "%s builds what needs %s", has, least)

	var builds []string
	for _, i := range build {
		if i.name == "RUN" && strings.Contains(i.args, "go build") {
			builds = append(builds, i.args)
		}
	}
	require.Len(t, builds, 1)
	require.Regexp(t, `^CGO_ENABLED=1 go build .*-X main\.version=\$\{VERSION\}.* -o /out/hallmark \./cmd/hallmark$`, builds[0])
	require.Equal(t, "--from=build /out/hallmark /usr/local/bin/hallmark", last(t, image, "COPY"))
}

// The image runs as the user that the chart asks for, by number, so that Kubernetes can tell that it is not root.
func TestDockerfileUser(t *testing.T) {
	t.Parallel()
	all := stages(t)
	image := all[len(all)-1]
	user := last(t, image, "USER")
	require.Regexp(t, `^[1-9]\d*$`, user)
	require.Contains(t, last(t, image, "RUN"), "--uid "+user+" ")
	runAs := regexp.MustCompile(`(?m)^\s+runAsUser: (\d+)$`).FindAllStringSubmatch(repoFile(t, "charts/hallmark/templates/_pod.tpl"), -1)
	require.NotEmpty(t, runAs)
	for _, m := range runAs {
		require.Equal(t, m[1], user)
	}
}

// What the image runs by default is a command of this program with flags that it has.
func TestDockerfileCommand(t *testing.T) {
	t.Parallel()
	all := stages(t)
	image := all[len(all)-1]
	var entry, words []string
	require.NoError(t, json.Unmarshal([]byte(last(t, image, "ENTRYPOINT")), &entry), "no shell in between, so that signals arrive")
	require.NoError(t, json.Unmarshal([]byte(last(t, image, "CMD")), &words))
	require.Equal(t, []string{"/usr/local/bin/hallmark"}, entry)
	cmd, rest, err := newRoot().Find(words)
	require.NoError(t, err)
	require.Equal(t, "serve", cmd.Name())
	require.NoError(t, cmd.ParseFlags(rest))
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()))
	config, err := cmd.Flags().GetString("config")
	require.NoError(t, err)
	require.Equal(t, "/etc/hallmark/hallmark.yaml", config)
}
