package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestWhyText(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	early := at.AddDate(0, 0, -1)
	reasons := []reason.Reason{{Code: reason.SignatureMissing, Rule: "policies/gate.yaml:9 (libs-release)", Message: "nothing is signed", Found: "no signature", Expected: "one", Fix: "hallmark sign libs/a", Who: "release-managers"}}
	signing := policy.Past{
		Kind: policy.PastSigning, At: at, Artifact: "libs/a", SHA256: artifact.Digest{1}, Outcome: "signed", Policy: "p", Rule: "policies/p.yaml:2 (p)", PolicySet: artifact.Digest{2},
		Files: []string{"a.sig"}, Warnings: reasons, Asked: json.RawMessage(`{"kind":"file","size":1,"event":"artifact/deployed"}`), Moment: at,
	}
	gate := policy.Past{Kind: policy.PastGate, At: at, Artifact: "libs/a", Target: "release/a", Outcome: "refused", Caller: "ci", Reasons: reasons}
	allowed := gate
	allowed.Outcome, allowed.Reasons = "allowed", nil
	var out bytes.Buffer
	for _, w := range []api.Why{
		{Artifact: "libs/a", Target: "release", Signing: &signing, Gate: &gate},
		{Artifact: "libs/a", Target: "release", Gate: &allowed, Began: &at},
		{Artifact: "libs/a", Target: "release", AsOf: &early, Began: &at},
		{Artifact: "libs/a"},
	} {
		whyText(&out, w)
		out.WriteString("----\n")
	}
	golden := filepath.Join("testdata", "why.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}

func TestPastTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "2h": now.Add(-2 * time.Hour), "3d": now.AddDate(0, 0, -3), "2026-11-21T10:00:00+02:00": now.Add(-28 * time.Hour),
		"2026-11-20": time.Date(2026, 11, 20, 23, 59, 59, 999999000, time.UTC),
	} {
		got, err := pastTime("--as-of", text, now, endOfDay)
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	got, err := pastTime("--since", "2026-11-20", now, startOfDay)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), got)
	for text, said := range map[string]string{"yesterday": "is no time", "-2h": "is no time", "2027-01-01": "in the future", "2026-11-22T12:00:01Z": "in the future", "0d": "is no time"} {
		_, err := pastTime("--as-of", text, now, endOfDay)
		require.ErrorContains(t, err, said, text)
	}
}
