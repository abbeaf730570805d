package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/gate"
)

func TestVerdictTellsWhichSignaturesCount(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	stamped := time.Date(2026, 6, 1, 2, 3, 4, 0, time.UTC)
	verdictText(&b, gate.Verdict{Allow: true, Artifact: "s/a", Target: "r/a", Signatures: []gate.Signature{
		{File: "a.sigstore.json", Key: "release", Counts: true, At: stamped, Stamped: stamped, Level: 3, Identity: "https://sign.example/keys/release"},
	}})
	require.Contains(t, b.String(), "by key release, made 2026-06-01 02:03 UTC by its time-stamp, trust level 3 as https://sign.example/keys/release\n")
	b.Reset()
	verdictText(&b, gate.Verdict{Allow: true, Artifact: "s/a", Target: "r/a", Signatures: []gate.Signature{
		{File: "a.sigstore.json", Key: "release", Counts: true, At: stamped}, {File: "a.sig", Key: "dev"}, {File: "a.x", Problem: "signature-invalid"},
	}})
	require.Equal(t, "ALLOWED  s/a may enter r/a\n  verified  a.sigstore.json by key release, made 2026-06-01 02:03 UTC\n  verified  a.sig by key dev, which does not count there\n", b.String())
}

func TestWaitFlag(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"61s", "-1s"} {
		for _, args := range [][]string{{"gate", "check", "a/b"}, {"promote", "a/b"}} {
			r := command(t, append(args, "--target", "c", "--token-file", "nowhere", "--wait", wait)...)
			require.Equal(t, 2, r.code)
			require.Contains(t, r.err, "it is from 0s to 1m0s")
		}
	}
	cmd := newGateCheck()
	require.NoError(t, checkWait(cmd, 30*time.Second))
	require.Equal(t, "1m0s", cmd.Flags().Lookup("timeout").Value.String(), "who waits gives the answer as much time more")
	cmd = newGateCheck()
	require.NoError(t, cmd.Flags().Set("timeout", "5s"))
	require.NoError(t, checkWait(cmd, 30*time.Second))
	require.Equal(t, "5s", cmd.Flags().Lookup("timeout").Value.String(), "unless it was told")
	require.Empty(t, waitText(0))
	require.Equal(t, "30s", waitText(30*time.Second))
}
