package signing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// A policy that lists the format has a summary made beside the signatures, of what was decided.
func TestSummaryOfAGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: strings.Replace(oneKey, "[sigstore, raw]", "[sigstore, raw, sigstore-key, vsa]", 1)})
	digest := r.upload("app/1.0/app.tgz", "hello")
	require.NoError(t, r.do("app/1.0/app.tgz"))
	r.requireSigned("app/1.0/app.tgz", "hello", "app/1.0/app.tgz.sigstore.json", "app/1.0/app.tgz.sig", "app/1.0/app.tgz.sigstore-key.json", "app/1.0/app.tgz.vsa.json")
	require.Equal(t, 2, r.uses(), "one for the bytes, one for the summary")

	content, err := r.art.Content(repo, "app/1.0/app.tgz.vsa.json")
	require.NoError(t, err)
	said, err := seal.ReadSummary(content)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), said.At, time.Minute)
	require.Equal(t, "https://github.com/hallmark-signing/hallmark", said.Verifier, "nobody configured a name")
	require.Equal(t, "https://github.com/hallmark-signing/hallmark/policies/release-binaries", said.Policy)
	require.Equal(t, r.policies.Load().Digest(), said.PolicyDigest)
	require.Equal(t, "artifactory://main/"+repo+"/app/1.0/app.tgz", said.Resource)
	require.Equal(t, map[string]string{"rule": "policies/release.yaml:1 (release-binaries)", "event": "artifact/deployed"}, said.Notes)
	require.Empty(t, said.Inputs)

	// the same bytes elsewhere: the same files
	require.Equal(t, digest, r.upload("app/2.0/app.tgz", "hello"))
	require.NoError(t, r.do("app/2.0/app.tgz"))
	again, err := r.art.Content(repo, "app/2.0/app.tgz.vsa.json")
	require.NoError(t, err)
	require.Equal(t, content, again)
	require.Equal(t, 2, r.uses())
}

// Where policy only warned, the summary does not keep quiet about what it warned of.
func TestSummaryTellsWarnings(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: strings.Replace(byProperty, "[raw]", "[raw, vsa]", 1) + "mode: warn\n"})
	r.upload("app/a.tgz", "one")
	require.NoError(t, r.do("app/a.tgz"))
	content, err := r.art.Content(repo, "app/a.tgz.vsa.json")
	require.NoError(t, err)
	said, err := seal.ReadSummary(content)
	require.NoError(t, err)
	require.Equal(t, string(reason.CheckFailed), said.Notes["warnings"])
}

// What the service is called and which signatures policy looked at is in it.
func TestSummaryNamesInputs(t *testing.T) {
	t.Parallel()
	const policy = `kind: SigningPolicy
name: releases
owner: release-managers
match: {repositories: [` + repo + `], paths: ["rel/**"]}
require: [{name: built, signatures: {lane: development, count: 1}}]
sign: [{key: ` + key + `, formats: [raw, vsa]}]
---
kind: SigningPolicy
name: builds
owner: release-managers
match: {repositories: [` + repo + `], paths: ["dev/**"]}
sign: [{key: ` + devKey + `, formats: [sigstore]}]
`
	r := newRig(t, setup{policy: policy, keys: map[string]hsm.Algorithm{key: hsm.P256, devKey: hsm.P256}})
	r.service.Issuer = "https://hallmark.example/"
	r.upload("dev/a b.tgz", "hello")
	require.NoError(t, r.do("dev/a b.tgz"))
	content, err := r.art.Content(repo, "dev/a b.tgz.sigstore.json")
	require.NoError(t, err)
	r.upload("rel/a b.tgz", "hello")
	require.NoError(t, r.art.Put("ci", repo, "rel/a b.tgz.sigstore.json", strings.NewReader(string(content)), nil))
	require.NoError(t, r.do("rel/a b.tgz"))
	content, err = r.art.Content(repo, "rel/a b.tgz.vsa.json")
	require.NoError(t, err)
	said, err := seal.ReadSummary(content)
	require.NoError(t, err)
	require.Equal(t, "https://hallmark.example", said.Verifier)
	require.Equal(t, "https://hallmark.example/policies/releases", said.Policy)
	require.Equal(t, "artifactory://main/"+repo+"/rel/a%20b.tgz", said.Resource)
	require.Len(t, said.Inputs, 1)
	require.Equal(t, "artifactory://main/"+repo+"/rel/a%20b.tgz.sigstore.json", said.Inputs[0].URI)
}

// A summary alone is no signature: nothing is said to be signed.
func TestSummaryAloneIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: strings.Replace(oneKey, "[sigstore, raw]", "[cosign, vsa]", 1)})
	r.upload("app/1.0/app.tgz", "hello")
	_ = r.do("app/1.0/app.tgz")
	o := r.outcome("app/1.0/app.tgz")
	require.Equal(t, ledger.Denied, o.State)
	require.Equal(t, reason.FormatUnfit, o.Reasons[0].Code)
	require.NotContains(t, o.Reasons[0].Expected, "vsa")
	require.Zero(t, r.uses())
}

// Images carry theirs as a referrer.
func TestSummaryOfAnImage(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{policy: strings.ReplaceAll(imagePolicy, "cosign]", "cosign, cosign-key, vsa]")})
	m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
	for range 2 { // the second time nothing is made
		require.NoError(t, p.sign(imageName+"/1.0/manifest.json"))
		require.Equal(t, ledger.Signed, p.result(imageName+"/1.0/manifest.json").State)
		require.Equal(t, 2, p.uses())
		found, err := p.client.Signatures(t.Context(), subject(docker, m))
		require.NoError(t, err)
		formats := map[string]bool{}
		for _, s := range found {
			formats[s.Format] = true
			f, ok := seal.Lookup(s.Format)
			require.True(t, ok)
			public, _ := p.keys.Key(key)
			require.NoError(t, f.Verify(public.PublicKey, seal.FromSHA256(subject(docker, m).SHA256), s.Content), s.Format)
		}
		require.Equal(t, map[string]bool{"cosign": true, "cosign-key": true, "vsa": true}, formats)
		require.Len(t, found, 3)
	}
}
