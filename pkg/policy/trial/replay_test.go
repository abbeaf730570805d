package trial_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

var day = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// history is what the usual policies decided, as a ledger has it.
type history struct {
	t    testing.TB
	set  *policy.Set
	past []policy.Past
}

func (h *history) add(p policy.Past, asked *policy.Asked) *policy.Past {
	h.t.Helper()
	p.At = day.Add(time.Duration(len(h.past)) * time.Minute)
	p.Instance, p.SHA256, p.PolicySet = "main", artifact.Digest{1}, h.set.Digest()
	if asked != nil {
		text, err := asked.Text()
		require.NoError(h.t, err)
		p.Asked, p.Moment = json.RawMessage(text), p.At
	}
	h.past = append(h.past, p)
	return &h.past[len(h.past)-1]
}

// sign decides on a deployed file.
func (h *history) sign(path string, facts policy.Facts) *policy.Past {
	h.t.Helper()
	ref, err := artifact.ParseRef("main", path)
	require.NoError(h.t, err)
	r := policy.Request{Subject: artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref, SHA256: artifact.Digest{1}, Size: 7}}, Event: "artifact/deployed", At: day, Facts: facts}
	d := h.set.Decide(r)
	p := policy.Past{Kind: policy.PastSigning, Artifact: path, Outcome: "signed", Policy: d.Policy, Rule: d.Rule, Reasons: d.Denied}
	if len(d.Denied) > 0 {
		p.Outcome = "denied"
	} else if d.Skip != "" {
		p.Outcome, p.Reasons = "skipped", []reason.Reason{{Code: reason.NoPolicy, Message: "left alone"}}
	}
	return h.add(p, r.Record(d))
}

// gate judges signatures of staging/a for a target.
func (h *history) gate(target string, looked policy.Looked, keys ...string) *policy.Past {
	h.t.Helper()
	from, _ := artifact.ParseRef("main", "staging/a")
	to, err := artifact.ParseRef("main", target)
	require.NoError(h.t, err)
	d, guarded := h.set.Demand(to)
	d = d.For(from).About(artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: from, SHA256: artifact.Digest{1}}}, policy.Facts{}, day)
	var found []policy.Evidence
	for _, k := range keys {
		for _, f := range []string{"sigstore", "raw"} {
			found = append(found, policy.Evidence{File: "a." + k + "." + f, Format: f, Key: k})
		}
	}
	refused, _ := d.Weigh(found)
	p := policy.Past{Kind: policy.PastGate, Artifact: "staging/a", Target: target, Outcome: "allowed", Rule: d.Rule(), Caller: "ci", Reasons: refused}
	if len(refused) > 0 {
		p.Outcome = "refused"
	}
	if !guarded {
		return h.add(p, nil)
	}
	return h.add(p, d.Record(from, to, found, looked, len(refused)))
}

// thorough is a look at everything there could be.
var thorough = policy.Looked{Keys: []string{"release-2026", "release-2027", "dev-2026"}, Formats: []string{"sigstore", "raw", "cosign"}}

func makeHistory(t testing.TB) []policy.Past {
	t.Helper()
	h := &history{t: t, set: read(t, signed).Set}
	h.sign("staging/a", policy.Facts{})
	h.sign("staging/b", policy.Facts{Known: policy.NeedProperties, Properties: map[string][]string{"qa": {"passed"}}})
	h.sign("staging/tmp/c", policy.Facts{})
	h.sign("staging/clash/"+policytest.HardName, policy.Facts{})
	h.gate("release/a", thorough, "release-2026")
	h.gate("release/b", thorough)
	h.gate("release/c", thorough, "dev-2026")
	h.gate("release/d", policy.Looked{Keys: []string{"release-2026", "release-2027"}, Formats: []string{"sigstore", "raw"}, Early: true}, "release-2026")
	h.gate("vault/e", thorough, "release-2026")
	gone := h.add(policy.Past{Kind: policy.PastGate, Artifact: "staging/gone", Target: "release/gone", Outcome: "refused", Reasons: []reason.Reason{{Code: reason.ArtifactGone}}}, nil)
	require.NotNil(t, gone)
	h.add(policy.Past{Kind: policy.PastSigning, Artifact: "staging/old", Outcome: "signed", Policy: "staging", Rule: "p.yaml:1 (staging)"}, nil)
	changed := h.gate("release/f", thorough, "release-2026") // the policies were content, and it was replaced meanwhile
	changed.Outcome, changed.Reasons = "refused", []reason.Reason{{Code: reason.ArtifactChanged}}
	content := h.sign("staging/g", policy.Facts{}) // the policies were content, and the bytes could not be signed
	content.Outcome, content.Reasons = "denied", []reason.Reason{{Code: reason.ContentRefused}}
	return h.past
}

