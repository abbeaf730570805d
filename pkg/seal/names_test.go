package seal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		artifact, format, key string
		first                 bool
		want                  string
	}{
		{"app.tgz", "sigstore", "release-2026", true, "app.tgz.sigstore.json"},
		{"app.tgz", "sigstore", "release-2027", false, "app.tgz.release-2027.sigstore.json"},
		{"app.tgz", "raw", "release-2026", true, "app.tgz.sig"},
		{"app.tgz", "raw", "release-2027", false, "app.tgz.release-2027.sig"},
		{"app.tgz", "pgp", "release-2026", true, ""},
		{"app.tgz", "evidence", "release-2026", true, ""},
	} {
		name := seal.FileName(c.artifact, c.format, c.key, c.first)
		require.Equal(t, c.want, name)
		f, ok := seal.FormatOf("dir/" + name)
		require.Equal(t, name != "", ok, name)
		require.Equal(t, ok, f.Name == c.format, name)
	}
}

func TestIsAttachment(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"app.tgz":                          false,
		"app.tgz.sig":                      true,
		"app.tgz.sigstore.json":            true,
		"app.tgz.release-2026.sig":         true,
		"a/b/app.tgz.sigstore.json":        true,
		"a.sig/app.tgz":                    false,
		"app.sig.tgz":                      false,
		"app.signature":                    false,
		"sigstore.json":                    false,
		".sig":                             false,
		".sigstore.json":                   false,
		"a/.sig":                           false,
		"":                                 false,
		"app.tgz.sigstore.json/":           false,
		"app.tgz.SIG":                      false,
		strings.Repeat("x", 9000) + ".sig": true,
	} {
		require.Equal(t, want, seal.IsAttachment(name), "%.80s", name)
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	require.Equal(t, []seal.Candidate{
		{"app.tgz.sigstore.json", "sigstore"},
		{"app.tgz.sig", "raw"},
		{"app.tgz.r1.sigstore.json", "sigstore"},
		{"app.tgz.r1.sig", "raw"},
		{"app.tgz.r2.sigstore.json", "sigstore"},
		{"app.tgz.r2.sig", "raw"},
	}, seal.Candidates("app.tgz", []string{"r1", "r2", "r1"}, []string{"sigstore", "raw", "evidence", "pgp", "sigstore"}))
	require.Empty(t, seal.Candidates("app.tgz", []string{"r1"}, nil))
}

// Whatever name a signature is stored under, the gate looks there.
func TestCandidatesHoldEveryFileName(t *testing.T) {
	t.Parallel()
	keys := []string{"r1", "r2"}
	for _, format := range seal.FormatsOf(artifact.KindFile) {
		for i, key := range keys {
			name := seal.FileName("app.tgz", format, key, i == 0)
			require.Contains(t, seal.Candidates("app.tgz", keys, []string{format}), seal.Candidate{Name: name, Format: format})
		}
	}
}

func TestCheckKeyName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"release-2026": true, "R_1.2": true, strings.Repeat("k", 64): true,
		"": false, ".": false, "..": false, ".a": false, "a.": false, "a/b": false, "../x": false, "a b": false,
		"ü": false, "a;b=c": false, "a%2f": false, strings.Repeat("k", 65): false,
	} {
		err := seal.CheckKeyName(name)
		require.Equal(t, ok, err == nil, "%q: %v", name, err)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	keys := []string{"release-2026", "tgz", "other"}
	for name, want := range map[string][]string{
		"app.sigstore.json":              {"app"},
		"app.sig":                        {"app"},
		"app.release-2026.sigstore.json": {"app.release-2026", "app"},
		"app.tgz.sig":                    {"app.tgz", "app"},
		"app.release-2026":               nil,
		".release-2026.sig":              {".release-2026"},
		".sig":                           nil,
	} {
		require.Equal(t, want, seal.Owners(name, keys), name)
	}
	for _, format := range seal.FormatsOf(artifact.KindFile) {
		for _, key := range keys {
			for _, first := range []bool{true, false} {
				require.Contains(t, seal.Owners(seal.FileName("app.bin", format, key, first), keys), "app.bin")
			}
		}
	}
}
