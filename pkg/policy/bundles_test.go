package policy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

func TestAsksOfBundles(t *testing.T) {
	t.Parallel()
	const completed, promoted = "release_bundle_v2/release_bundle_v2_completed", "release_bundle_v2_promotion/release_bundle_v2_promotion_completed"
	for _, tt := range []struct {
		match, formats      string
		completed, promoted bool
	}{
		{"repositories: [release-bundles-v2]", "evidence", true, true},
		{"repositories: [libs-local, fw-release-bundles-v2]", "raw, evidence", true, true},
		{"repositories: ['*']", "raw, evidence", true, true},
		{"repositories: ['fw-*']", "evidence", true, true},
		{"repositories: ['*-v2']", "evidence", true, true},
		{"repositories: ['?w-release-bundles-v2']", "evidence", true, true},
		{"repositories: ['{a,release-bundles}-v2']", "evidence", true, true},
		{"repositories: [release-bundles-v2], events: [" + completed + "]", "evidence", true, false},
		{"repositories: [release-bundles-v2], events: [artifact/deployed]", "evidence", false, false},
		{"repositories: [release-bundles-v2], instances: [mirror]", "evidence", false, false},
		{"repositories: [release-bundles-v2]", "raw", false, false},
		{"repositories: ['*-local', libs-release-bundles]", "evidence", false, false},
		{"repositories: [myrelease-bundles-v2]", "evidence", false, false},
		{"repositories: ['*']", "raw", false, false},
		{"repositories: [libs-local], events: [" + promoted + ", artifact/copied]", "raw", false, true},
		{"repositories: [libs-local], events: [" + completed + "]", "raw", true, false},
	} {
		v := vocabulary
		v.Formats, v.Instances = []string{"raw", "evidence"}, []string{"main", "mirror"}
		v.Events = []string{completed, promoted, "artifact/deployed", "artifact/copied"}
		v.Kinds = map[string][]artifact.Kind{"raw": {artifact.KindFile}, "evidence": {artifact.KindBundle}}
		set := policytest.Set(t, policy.Skip, v, map[string]string{"p.yaml": strings.NewReplacer("MATCH", tt.match, "FORMATS", tt.formats).Replace(
			"kind: SigningPolicy\nname: p\nowner: release-managers\nmatch: {MATCH}\nsign: [{key: release-2026, formats: [FORMATS]}]\n")})
		got := []bool{set.AsksOfBundles("main", completed), set.AsksOfBundles("main", promoted)}
		require.Equal(t, []bool{tt.completed, tt.promoted}, got, "%s, %s", tt.match, tt.formats)
	}
}
