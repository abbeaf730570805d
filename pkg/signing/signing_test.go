package signing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestAnUploadedFileIsSigned(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		digest := r.upload("app/1.0/app.tgz", "hello")
		require.NoError(t, r.do("app/1.0/app.tgz"))
		r.requireSigned("app/1.0/app.tgz", "hello")

		o := r.outcome("app/1.0/app.tgz")
		require.Equal(t, digest, o.Subject)
		require.Equal(t, "release-binaries", o.Policy)
		require.Equal(t, "policies/release.yaml:1 (release-binaries)", o.Rule)
		require.Equal(t, r.policies.Load().Digest(), o.PolicySet)
		require.Equal(t, []string{key}, o.Keys)
		require.Equal(t, []string{"app.tgz.sigstore.json", "app.tgz.sig"}, o.Files)
		require.Equal(t, map[string][]string{
			"hallmark.state": {"signed"}, "hallmark.sha256": {digest.String()}, "hallmark.keys": {key}, "hallmark.policy": {"release-binaries"},
		}, r.props("app/1.0/app.tgz"))
		require.Equal(t, 1, r.uses(), "two formats, one signature")
		require.Equal(t, [3]int{0, 1, 0}, r.intents())
	})
}

func TestEveryAlgorithmSigns(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []hsm.Algorithm{hsm.P384, hsm.RSA3072, hsm.RSA4096} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{keys: map[string]hsm.Algorithm{key: algorithm}})
			r.upload("app/a.tgz", "hello")
			require.NoError(t, r.do("app/a.tgz"))
			r.requireSigned("app/a.tgz", "hello")
			require.Equal(t, 1, r.uses())
		})
	}
}
