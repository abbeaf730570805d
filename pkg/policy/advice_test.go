package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// TestAdviceHelps makes random policies and random evidence, follows the advice of every refusal the way hallmark sign
// would, and holds four promises: advice to sign, when followed, meets the rule that gave it; advice to change a policy
// is given only where signing would not help; a rule that was met stays met; every reason stands for one unmet rule.
func TestAdviceHelps(t *testing.T) {
	t.Parallel()
	const artifactName = "staging/app.tgz"
	var signed, changed, allowed int
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(rng)
		set := policytest.Set(t, policy.Skip, w.vocabulary, map[string]string{"p.yaml": w.yaml()})
		demand, ok := set.Demand(ref(t, "release/app.tgz"))
		require.True(t, ok)
		demand = demand.For(ref(t, artifactName))
		found := w.evidence(rng)
		before := demand.Judge(found)
		if len(before) == 0 {
			allowed++
		}
		after := rules(demand.Judge(append(found, w.sign(set.Explain(ref(t, artifactName), "").Orders)...)))
		for _, r := range before {
			require.NotEmpty(t, r.Rule)
			unmet := rules(before)
			require.Equal(t, 1, unmet[r.Rule], "one reason a rule, seed %d", seed)
			if adviseSigning(r, artifactName) {
				signed++
				require.Zero(t, after[r.Rule], "seed %d: advice %q did not help\n%s", seed, r.Fix, w.yaml())
			} else {
				changed++
				require.NotZero(t, after[r.Rule], "seed %d: signing would have helped, but the advice is %q\n%s", seed, r.Fix, w.yaml())
			}
		}
		for rule := range after {
			require.Contains(t, rules(before), rule, "seed %d: more evidence made it worse", seed)
		}
		// An artifact signed by every key in every format is allowed, whatever rubbish lies beside it.
		var all []policy.Order
		for _, k := range w.vocabulary.Keys {
			all = append(all, policy.Order{Key: k.Name, Formats: w.vocabulary.Formats})
		}
		require.Empty(t, demand.Judge(append(found, w.sign(all)...)), "seed %d", seed)
	}
	for _, n := range []int{signed, changed, allowed} {
		require.Greater(t, n, 50, "the random worlds are too alike: %d %d %d", signed, changed, allowed)
	}
}

func adviseSigning(r reason.Reason, name string) bool {
	return r.Fix == "hallmark sign "+name || strings.HasPrefix(r.Fix, "if the new bytes are meant: hallmark sign "+name)
}

func rules(reasons []reason.Reason) map[string]int {
	out := map[string]int{}
	for _, r := range reasons {
		out[r.Rule]++
	}
	return out
}

// world is a random vocabulary, one signing policy and some gate rules.
type world struct {
	vocabulary policy.Vocabulary
	orders     []policy.Order
	gates      []string
}

func newWorld(rng *rand.Rand) world {
	w := world{vocabulary: policy.Vocabulary{Formats: []string{"sigstore", "raw"}}}
	for i := range 2 + rng.IntN(4) {
		w.vocabulary.Keys = append(w.vocabulary.Keys, policy.Key{Name: fmt.Sprintf("k%d", i), Lane: policy.LaneRelease})
	}
	w.vocabulary.Keys[0].Lane = policy.LaneDevelopment
	release := w.vocabulary.Keys[1:]
	for _, i := range rng.Perm(len(release))[:1+rng.IntN(len(release))] {
		w.orders = append(w.orders, policy.Order{Key: release[i].Name, Formats: w.formats(rng)})
	}
	for range 1 + rng.IntN(4) {
		rule := "lane: release"
		n := len(release)
		if rng.IntN(2) == 0 {
			n = 1 + rng.IntN(len(release))
			var keys []string
			for _, i := range rng.Perm(len(release))[:n] {
				keys = append(keys, release[i].Name)
			}
			rule = "keys: [" + strings.Join(keys, ", ") + "]"
		}
		rule += fmt.Sprintf(", count: %d", 1+rng.IntN(n))
		if rng.IntN(2) == 0 {
			rule += ", formats: [" + strings.Join(w.formats(rng), ", ") + "]"
		}
		w.gates = append(w.gates, rule)
	}
	return w
}

func (w world) formats(rng *rand.Rand) []string {
	return [][]string{{"sigstore"}, {"raw"}, {"sigstore", "raw"}}[rng.IntN(3)]
}

func (w world) yaml() string {
	var b strings.Builder
	b.WriteString("kind: SigningPolicy\nname: s\nowner: o\nmatch: {repositories: [staging]}\nsign:\n")
	for _, o := range w.orders {
		fmt.Fprintf(&b, "  - {key: %s, formats: [%s]}\n", o.Key, strings.Join(o.Formats, ", "))
	}
	b.WriteString("---\nkind: GatePolicy\nname: g\nowner: o\ntarget: {repositories: [release]}\nrequire:\n  signatures:\n")
	for _, g := range w.gates {
		fmt.Fprintf(&b, "    - {%s}\n", g)
	}
	return b.String()
}

func (w world) evidence(rng *rand.Rand) []policy.Evidence {
	problems := []reason.Code{"", "", "", reason.SignatureInvalid, reason.SignatureWrongBytes, reason.SignatureWrongKey, reason.SignatureMissing}
	var out []policy.Evidence
	for i := range rng.IntN(4) {
		e := policy.Evidence{
			File: fmt.Sprintf("f%d", i), Format: w.vocabulary.Formats[rng.IntN(2)],
			Key:     w.vocabulary.Keys[rng.IntN(len(w.vocabulary.Keys))].Name,
			Problem: problems[rng.IntN(len(problems))],
		}
		out = append(out, e)
	}
	return out
}

// sign is what hallmark sign leaves beside the artifact.
func (w world) sign(orders []policy.Order) []policy.Evidence {
	var out []policy.Evidence
	for _, o := range orders {
		for _, f := range o.Formats {
			out = append(out, policy.Evidence{File: "signed." + o.Key + "." + f, Format: f, Key: o.Key})
		}
	}
	return out
}
