package seal_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// What is signed is what the specification calls a verification summary.
func TestSummaryAsSigned(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("artifact"))
	content := sealtest.Seal(t, "vsa", key, d, nil)
	payload, err := base64.StdEncoding.DecodeString(sealtest.Get(t, content, "dsseEnvelope", "payload").(string))
	require.NoError(t, err)
	require.JSONEq(t, `{
		"_type": "https://in-toto.io/Statement/v1",
		"subject": [{"digest": {"sha256": "`+d.SHA256().String()+`"}}],
		"predicateType": "https://slsa.dev/verification_summary/v1",
		"predicate": {
			"verifier": {"id": "https://hallmark.example"},
			"timeVerified": "2026-01-02T03:04:05Z",
			"resourceUri": "artifactory://main/libs-staging-local/app/1.0/app.tgz",
			"policy": {
				"uri": "https://hallmark.example/policies/release-binaries",
				"digest": {"sha256": "`+artifact.Digest{1, 2, 3}.String()+`"},
				"annotations": {"event": "artifact/deployed", "rule": "policies/release.yaml:1 (release-binaries)"}
			},
			"inputAttestations": [{
				"uri": "artifactory://main/libs-staging-local/app/1.0/app.tgz.dev-2026.sigstore.json",
				"digest": {"sha256": "`+artifact.Digest{4, 5, 6}.String()+`"}
			}],
			"verificationResult": "PASSED",
			"verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"],
			"slsaVersion": "1.0"
		}
	}`, string(payload))
	said, err := seal.ReadSummary(content)
	require.NoError(t, err)
	require.Equal(t, *sealtest.Summary(), said)
}

// Whatever can be said verifies; what cannot be is not signed.
func TestSummaries(t *testing.T) {
	t.Parallel()
	f := named(t, "vsa")
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("artifact"))
	for name, c := range map[string]struct {
		edit func(*seal.Summary)
		text string // of the refusal
	}{
		"least":             {func(s *seal.Summary) { s.Notes, s.Inputs = nil, nil }, ""},
		"a path to escape":  {func(s *seal.Summary) { s.Resource = "artifactory://main/r/%C3%A4%20%3Ca%26b%3E" }, ""},
		"characters of all": {func(s *seal.Summary) { s.Notes["rule"] = "a <b> & \"c\" ä \u2028 \x01 \xff 𝄞" }, ""},
		"another zone":      {func(s *seal.Summary) { s.At = s.At.In(time.FixedZone("x", 3600)).Add(time.Millisecond) }, ""},
		"no verifier":       {func(s *seal.Summary) { s.Verifier = "" }, "verifier.id"},
		"no place":          {func(s *seal.Summary) { s.Resource = "libs/app.tgz" }, "resourceUri"},
		"no policy":         {func(s *seal.Summary) { s.Policy = "" }, "policy.uri"},
		"no digest":         {func(s *seal.Summary) { s.PolicyDigest = artifact.Digest{} }, "no digest of the policies"},
		"no time":           {func(s *seal.Summary) { s.At = time.Time{} }, "no time"},
		"an endless note":   {func(s *seal.Summary) { s.Notes["rule"] = strings.Repeat("x", 5000) }, "too long"},
		"an input nowhere":  {func(s *seal.Summary) { s.Inputs[0].URI = "" }, "is described by"},
		"many inputs":       {func(s *seal.Summary) { s.Inputs = make([]seal.Input, 65) }, "65 inputs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := sealtest.NewKey(t, "P-256", "one")
			s := sealtest.Summary()
			c.edit(s)
			made, err := seal.SealAll(t.Context(), key, d, f, seal.Context{Summary: s})
			if c.text != "" {
				require.ErrorIs(t, err, seal.ErrNoSummary)
				require.ErrorContains(t, err, c.text)
				require.Zero(t, key.Uses())
				return
			}
			require.NoError(t, err)
			require.NoError(t, seal.VerifyAll(key.Public(), d, made))
			_, err = seal.ReadSummary(made["vsa"])
			require.NoError(t, err)
		})
	}
	_, err := f[0].Seal(t.Context(), key, d)
	require.ErrorIs(t, err, seal.ErrNoSummary)
	require.Zero(t, key.Uses())
}

func TestReadSummaryOfAnything(t *testing.T) {
	t.Parallel()
	for _, c := range sealtest.Cases(t) {
		if _, err := seal.ReadSummary(c.Content); c.Format == "vsa" && c.Want == nil {
			require.NoError(t, err, c.Name)
		} else if err != nil {
			require.ErrorIs(t, err, seal.ErrMalformed, c.Name)
		}
	}
	_, err := seal.ReadSummary([]byte(`{}`))
	require.ErrorIs(t, err, seal.ErrMalformed)
}

// A summary is apart, and is not taken for a signature of an image, nor one for it.
func TestSummaryIsNoSignature(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"vsa"}, seal.Apart())
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf([]byte("artifact"))
	for _, by := range seal.Formats() {
		content := sealtest.Seal(t, by, key, d, nil)
		for _, f := range all(t) {
			if (f.Name == "vsa") != (by == "vsa") {
				require.Error(t, f.Verify(key.Public(), d, content), "%s read as %s", by, f.Name)
			}
		}
	}
	var b map[string]any
	require.NoError(t, json.Unmarshal(sealtest.Seal(t, "vsa", key, d, nil), &b))
	require.NotContains(t, b, "messageSignature")
}
