package trial

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// FuzzCases holds for any bytes as a file of cases: they are refused, or each case gets an answer of its own sort, and
// is refused by no rule that is not there.
func FuzzCases(f *testing.F) {
	seeds, err := filepath.Glob("../../../policies/*_test.yaml")
	require.NoError(f, err)
	require.NotEmpty(f, seeds)
	for _, seed := range seeds {
		data, err := os.ReadFile(seed)
		require.NoError(f, err)
		f.Add(data)
	}
	v := policy.Vocabulary{
		Keys:    []policy.Key{{Name: "release-2026", Lane: policy.LaneRelease}, {Name: "release-2027", Lane: policy.LaneRelease}, {Name: "dev-2026", Lane: policy.LaneDevelopment}, {Name: "firmware-a", Lane: policy.LaneRelease}, {Name: "firmware-b", Lane: policy.LaneRelease}, {Name: "firmware-c", Lane: policy.LaneRelease}, {Name: "firmware-dev", Lane: policy.LaneDevelopment}, {Name: "tools-2026", Lane: policy.LaneRelease}, {Name: "tools-2027", Lane: policy.LaneRelease, From: someMoment}},
		Formats: []string{"sigstore", "raw", "cosign", "cosign-tag"},
	}
	set, err := policy.Load("../../../policies", policy.Skip, v)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{}
		if strictyaml.Decode("x_test.yaml", data, file) != nil {
			return
		}
		_, _ = files{files: []*File{file}}.language("dir", Language{})
		cases, err := file.cases(Language{Configured: true, Vocabulary: v, NoMatch: policy.Skip})
		if err != nil {
			return
		}
		trial := &Trial{Set: set, Cases: cases}
		_ = trial.rulesExist()
		report := trial.Run(nil)
		if report.Passed+report.Failed != len(cases) || len(report.Cases) != len(cases) {
			t.Fatalf("%d cases, %+v", len(cases), report)
		}
		for _, c := range cases {
			a := ask(set, c)
			if gate := a.outcome == "allow" || a.outcome == "refuse"; gate != c.gate {
				t.Fatalf("%q to a case about a gate: %v", a.outcome, c.gate)
			}
			if a.outcome == "allow" && len(c.evidence) == 0 {
				t.Fatal("allowed without evidence")
			}
		}
		if n := Compare(trial, trial).Diff(); len(n.Effects) > 0 {
			t.Fatalf("nothing changed, but %+v", n.Effects)
		}
	})
}
