package hsm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

// open opens a Keyring that is closed with the test.
func open(tb testing.TB, opts hsm.Options, cfg hsm.Config, keys ...hsm.KeyConfig) *hsm.Keyring {
	tb.Helper()
	ring, err := hsm.Open(tb.Context(), []hsm.Config{cfg}, keys, opts)
	require.NoError(tb, err)
	tb.Cleanup(ring.Close)
	return ring
}

// signer gets a signer the only way there is.
func signer(tb testing.TB, ring *hsm.Keyring, key string) *hsm.Signer {
	tb.Helper()
	g := policytest.Grant(tb, artifact.Subject{}, policy.Order{Key: key, Formats: []string{"raw"}})
	s, err := ring.Signer(g, key)
	require.NoError(tb, err)
	return s
}

func contains(err error, s string) bool { return strings.Contains(err.Error(), s) }
