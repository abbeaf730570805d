package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
		if enforced := !ok || len(demand.Requirements()) > 0; enforced && len(demand.For(ref).Judge(nil)) == 0 {
			t.Fatalf("allowed without evidence (policy found: %v)", ok)
		}
	})
}

// everyTest is a policy with a check of each kind, whose configuration has submitters and managers, and a gate.
const everyTest = `kind: SigningConfiguration
name: c
owner: o
lane: release
managers: {users: [boss], groups: [bosses]}
submitters: {users: [ci], groups: [robots], as: [creator, modifier]}
sign: [{key: release-2026, formats: [raw]}]
---
kind: SigningPolicy
name: p
owner: o
match: {repositories: [r], projects: ["a*"], properties: {stage: [prod]}}
configuration: c
require:
  - {name: property, property: {name: qa, values: ["ok*"]}}
  - {name: build, build: {names: ["b*"], numbers: ["1?"]}}
  - {name: size, size: {min: 1B, max: 1KiB}}
  - {name: file, fileName: {pattern: '[a-z.]+'}}
  - {name: version, version: {in: '([^/]+)/.*', atLeast: 1.2.3}}
  - {name: window, window: {days: [mon, fri], from: "22:00", to: "06:00", zone: Europe/Berlin, after: "2026-01-01T00:00:00Z"}}
  - {name: history, history: {repositories: ["dev-*"]}}
  - {name: signatures, signatures: {keys: [release-2026, release-2027], count: 2, maxAge: 1d}}
  - {name: cel, expression: 'actors.all(a, a.user != "") && artifact.property("qa").size() < 9 && signatures.size() > 0 && now > build.started', message: m, fix: f}
---
kind: GatePolicy
name: g
owner: o
target: {repositories: [r]}
require:
  signatures: [{lane: release, count: 2, maxAge: 30d}]
  forbidden: {lane: development}
  trustLevel: 3
  checks: [{name: property, property: {name: qa, values: ["ok*"]}}]
`

// FuzzDecide holds for any facts: there is exactly one answer, the same each time and after the question was kept; nothing
// is signed or let in on facts that were not looked up, at odds with a role, or without two signatures.
func FuzzDecide(f *testing.F) {
	v := Vocabulary{
		Keys:    []Key{{Name: "release-2026", Lane: LaneRelease}, {Name: "release-2027", Lane: LaneRelease}, {Name: "dev-2026", Lane: LaneDevelopment}},
		Formats: []string{"raw"},
	}
	set, err := build([]source{{name: "p.yaml", short: "p.yaml", full: "p.yaml", data: []byte(everyTest)}}, v)
	require.NoError(f, err)
	set.noMatch = Deny
	all := `{"known":127,"project":"acme","properties":{"stage":["prod"],"qa":["ok"]},"build":{"name":"b1","number":"17","started":"2026-01-02T00:00:00Z"},` +
		`"actors":[{"user":"ci","role":"creator"},{"user":"x","role":"modifier","groups":["robots"]}],"repositories":["dev-a"],` +
		`"signatures":[{"file":"a","format":"raw","key":"release-2026","at":"2026-01-05T21:30:00Z","level":3},{"file":"b","format":"raw","key":"release-2027","at":"2026-01-05T21:30:00Z","level":3}]}`
	f.Add([]byte(all), "1.2.3/a.bin", int64(10), time.Date(2026, 1, 5, 22, 0, 0, 0, time.UTC).Unix())
	f.Add([]byte(strings.Replace(all, "127", "95", 1)), "1.2.3/a.bin", int64(10), int64(1767650400))
	f.Add([]byte(strings.Replace(all, `"x"`, `"Boss"`, 1)), "v1.10.0+x/a.bin", int64(-1), int64(-1))
	var first Facts
	require.NoError(f, json.Unmarshal([]byte(all), &first))
	seed := Request{At: time.Date(2026, 1, 5, 22, 0, 0, 0, time.UTC), Facts: first, Subject: artifact.Subject{
		Kind: artifact.KindFile, Info: artifact.Info{Ref: artifact.Ref{Instance: "main", Repo: "r", Path: "1.2.3/a.bin"}, SHA256: artifact.Digest{1}, Size: 10},
	}}
	require.NotNil(f, set.Decide(seed).Grant, "or nothing is ever granted here")
	f.Fuzz(func(t *testing.T, text []byte, path string, size, at int64) {
		var facts Facts
		ref, err := artifact.NewRef("main", "r", path)
		if err != nil || json.Unmarshal(text, &facts) != nil || at < -1<<33 || at > 1<<33 {
			return
		}
		req := Request{Subject: artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref, SHA256: artifact.Digest{1}, Size: size}}, At: time.Unix(at, 0), Facts: facts}
		d := set.Decide(req)
		if (d.Grant != nil) == (len(d.Denied) > 0) || d.Skip != "" {
			t.Fatalf("not one answer: %+v", d)
		}
		again, err := (*req.Record(d)).Request(ref, artifact.Digest{1})
		require.NoError(t, err)
		if other := set.Decide(again); (other.Grant != nil) != (d.Grant != nil) || !reflect.DeepEqual(other.Denied, d.Denied) {
			t.Fatalf("%+v and then %+v", d.Denied, other.Denied)
		}
		if d.Grant != nil {
			lacking := set.Needs(ref, "") &^ facts.Known
			manager := slices.ContainsFunc(facts.Actors, func(a Actor) bool { return strings.EqualFold(a.User, "boss") && a.Role == Promoter })
			if lacking != 0 || manager || len(facts.Signatures) < 2 || size < 1 || facts.Build == nil {
				t.Fatalf("granted on %s", text)
			}
		}
		demand, _ := set.Demand(ref)
		refused, _ := demand.About(req.Subject, facts, req.At).Weigh(facts.Signatures)
		keys := map[string]bool{}
		for _, e := range facts.Signatures {
			if e.Problem == "" && !e.Kept && e.Level >= 3 {
				keys[e.Key] = true
			}
		}
		if len(refused) == 0 && (!keys["release-2026"] || !keys["release-2027"] || keys["dev-2026"] || facts.Known&NeedProperties == 0) {
			t.Fatalf("let in on %s", text)
		}
	})
}
