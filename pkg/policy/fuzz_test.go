package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// FuzzPolicy holds for any bytes: they load or are refused, a decision has exactly one answer, a grant stays within the
// vocabulary, and no gate opens without evidence.
func FuzzPolicy(f *testing.F) {
	for _, pattern := range []string{"../../policies/*.yaml", "testdata/mistakes/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data, "libs-staging-local", "a/b.tgz")
		}
	}
	v := Vocabulary{
		Keys:    []Key{{Name: "release-2026", Lane: LaneRelease}, {Name: "release-2027", Lane: LaneRelease}, {Name: "dev-2026", Lane: LaneDevelopment}},
		Formats: []string{"sigstore", "raw"},
	}
	f.Fuzz(func(t *testing.T, data []byte, repo, path string) {
		ref, err := artifact.NewRef("main", repo, path)
		if err != nil {
			return
		}
		set, err := build([]source{{name: "p.yaml", short: "p.yaml", full: "p.yaml", data: data}}, v)
		if (err == nil) == (set == nil) {
			t.Fatalf("set %v and error %v", set, err)
		}
		if err != nil {
			return
		}
		s := artifact.Subject{Info: artifact.Info{Ref: ref, SHA256: artifact.Digest{1}}}
		d := set.Decide(Request{Subject: s, Event: "artifact/deployed"})
		for _, p := range set.signing {
			q := (&Request{Subject: s, Event: "artifact/deployed"}).question()
			if p.match.holds("main", repo, path, q.event, &known{}) != (p.match.test("main", repo, path, q.event) == nil) || p.match.suits(q) != (p.match.fits(q) == nil) {
				t.Fatalf("two answers whether %+v holds", p.match)
			}
		}
		answers := 0
		for _, given := range []bool{d.Grant != nil, len(d.Denied) > 0, d.Skip != ""} {
			if given {
				answers++
			}
		}
		if answers != 1 {
			t.Fatalf("%d of three answers: %+v", answers, d)
		}
		for _, o := range d.Grant.Orders() {
			if (&compiler{vocabulary: v}).lane(o.Key) == "" || len(o.Formats) == 0 {
				t.Fatalf("granted %+v", o)
			}
		}
		demand, ok := set.Demand(ref)
		if len(demand.For(ref).Judge(nil)) == 0 {
			t.Fatalf("allowed without evidence (policy found: %v)", ok)
		}
	})
}
