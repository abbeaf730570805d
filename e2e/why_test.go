package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// Refused, mended, allowed: the ledger tells of today, and of the moment before.
func TestWhy(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, c sandbox.Config) {
		s := start(t, c)
		file := sandbox.Staging + "/" + app
		r := hallmark(t, s, "why", file, "--target", sandbox.Release)
		require.Equal(t, 1, r.code, r.err)
		require.Contains(t, r.out, "UNKNOWN  nothing was decided about signing "+file)
		require.Contains(t, r.out, "no decision yet, about anything")
		require.Contains(t, r.out, "hallmark gate check "+file+" --target "+sandbox.Release)

		s.Artifactory.HoldEvents()
		upload(t, s, app, "good")
		require.Equal(t, 1, hallmark(t, s, "gate", "check", file, "--target", sandbox.Release).code)
		refused := time.Now()
		s.Artifactory.ReleaseEvents(nil)
		awaitSigned(t, s, app)
		require.Equal(t, 0, hallmark(t, s, "gate", "check", file, "--target", sandbox.Release).code)

		var why api.Why
		hallmarkJSON(t, s, 0, &why, "why", file, "--target", sandbox.Release)
		require.Equal(t, "signed", why.Signing.Outcome)
		require.Equal(t, "allowed", why.Gate.Outcome)
		require.Equal(t, "sandbox", why.Gate.Caller)
		require.NotZero(t, why.Gate.PolicySet)
		require.Contains(t, why.Gate.Rule, "policies/release.yaml:")
		r = hallmark(t, s, "why", file, "--target", sandbox.Release)
		require.Contains(t, r.out, "SIGNED  "+file)
		require.Contains(t, r.out, "because of artifact/deployed")
		require.Contains(t, r.out, "ALLOWED  "+file+" may enter "+sandbox.Release+"/"+app)

		r = hallmark(t, s, "why", file, "--target", sandbox.Release, "--as-of", refused.UTC().Format(time.RFC3339Nano))
		require.Equal(t, 0, r.code, r.out+r.err)
		require.Contains(t, r.out, "UNKNOWN  nothing was decided about signing")
		require.Contains(t, r.out, "REFUSED  "+file+" may not enter")
		require.Contains(t, r.out, "signature-missing")
		require.Contains(t, r.out, "fix       hallmark sign "+file)

		r = hallmark(t, s, "why", file, "--as-of", "2000-01-01")
		require.Equal(t, 1, r.code)
		require.Contains(t, r.out, "on record  what was decided from 20")
		r = hallmark(t, s, "why", file, "--as-of", "yesterday")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "--as-of \"yesterday\" is no time")

		upload(t, s, "app/asked.bin", "good")
		awaitSigned(t, s, "app/asked.bin")
		hallmark(t, s, "sign", sandbox.Staging+"/app/asked.bin")
		eventually(t, func() string { return "who asked is told" }, func() bool {
			hallmarkJSON(t, s, 0, &why, "why", sandbox.Staging+"/app/asked.bin")
			return why.Signing.Caller == "sandbox"
		})
	})
}
