package trial_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

const cases = head + signed + `  # the archive as it stands
gates:
  - {name: both, target: release/a, evidence: [{key: release-2026, format: sigstore}, {key: release-2026, format: raw}], expect: {outcome: allow}}
`

// compare changes the policies of the usual directory and compares it with itself.
func compare(t *testing.T, old, new, inventory string) (trial.Diff, string) {
	t.Helper()
	changed := strings.Replace(policies, old, new, 1)
	require.True(t, old == new || changed != policies)
	a, b, err := trial.ReadPair(dir(t, map[string]string{"p.yaml": policies}), dir(t, map[string]string{"p.yaml": changed, "p_test.yaml": cases}), words)
	require.NoError(t, err)
	c := trial.Compare(a, b)
	require.NoError(t, c.Inventory("paths.txt", strings.NewReader(inventory)))
	var text bytes.Buffer
	c.Diff().Text(&text)
	return c.Diff(), text.String()
}

func effects(d trial.Diff) map[string]int {
	out := map[string]int{}
	for _, g := range d.Effects {
		out[g.Effect] = g.Count
	}
	return out
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, old, new, inventory string
		change                    []string
		want                      map[string]int
		text                      string
	}{
		{"nothing", "", "", "staging/a\nrelease/b\n", nil, map[string]int{}, "none added, removed or changed"},
		{"one line moved", "kind: SigningPolicy\nname: staging", "\n\nkind: SigningPolicy\nname: staging", "staging/a\n", nil, map[string]int{}, "none added, removed or changed"},
		{"wider match", "[staging], exclude", "[staging, other], exclude", "other/a\nother/tmp/b\n", []string{"changed staging"}, map[string]int{trial.NewlySigned: 1}, "other/a, asked for by name\n    before  skip\n    after   sign with release-2026 (sigstore, raw)\n    from    inventory paths.txt:1"},
		{"narrower match", "exclude: [tmp/**]", "exclude: [a]", "staging/tmp/b\n", []string{"changed staging"}, map[string]int{trial.NewlySigned: 1, trial.NoLongerSigned: 1}, "- match: exclude tmp/**\n    + match: exclude a\n"},
		{"fewer formats", "[sigstore, raw]", "[sigstore]", "", []string{"changed staging"}, map[string]int{trial.SignedOtherwise: 1}, "signed otherwise: 1"},
		{"conflict gone", "paths: [clash/**]", "paths: [clish/**]", "staging/clash/" + policytest.HardName + "\nstaging/clish/" + policytest.HardName + "\n", []string{"changed clash"}, map[string]int{trial.NewlySigned: 1, trial.NoLongerSigned: 1}, "policy-conflict"},
		{"clash elsewhere", "[staging], paths: [clash/**]", "[staging], paths: [tmp/**]", "staging/tmp/" + policytest.HardName + "\nstaging/clash/" + policytest.HardName, []string{"changed clash"}, map[string]int{trial.NewlySigned: 2}, ""},
		{"gate opened", "    - {lane: release, formats: [raw]}\n", "", "release/b\nrelease/c\nstaging/c\n", []string{"changed release"}, map[string]int{trial.NewlyAllowed: 3}, "release/b, release-2027 (sigstore)\n    before  refuse (signature-missing)\n    after   allow\n    from    inventory paths.txt:1"},
		{"gate opened to a development key", "{lane: release, formats: [raw]}", "{lane: development, formats: [raw]}", "", []string{"changed release"}, map[string]int{trial.NewlyAllowed: 1, trial.NewlyRefused: 2}, "dev-2026 (raw) and release-2027 (sigstore)"},
		{"gate closed", "{lane: release, formats: [raw]}", "{lane: release, formats: [raw], count: 2}", "", []string{"changed release"}, map[string]int{trial.NewlyRefused: 2}, "found     1 of 2: signed by release-2026"},
		{"gate gone", "repositories: [release]", "repositories: [vault]", "vault/x\n", []string{"changed release"}, map[string]int{trial.NewlyAllowed: 1, trial.NewlyRefused: 2}, "no-gate-policy"},
		{"renamed", "name: clash", "name: crash", "staging/clash/" + policytest.HardName + "\n", []string{"added crash", "removed clash"}, map[string]int{}, "nothing newly allowed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, text := compare(t, tc.old, tc.new, tc.inventory)
			var change []string
			for _, c := range d.Policies {
				change = append(change, c.Change+" "+c.Policy)
			}
			require.Equal(t, tc.change, change)
			require.Equal(t, tc.want, effects(d), text)
			require.Equal(t, tc.want[trial.NewlyAllowed], d.NewlyAllowed)
			require.Contains(t, text, tc.text)
			require.Equal(t, 2, d.Cases)
			require.Equal(t, strings.Count(strings.TrimSpace(tc.inventory)+"\n", "\n"), max(d.Paths, 1))
			require.False(t, d.Incomplete)
			require.Empty(t, d.Settings)
		})
	}
}

