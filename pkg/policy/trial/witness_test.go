package trial

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// randomDemand makes up gates over four keys and two formats.
func randomDemand(t *testing.T, r *rand.Rand) policy.Demand {
	t.Helper()
	v := policy.Vocabulary{Formats: []string{"sigstore", "raw"}}
	names := []string{"a", "b", "c", "d"}
	for _, k := range names {
		v.Keys = append(v.Keys, policy.Key{Name: k, Lane: policy.LaneRelease})
	}
	var yaml strings.Builder
	yaml.WriteString("kind: GatePolicy\nname: g\nowner: o\ntarget: {repositories: [r]}\nrequire:\n  signatures:\n")
	for range 1 + r.IntN(3) {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		keys := names[:1+r.IntN(len(names))]
		formats := [][]string{{"sigstore"}, {"raw"}, {"sigstore", "raw"}}[r.IntN(3)]
		fmt.Fprintf(&yaml, "    - {keys: [%s], count: %d, formats: [%s]}\n", strings.Join(keys, ", "), 1+r.IntN(len(keys)), strings.Join(formats, ", "))
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(yaml.String()), 0o600))
	set, err := policy.Load(dir, policy.Skip, v)
	require.NoError(t, err)
	repo := "r"
	if r.IntN(20) == 0 {
		repo = "unguarded"
	}
	c := &reader{l: Language{}}
	demand, _ := set.Demand(c.ref(text{}, text{Value: repo + "/x"}))
	require.Empty(t, c.errs)
	return demand
}

// A gate that opens is never missed: whenever any of the 256 sets of signatures fares otherwise, a witness is found, and
// what is found does fare otherwise and has nothing to spare.
func TestWitnessIsExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 2))
	opened, same := 0, 0
	for range 120 {
		old, new := randomDemand(t, r), randomDemand(t, r)
		all := everything(someMoment, old, new)
		opens := false
		for mask := range 1 << len(all) {
			var some []policy.Evidence
			for i, e := range all {
				if mask&(1<<i) != 0 {
					some = append(some, e)
				}
			}
			opens = opens || len(old.Judge(some)) > 0 && len(new.Judge(some)) == 0
		}
		w := witnessOf(old, new)
		require.False(t, w.unsure)
		require.Equal(t, opens, w.opens != nil, "%v → %v", old.Requirements(), new.Requirements())
		if !opens {
			same++
			continue
		}
		opened++
		require.NotEmpty(t, old.Judge(w.opens))
		require.Empty(t, new.Judge(w.opens))
		for i := range w.opens {
			less := append(append([]policy.Evidence{}, w.opens[:i]...), w.opens[i+1:]...)
			require.NotEmpty(t, new.Judge(less), "%v has something to spare", w.opens)
		}
	}
	require.Greater(t, opened, 15)
	require.Greater(t, same, 15)
}

// Where there are too many combinations to try, that is said and not taken for "none".
func TestWitnessIsBounded(t *testing.T) {
	t.Parallel()
	demand := func(count int) policy.Demand {
		var v policy.Vocabulary
		v.Formats = []string{"raw"}
		for i := range 24 {
			v.Keys = append(v.Keys, policy.Key{Name: fmt.Sprintf("k%d", i), Lane: policy.LaneRelease})
		}
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(fmt.Sprintf(
			"kind: GatePolicy\nname: g\nowner: o\ntarget: {repositories: [r]}\nrequire: {signatures: [{lane: release, count: %d}]}\n", count)), 0o600))
		set, err := policy.Load(dir, policy.Skip, v)
		require.NoError(t, err)
		d, _ := set.Demand((&reader{}).ref(text{}, text{Value: "r/x"}))
		return d
	}
	w := witnessOf(demand(12), demand(12))
	require.True(t, w.unsure)
	require.Nil(t, w.opens)
	w = witnessOf(demand(12), demand(11))
	require.Len(t, w.opens, 11, "the first combination tells")
}