// export is the decisions in lines.
func export(t testing.TB, past []policy.Past) []byte {
	t.Helper()
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for i := range past {
		require.NoError(t, lines.Encode(policy.PastLine{Decision: &past[i]}))
	}
	require.NoError(t, lines.Encode(policy.PastLine{End: &policy.PastEnd{Next: day}}))
	return out.Bytes()
}

// replay puts the history to the usual policies with a change; inForce are those with another change, or none.
func replay(t *testing.T, old, new string, inForce ...string) (trial.Replayed, string) {
	t.Helper()
	candidate := strings.Replace(policies, old, new, 1)
	require.True(t, old == new || candidate != policies)
	cases := head + signed
	after, err := trial.Read(dir(t, map[string]string{"p.yaml": candidate, "p_test.yaml": cases}), words)
	require.NoError(t, err)
	var before *trial.Trial
	if len(inForce) > 0 {
		before, err = trial.Read(dir(t, map[string]string{"p.yaml": strings.Replace(policies, inForce[0], inForce[1], 1), "p_test.yaml": cases}), words)
		require.NoError(t, err)
	}
	r := trial.NewReplay(before, after)
	_, err = trial.ReadPast("past.ndjson", bytes.NewReader(export(t, makeHistory(t))), r.Add)
	require.NoError(t, err)
	result := r.Result()
	require.Equal(t, result.Decisions, result.Unchanged+result.Already+result.Beside+result.CannotTell+sum(result.Effects), "each is counted once")
	var text bytes.Buffer
	result.Text(&text)
	return result, text.String()
}

func sum(groups []trial.Group) (n int) {
	for _, g := range groups {
		n += g.Count
	}
	return n
}

func TestReplay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string
		inForce  []string
		want     map[string]int
		cannot   []string // facts that are missing, beside those that are missing for every candidate
		already  int
	}{
		"nothing":            {"", "", nil, map[string]int{}, nil, 0},
		"nothing, in force":  {"", "", []string{"", ""}, map[string]int{}, nil, 0},
		"gate opened":        {"    - {lane: release, formats: [sigstore]}\n    - {lane: release, formats: [raw]}\n", "    - {lane: development}\n", nil, map[string]int{trial.NewlyAllowed: 1, trial.NewlyRefused: 1, trial.RefusedOtherwise: 2}, []string{"further signatures"}, 0},
		"gate gone":          {"repositories: [release]", "repositories: [vault]", nil, map[string]int{trial.NewlyRefused: 2, trial.RefusedOtherwise: 3}, nil, 0},
		"wider match":        {"exclude: [tmp/**]", "exclude: [x/**]", nil, map[string]int{trial.NewlySigned: 1}, nil, 0},
		"narrower match":     {"exclude: [tmp/**]", "exclude: [tmp/**, a]", nil, map[string]int{trial.NoLongerSigned: 1}, nil, 0},
		"fewer formats":      {"[sigstore, raw]", "[sigstore]", nil, map[string]int{trial.SignedOtherwise: 2}, nil, 0},
		"clash gone":         {"paths: [clash/**]", "paths: [x/**]", nil, map[string]int{trial.NewlySigned: 1}, nil, 0},
		"a new check":        {"sign: [{key: release-2026", "require: [{name: qa, property: {name: qa, values: [passed]}}]\nsign: [{key: release-2026", nil, map[string]int{}, []string{"properties: not looked up then", "properties: not looked up then"}, 0},
		"a check fails":      {"sign: [{key: release-2026", "require: [{name: small, size: {max: 5B}}]\nsign: [{key: release-2026", nil, map[string]int{trial.NoLongerSigned: 2, trial.RefusedOtherwise: 1}, nil, 0},
		"forbidden":          {"require:\n", "require:\n  forbidden: {lane: development}\n", nil, map[string]int{trial.RefusedOtherwise: 1}, []string{"signatures by dev-2026"}, 0},
		"already in force":   {"exclude: [tmp/**]", "exclude: [x/**]", []string{"exclude: [tmp/**]", "exclude: [y/**]"}, map[string]int{}, nil, 1},
		"undone since":       {"", "", []string{"repositories: [release]", "repositories: [vault]"}, map[string]int{trial.NewlyAllowed: 2, trial.RefusedOtherwise: 2}, nil, 0},
		"the same, in force": {"exclude: [tmp/**]", "exclude: [x/**]", []string{"exclude: [tmp/**]", "exclude: [x/**]"}, map[string]int{trial.NewlySigned: 1}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, text := replay(t, tc.old, tc.new, tc.inForce...)
			got := map[string]int{}
			for _, g := range r.Effects {
				got[g.Effect] += g.Count
			}
			require.Equal(t, tc.want, got, text)
			require.Equal(t, got[trial.NewlyAllowed], r.NewlyAllowed)
			require.Equal(t, tc.already, r.Already)
			require.Equal(t, 13, r.Decisions)
			require.Equal(t, 2+len(tc.cannot), r.CannotTell, text)
			for _, c := range tc.cannot {
				require.Contains(t, text, "for want of "+c)
			}
			require.Contains(t, text, "recorded before facts were kept")
			require.Equal(t, 1, r.Beside)
		})
	}
}