// A case that stands on both sides counts once, one that only the old side has is asked, too; the words of each side are
// its own.
func TestCompareBothSidesCases(t *testing.T) {
	t.Parallel()
	gone := "  - {name: of old, artifact: staging/old, expect: {outcome: skip}}\n"
	old := dir(t, map[string]string{"p.yaml": policies, "p_test.yaml": strings.Replace(cases, signed, "signing:\n  - "+strings.TrimSuffix(strings.TrimPrefix(signed, "signing: ["), "]\n")+"\n"+gone, 1)})
	next := strings.Replace(head, "release-2027, lane: release", "release-2028, lane: release", 1)
	new := dir(t, map[string]string{"p.yaml": strings.Replace(policies, "exclude: [tmp/**]", "exclude: [old]", 1), "p_test.yaml": strings.Replace(strings.Replace(cases, head, next, 1), "noMatch: skip", "noMatch: deny", 1)})
	a, b, err := trial.ReadPair(old, new, words)
	require.NoError(t, err)
	d := trial.Compare(a, b).Diff()
	require.Equal(t, 3, d.Cases)
	require.Equal(t, []string{"noMatch was skip and is deny", "there was a release key release-2027", "there is a release key release-2028"}, d.Settings)
	require.Equal(t, map[string]int{trial.NoLongerSigned: 1, trial.NewlyAllowed: 1, trial.NewlyRefused: 1}, effects(d), "a key of the lane came, and one went")
}

func TestInventoryIsBounded(t *testing.T) {
	t.Parallel()
	var paths strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&paths, "other/%d\n", i)
	}
	d, text := compare(t, "[staging], exclude", "[other], exclude", "# all of it\n\n"+paths.String())
	require.Equal(t, 20_000, d.Paths)
	require.Equal(t, 20_000, effects(d)[trial.NewlySigned])
	require.Less(t, len(text), 5_000)
	require.Contains(t, text, "and 19995 more")

	same, err := trial.Read(dir(t, map[string]string{"p.yaml": policies, "p_test.yaml": cases}), words)
	require.NoError(t, err)
	c := trial.Compare(same, same)
	require.ErrorContains(t, c.Inventory("paths.txt", strings.NewReader("staging/a\n\nstaging/../x\n")), "paths.txt:3: ")
	require.ErrorContains(t, c.Inventory("paths.txt", strings.NewReader("staging/a\n"+strings.Repeat("x", 5000))), "paths.txt:2: the line is longer than 4096 bytes")
}

// What an inventory says by name is taken for what it is.
func TestInventoryKnowsKinds(t *testing.T) {
	t.Parallel()
	_, text := compare(t, "[staging], exclude: [tmp/**], events: [artifact/deployed]}\nsign: [{key: release-2026, formats: [sigstore, raw]}]",
		"[staging, oci], exclude: [tmp/**], events: [artifact/deployed]}\nsign: [{key: release-2026, formats: [sigstore, raw, cosign]}]", "oci/team/app/1.0/manifest.json\noci/b\n")
	require.Contains(t, text, "oci/team/app/1.0/manifest.json, asked for by name\n    before  skip\n    after   sign with release-2026 (cosign)")
	require.Contains(t, text, "oci/b, asked for by name\n    before  skip\n    after   sign with release-2026 (sigstore, raw)")
}
