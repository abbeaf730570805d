package signing

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Signatures of another key serve only when they are whole and were made in its time.
func TestMadeInItsTime(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key := hsm.Public{SPKI: artifact.Digest{1}, From: from, Retired: from.AddDate(1, 0, 0)}
	kept := func(at time.Time, formats ...string) (all []ledger.Signature) {
		for _, f := range formats {
			all = append(all, ledger.Signature{KeySPKI: key.SPKI, Format: f, MadeAt: at})
		}
		return all
	}
	wanted := []string{"sigstore", "raw"}
	require.True(t, made(key, wanted, kept(from, "raw", "sigstore")))
	require.True(t, made(key, wanted, kept(key.Retired.Add(-1), "raw", "sigstore")))
	require.False(t, made(key, wanted, kept(from, "raw")))
	require.False(t, made(key, wanted, kept(from.Add(-1), "raw", "sigstore")))
	require.False(t, made(key, wanted, kept(key.Retired, "raw", "sigstore")))
	other := key
	other.SPKI = artifact.Digest{2}
	require.False(t, made(other, wanted, kept(from, "raw", "sigstore")))
}
