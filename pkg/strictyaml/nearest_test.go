package strictyaml_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"release-2026", "dev-2026", "url", "webhookSecrets", "sigstore"}
	for word, want := range map[string]string{
		"release2026":                 "release-2026",
		"relaese-2026":                "release-2026",
		"release-2025":                "release-2026",
		"URL":                         "url",
		"ulr":                         "url",
		"webhooksecret":               "webhookSecrets",
		"sigstor":                     "sigstore",
		"raw":                         "",
		"":                            "",
		"x":                           "",
		"entirely-different":          "",
		strings.Repeat("release", 20): "",
	} {
		got, ok := strictyaml.Nearest(word, known)
		require.Equal(t, want, got, word)
		require.Equal(t, want != "", ok, word)
	}
	require.Equal(t, `did you mean "url"?`, strictyaml.Hint("ur", known))
	require.Equal(t, "known: a, b", strictyaml.Hint("zzzzzz", []string{"a", "b"}))
	require.Equal(t, "none is known", strictyaml.Hint("x", nil))
}
