package artifactory_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// The upload of the trusted key, as the operators' guide prints it, makes evidence count.
func TestOperatorsGuideUploadsTheKey(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "operators.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```sh\n(printf .*?)```").FindStringSubmatch(string(page))
	require.NotNil(t, block)
	body, call, ok := strings.Cut(block[1], "|\n")
	require.True(t, ok)
	require.Contains(t, call, "https://acme.example"+trustedPath)

	s := newSuite(t, "", standin.Config{})
	key := sealtest.NewKey(t, "P-256", "release-2026")
	content := s.sealed(key)
	require.Error(t, s.attest(content))
	dir := t.TempDir()
	key.WritePEM(t, dir, "release.pub")
	out, err := tooltest.Run(t, dir, "sh", "-c", body)
	require.NoError(t, err, out)
	s.post(trustedPath, json.RawMessage(out), http.StatusCreated)
	require.NoError(t, s.attest(content))
}
