package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// A house with 100 signing policies, asked about an artifact of the last one.
func manyPolicies() string {
	docs := make([]string, 100)
	for i := range docs {
		docs[i] = fmt.Sprintf(`kind: SigningPolicy
name: p%d
owner: o
match: {repositories: ["team-%d-*"], paths: ["**/*.{tgz,zip,deb}"], exclude: ["**/tmp/**"], events: [artifact/deployed]}
sign: [{key: release-2026, formats: [sigstore, raw]}]
`, i, i)
	}
	return strings.Join(docs, "---\n")
}

func BenchmarkDecide(b *testing.B) {
	set := load(b, policy.Skip, manyPolicies())
	req := policy.Request{Subject: subject(b, "team-99-local/org/acme/app/1.4.2/app-1.4.2.tgz"), Event: "artifact/deployed"}
	require.NotNil(b, set.Decide(req).Grant)
	b.ReportAllocs()
	for b.Loop() {
		set.Decide(req)
	}
}

func BenchmarkCovers(b *testing.B) {
	set := load(b, policy.Skip, manyPolicies())
	b.ReportAllocs()
	for b.Loop() {
		set.Covers("main", "team-99-local", "org/acme/app/1.4.2/app-1.4.2.tgz", "artifact/deployed")
	}
}
