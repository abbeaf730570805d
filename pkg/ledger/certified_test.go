package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestCertifiedIsRememberedOnce(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		all, err := l.Certified(t.Context())
		require.NoError(t, err)
		require.Empty(t, all)

		first := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
		a := ledger.Certified{Identity: "https://h.example/configurations/a", KeyName: "release", KeySPKI: artifact.Digest{1}, Lane: "release", PublicKey: []byte{0, 1, 255}, At: first}
		again, other, elsewhere := a, a, a
		again.KeyName, again.At = "renamed", first.Add(time.Hour)
		other.KeySPKI, other.At = artifact.Digest{2}, first.Add(time.Minute)
		elsewhere.Identity = "https://h.example/configurations/b"
		for _, c := range []ledger.Certified{elsewhere, a, other, again, a} {
			require.NoError(t, l.RememberCertified(t.Context(), c))
		}
		all, err = l.Certified(t.Context())
		require.NoError(t, err)
		require.Equal(t, []ledger.Certified{a, other, elsewhere}, all)
	})
}
