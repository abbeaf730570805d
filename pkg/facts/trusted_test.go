package facts_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Checks of signatures see level, time and distrust as gates do.
func TestSignaturesHaveLevels(t *testing.T) {
	t.Parallel()
	r, realm, other := newRig(t, identities, standin.Quirks{}), notarytest.New(t), notarytest.NewWith(t, notarytest.Config{Name: "elsewhere"})
	r.Trusted = facts.Trusted{Verifier: realm.Verifier()}
	key := sealtest.NewKey(t, "P-384", "release-a")
	pub, err := hsm.NewPublic("release-a", policy.LaneRelease, key.Public())
	require.NoError(t, err)
	r.Trust = []hsm.Public{pub}
	r.put("ci", staging, file, "content", nil)
	for name, made := range realm.Seal(key, sealtest.Digests(t, "content"), "sigstore", "sigstore-key", "raw") {
		r.put("ci", staging, file+map[string]string{"sigstore": ".sigstore.json", "sigstore-key": ".sigstore-key.json", "raw": ".sig"}[name], string(made), nil)
	}
	r.put("ci", staging, file+".release-a.sigstore.json", string(other.Seal(key, sealtest.Digests(t, "content"), "sigstore")["sigstore"]), nil)
	look := func() map[string]policy.Evidence {
		found := map[string]policy.Evidence{}
		for _, e := range r.facts(policy.NeedSignatures, staging, file).Signatures {
			found[e.File] = e
		}
		return found
	}
	found := look()
	whole := found["app.tgz.sigstore.json"]
	require.Equal(t, 3, whole.Level, "%+v", whole)
	require.WithinDuration(t, time.Now(), whole.At, time.Hour)
	require.Equal(t, whole.Stamped, whole.At)
	require.Equal(t, realm.Issuer+"/keys/release-a", whole.Identity)
	hint := found["app.tgz.sigstore-key.json"]
	require.Equal(t, 2, hint.Level)
	require.NotZero(t, hint.At, "a level 2 with a date")
	require.Equal(t, 2, found["app.tgz.sig"].Level)
	require.Zero(t, found["app.tgz.sig"].At)
	require.Equal(t, reason.TimestampInvalid, found["app.tgz.release-a.sigstore.json"].Problem)
	require.Equal(t, "release-a", found["app.tgz.release-a.sigstore.json"].Key)

	from := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	_, err = r.Ledger.Distrust(t.Context(), ledger.Distrust{KeyName: "release-a", KeySPKI: pub.SPKI, From: from})
	require.NoError(t, err)
	require.Equal(t, from, look()["app.tgz.sig"].Distrusted)
}
