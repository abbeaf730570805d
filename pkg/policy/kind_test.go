package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const imagePolicy = `kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [oci-local]}
images: {platforms: ["linux/*"]}
sign:
  - {key: release-2026, formats: [raw, cosign]}
  - {key: release-2027, formats: [raw]}
`

func kinds(t *testing.T, policies string) *policy.Set {
	v := vocabulary
	v.Formats = []string{"raw", "cosign"}
	v.Kinds = map[string][]artifact.Kind{"raw": {artifact.KindFile}, "cosign": {artifact.KindImage}}
	return policytest.Set(t, policy.Skip, v, map[string]string{"p.yaml": policies})
}

func image(platform string) artifact.Subject {
	return artifact.Subject{
		Kind:  artifact.KindImage,
		Info:  artifact.Info{Ref: artifact.Ref{Instance: "main", Repo: "oci-local", Path: "app/1/manifest.json"}, SHA256: artifact.Digest{1}},
		Image: artifact.Image{Platform: platform},
	}
}

func TestFormatsFitTheKind(t *testing.T) {
	t.Parallel()
	set := kinds(t, imagePolicy)
	d := set.Decide(policy.Request{Subject: image("")})
	require.NotNil(t, d.Grant)
	require.Equal(t, []policy.Order{{Key: "release-2026", Formats: []string{"cosign"}}}, d.Grant.Orders(), "a key without a format for images is not used")
	require.False(t, d.Grant.Allows("release-2027"))

	file := image("")
	file.Kind = artifact.KindFile
	d = set.Decide(policy.Request{Subject: file})
	require.Equal(t, []policy.Order{{Key: "release-2026", Formats: []string{"raw"}}, {Key: "release-2027", Formats: []string{"raw"}}}, d.Grant.Orders())

	file.Kind = "bundle"
	d = set.Decide(policy.Request{Subject: file})
	require.Nil(t, d.Grant)
	require.Len(t, d.Denied, 1)
	require.Equal(t, reason.FormatUnfit, d.Denied[0].Code)
	require.Equal(t, "policies/p.yaml:1 (images)", d.Denied[0].Rule)
}

func TestPlatformsThatAreSigned(t *testing.T) {
	t.Parallel()
	set := kinds(t, imagePolicy)
	for platform, signed := range map[string]bool{"": true, "linux/amd64": true, "linux/arm/v7": true, "windows/amd64": false} {
		d := set.Decide(policy.Request{Subject: image(platform)})
		require.Equal(t, signed, d.Grant != nil, platform)
		require.Equal(t, signed, d.Skip == "", platform)
		require.Empty(t, d.Denied)
	}
}

func TestPoliciesThatDifferInPlatformsConflict(t *testing.T) {
	t.Parallel()
	set := kinds(t, imagePolicy+"---\n"+`kind: SigningPolicy
name: other
owner: release-managers
match: {repositories: [oci-local], exclude: `+policytest.HardExclude+`}
sign:
  - {key: release-2026, formats: [raw, cosign]}
  - {key: release-2027, formats: [raw]}
`)
	subject := image("")
	subject.Ref.Path = policytest.HardName
	d := set.Decide(policy.Request{Subject: subject})
	require.Len(t, d.Denied, 1)
	require.Equal(t, reason.PolicyConflict, d.Denied[0].Code)
}

func TestKindsThatAreSigned(t *testing.T) {
	t.Parallel()
	require.Equal(t, []artifact.Kind{artifact.KindFile, artifact.KindImage}, kinds(t, imagePolicy).Kinds("main"))
	require.Equal(t, []artifact.Kind{artifact.KindFile}, kinds(t, strings.NewReplacer("cosign", "raw", "[raw, raw]", "[raw]").Replace(imagePolicy)).Kinds("main"))
}