// demandOf loads one gate. The key r was retired before the moment of cases.
func demandOf(t *testing.T, demands string) policy.Demand {
	t.Helper()
	v := policy.Vocabulary{Formats: []string{"raw"}, Keys: []policy.Key{{Name: "r", Lane: policy.LaneRelease, Retired: someMoment.AddDate(-1, 0, 0)}}}
	for _, k := range []string{"a", "b", "c"} {
		v.Keys = append(v.Keys, policy.Key{Name: k, Lane: policy.LaneRelease})
	}
	dir := t.TempDir()
	yaml := "kind: GatePolicy\nname: g\nowner: o\ntarget: {repositories: [r]}\n" + demands + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(yaml), 0o600))
	set, err := policy.Load(dir, policy.Skip, v)
	require.NoError(t, err)
	demand, _ := set.Demand((&reader{}).ref(text{}, text{Value: "r/x"}))
	return demand
}

func TestWitnessSeesMoreThanKeys(t *testing.T) {
	t.Parallel()
	const plain = "require: {signatures: [{keys: [a, b], count: 1}]}"
	for name, tc := range map[string]struct{ old, new, opens, closes string }{
		"older":         {"require: {signatures: [{keys: [a, b], count: 1, maxAge: 10d}]}", "require: {signatures: [{keys: [a, b], count: 1, maxAge: 20d}]}", "b (raw, 240h0m1s old)", ""},
		"any age":       {"require: {signatures: [{keys: [a, b], count: 1, maxAge: 10d}]}", plain, "b (raw, 240h0m1s old)", ""},
		"less trust":    {"require: {signatures: [{keys: [a, b], count: 1}], trustLevel: 3}", plain, "b (raw, trust level 2)", ""},
		"more trust":    {plain, "require: {signatures: [{keys: [a, b], count: 1}], trustLevel: 3}", "", "b (raw, trust level 2)"},
		"not forbidden": {"require: {signatures: [{keys: [a, b], count: 1}], forbidden: {keys: [c]}}", plain, "b (raw) and c (raw)", ""},
		"forbidden":     {plain, "require: {signatures: [{keys: [a, b], count: 1}], forbidden: {keys: [c]}}", "", "b (raw) and c (raw)"},
		"warns":         {plain, "mode: warn\n" + plain, "no signature", ""},
		"the same":      {plain, plain, "", ""},
	} {
		w := witnessOf(demandOf(t, tc.old), demandOf(t, tc.new))
		told := func(found []policy.Evidence) string {
			if found == nil {
				return ""
			}
			return evidenceText(found, someMoment)
		}
		require.Equal(t, tc.opens, told(w.opens), name)
		require.Equal(t, tc.closes, told(w.closes), name)
		require.False(t, w.unsure, name)
	}
	w := witnessOf(demandOf(t, "require: {signatures: [{keys: [a]}], checks: [{name: c, size: {max: 1KiB}}, {name: d, size: {min: 1B}}]}"),
		demandOf(t, "require: {signatures: [{keys: [a]}], checks: [{name: e, size: {min: 1B}}]}"))
	require.Equal(t, []string{"at most 1KiB"}, w.dropped)
}

// What a retired key signed in its time still opens gates that name it.
func TestWitnessOfRetiredKeys(t *testing.T) {
	t.Parallel()
	with, without := demandOf(t, "require: {signatures: [{keys: [a, r], count: 1}]}"), demandOf(t, "require: {signatures: [{keys: [a]}]}")
	w := witnessOf(without, with)
	require.Equal(t, "r (raw)", evidenceText(w.opens, w.opensAt))
	require.True(t, w.opensAt.Before(someMoment.AddDate(-1, 0, 0)))
	require.Empty(t, with.At(w.opensAt).Judge(w.opens))
	require.NotEmpty(t, without.At(w.opensAt).Judge(w.opens))
	require.Nil(t, w.closes)

	w = witnessOf(demandOf(t, "require: {signatures: [{keys: [a]}], forbidden: {keys: [r]}}"), without)
	require.Equal(t, "a (raw) and r (raw)", evidenceText(w.opens, w.opensAt))
}