// What people and pipelines read.
func TestReplayGolden(t *testing.T) {
	t.Parallel()
	a, err := trial.Read(dir(t, map[string]string{"p.yaml": strings.Replace(policies, "exclude: [tmp/**]", "exclude: [a]", 1), "p_test.yaml": head + signed}), words)
	require.NoError(t, err)
	b, err := trial.Read(dir(t, map[string]string{"p.yaml": strings.Replace(policies, "    - {lane: release, formats: [sigstore]}\n    - {lane: release, formats: [raw]}\n", "    - {lane: development}\n", 1), "p_test.yaml": head + signed}), words)
	require.NoError(t, err)
	a.Dir, b.Dir = "policies", "candidate"
	r := trial.NewReplay(a, b)
	for _, p := range makeHistory(t) {
		require.NoError(t, r.Add(p))
	}
	require.NoError(t, r.Inventory("paths.txt", strings.NewReader("staging/a\nrelease/x\n")))
	var text bytes.Buffer
	r.Result().Text(&text)
	asJSON, err := json.MarshalIndent(r.Result(), "", "  ")
	require.NoError(t, err)
	require.NotContains(t, string(asJSON), "null")
	for name, got := range map[string][]byte{"replay.golden": text.Bytes(), "replay.json": append(asJSON, '\n')} {
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}

	none := trial.NewReplay(nil, b)
	require.ErrorContains(t, none.Inventory("x", strings.NewReader("")), "none are given")
	text.Reset()
	none.Result().Text(&text)
	require.Contains(t, text.String(), "decisions  none: nothing was decided yet")
}

// What is no export is refused with its line, and what was cut off is not taken for whole.
func TestReadPast(t *testing.T) {
	t.Parallel()
	sound := string(export(t, makeHistory(t)[:1]))
	decision, end, _ := strings.Cut(sound, "\n")
	read := func(text string) error {
		_, err := trial.ReadPast("x.ndjson", strings.NewReader(text), func(policy.Past) error { return nil })
		return err
	}
	require.NoError(t, read(sound))
	require.NoError(t, read("\n"+sound+"whatever follows the end"))
	require.ErrorIs(t, read(decision+"\n"), io.ErrUnexpectedEOF)
	require.ErrorIs(t, read(""), io.ErrUnexpectedEOF)
	for text, said := range map[string]string{
		"{":                 "x.ndjson:1: this is no line of decisions",
		decision + "\n[]":   "x.ndjson:2: this is no line",
		"{}\n" + end:        "either decision or end",
		"{\"decision\":{}}": "kind is \"\"",
		strings.Replace(sound, `"signing"`, `"gate"`, 1):         "outcome is \"signed\"",
		strings.Replace(sound, `"signing"`, `"wishing"`, 1):      "kind is \"wishing\"",
		strings.Replace(sound, `staging/a`, `staging/../a`, 1):   "artifact: ",
		strings.Replace(sound, `2026-11-20T`, `0001-01-01T`, 1):  "",
		strings.Repeat("x", 1<<20):                               "longer than",
		strings.Replace(sound, `"sha256":"01`, `"sha256":"z`, 1): "no line of decisions",
	} {
		err := read(text)
		if said == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, said)
	}
}

// FuzzReplay holds for any bytes as decisions: they are refused, or each is counted once.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"decision":{"kind":"gate","at":"2026-11-20T10:00:00Z","instance":"main","artifact":"staging/a","target":"release/a","outcome":"refused","asked":{"kind":"file","size":1,"refused":9,"evidence":[{"format":"raw","key":"release-2026"}]}}}` + "\n" + `{"end":{}}`))
	f.Add([]byte(`{"decision":{"kind":"signing","at":"2026-11-20T10:00:00Z","instance":"main","artifact":"staging/a","outcome":"signed","asked":{"kind":"image","size":-1,"whole":"x/y","granted":[{"key":"","formats":null}],"facts":{"known":255,"properties":{"a":null}}}}}` + "\n" + `{"end":{}}`))
	f.Add([]byte(`{"decision":{"kind":"signing","at":"2026-11-20T10:00:00Z","instance":"main","artifact":"staging/a","outcome":"denied","asked":null,"reasons":[{}]}}`))
	candidate := read(f, signed)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := trial.NewReplay(candidate, candidate)
		n := 0
		_, _ = trial.ReadPast("x", bytes.NewReader(data), func(p policy.Past) error {
			err := r.Add(p)
			if n++; err != nil {
				n--
			}
			return err
		})
		result := r.Result()
		counted := result.Unchanged + result.Already + result.Beside + result.CannotTell + sum(result.Effects)
		if counted != n {
			t.Fatalf("%d of %d counted", counted, n)
		}
		result.Text(io.Discard)
	})
}
