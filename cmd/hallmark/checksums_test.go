package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What sha256sum writes is read, whatever the files are called.
func TestChecksumsAsSha256sumWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"app.tgz", " with  blanks ", "line\nbreak", `back\slash`, "car\rriage", "SHA256 (x) = y", "ümlaut", "*star"}
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	for _, flags := range [][]string{nil, {"--binary"}, {"--tag"}} {
		cmd := exec.CommandContext(t.Context(), "sha256sum", append(append(flags, "--"), names...)...)
		cmd.Dir = dir
		out, err := cmd.Output()
		require.NoError(t, err)
		all, err := readChecksums(strings.NewReader(string(out)))
		require.NoError(t, err, "%v: %s", flags, out)
		require.Len(t, all, len(names))
		for i, name := range names {
			require.Equal(t, name, all[i].name)
			require.Equal(t, sha256.Sum256([]byte(name)), [32]byte(all[i].digest))
		}
	}
}

func TestChecksumsRefused(t *testing.T) {
	t.Parallel()
	one, two := fmt.Sprintf("%x", sha256.Sum256([]byte("1"))), fmt.Sprintf("%x", sha256.Sum256([]byte("2")))
	for content, says := range map[string]string{
		"":                                "no file is listed",
		"\n\n":                            "no file is listed",
		one + "\n":                        "line 1",
		one + " app\n":                    "line 1",
		one + "  \n":                      "line 1",
		one[:63] + "  app\n":              "line 1",
		strings.Repeat("g", 64) + "  app": "line 1",
		one + "  app\n" + one + "  b\nx":  "line 3",
		"\\" + one + "  a\\x\n":           "line 1",
		"\\" + one + "  a\\\n":            "line 1",
		"SHA256 (a " + one:                "line 1",
		"SHA512 (a) = " + one + one:       "line 1",
		one + "  a\x00b":                  "line 1",
		one + "  app\n" + two + "  app\n": "listed twice, with different checksums",
		one + "  " + strings.Repeat("a", maxListLine): "too long",
	} {
		_, err := readChecksums(strings.NewReader(content))
		require.ErrorContains(t, err, says, "%.100q", content)
	}
	all, err := readChecksums(strings.NewReader(strings.ToUpper(one) + "  app\r\n" + one + "  app\n"))
	require.NoError(t, err)
	require.Len(t, all, 1, "twice the same is no harm")
	require.Equal(t, "app", all[0].name)
}

// FuzzChecksums: whatever the list is, it is read whole or refused, and what was read is written and read alike.
func FuzzChecksums(f *testing.F) {
	one := fmt.Sprintf("%x", sha256.Sum256([]byte("1")))
	f.Add(one + "  app.tgz\n" + one + " *b\n")
	f.Add("\\" + one + "  a\\nb\\\\c\n")
	f.Add("SHA256 (x) = " + one + "\n")
	f.Fuzz(func(t *testing.T, content string) {
		all, err := readChecksums(strings.NewReader(content))
		if err != nil {
			return
		}
		require.NotEmpty(t, all)
		var again strings.Builder
		for _, e := range all {
			fmt.Fprintf(&again, "\\%s  %s\n", e.digest, strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(e.name))
		}
		same, err := readChecksums(strings.NewReader(again.String()))
		require.NoError(t, err)
		require.Equal(t, all, same)
	})
}
