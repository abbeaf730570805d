// Package artifactorytest starts a stand-in Artifactory for the length of a test.
package artifactorytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// Repositories that every server has unless the configuration names others.
const (
	Staging = "libs-staging-local"
	Release = "libs-release-local"
)

// Tokens that every server has beside those of the configuration. Rights are on all repositories.
const (
	Admin     = "token-admin"     // everything, and webhook subscriptions
	CI        = "token-ci"        // read, deploy, delete/overwrite, annotate
	Signer    = "token-signer"    // read, deploy, annotate: may create files, not replace them
	Reader    = "token-reader"    // read
	Annotator = "token-annotator" // read, annotate: can forge a property
)

// Start serves on a free port of the loopback address until the test ends. Missing parts of the configuration are
// filled in: a temporary directory, the repositories and tokens above, webhook retries after 20 ms.
func Start(t testing.TB, cfg standin.Config) *standin.Server {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Repositories == nil {
		cfg.Repositories = []standin.Repository{{Key: Staging}, {Key: Release}}
	}
	if cfg.Webhooks.Pause == 0 {
		cfg.Webhooks.Pause = 20 * time.Millisecond
	}
	all := func(letters string) map[string]string { return map[string]string{"*": letters} }
	cfg.Tokens = append([]standin.Token{
		{Value: Admin, User: "admin", Admin: true},
		{Value: CI, User: "ci", Rights: all("rwda")},
		{Value: Signer, User: "hallmark", Rights: all("rwa")},
		{Value: Reader, User: "reader", Rights: all("r")},
		{Value: Annotator, User: "annotator", Rights: all("ra")},
	}, cfg.Tokens...)
	s, err := standin.New(cfg)
	require.NoError(t, err)
	require.NoError(t, s.Start("127.0.0.1:0"))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
