package policy_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// questions are asked of houses with 1,000 signing policies, about an artifact of the last one.
func questions() map[string]struct{ policies, path string } {
	return map[string]struct{ policies, path string }{
		"repositories by name":     {thousand(houses["repositories by name"]), "team-999-local/org/acme/app/1.4.2/app-1.4.2.tgz"},
		"repositories by pattern":  {thousand(houses["repositories by pattern"]), "team-999-local/org/acme/app/1.4.2/app-1.4.2.tgz"},
		"one repository, folders":  {thousand(houses["one repository, folders"]), "libs/team-999/org/acme/app/1.4.2/app-1.4.2.tgz"},
		"one repository, suffixes": {thousand(houses["one repository, file names"]), "libs-local/org/acme/app/1.4.2/app-team-999.tgz"},
		"one repository, properties": {thousand(func(i int) string {
			return fmt.Sprintf(`repositories: ["libs-*"], paths: ["**/*.{tgz,zip}"], exclude: ["**/tmp/**", "**/*-SNAPSHOT*"], properties: {team: [t%d]}`, i)
		}), "libs-local/org/acme/app/1.4.2/app-1.4.2.tgz"},
	}
}

func BenchmarkDecide(b *testing.B) {
	for name, q := range questions() {
		set := load(b, policy.Skip, q.policies)
		req := policy.Request{Subject: subject(b, q.path), Event: "artifact/deployed", Facts: policy.Facts{Known: policy.NeedProperties, Properties: map[string][]string{"team": {"t999"}}}}
		require.NotNil(b, set.Decide(req).Grant, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Decide(req)
			}
		})
	}
}

// Nothing matches and everything is refused, with the policies' owners named.
func BenchmarkDecideDenied(b *testing.B) {
	set := load(b, policy.Deny, thousand(houses["repositories by pattern"]))
	req := policy.Request{Subject: subject(b, "elsewhere/a.tgz"), Event: "artifact/deployed"}
	require.NotEmpty(b, set.Decide(req).Denied)
	b.ReportAllocs()
	for b.Loop() {
		set.Decide(req)
	}
}

func BenchmarkCovers(b *testing.B) {
	for name, q := range questions() {
		set := load(b, policy.Skip, q.policies)
		about := ref(b, q.path)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Covers(about.Instance, about.Repo, about.Path, "artifact/deployed")
			}
		})
	}
}
