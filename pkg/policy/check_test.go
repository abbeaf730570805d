package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// everything is what can be known of facts.
const everything = policy.NeedProperties | policy.NeedProject | policy.NeedBuild | policy.NeedActors | policy.NeedGroups | policy.NeedRepositories | policy.NeedSignatures

// sunday is the moment of the requests: 2026-11-22 03:30 in UTC, a Sunday.
var sunday = time.Date(2026, 11, 22, 3, 30, 0, 0, time.UTC)

// asked is a request for staging/app/1.4.2/app.tgz of 1000 bytes with all facts known.
func asked(t *testing.T, facts policy.Facts) policy.Request {
	t.Helper()
	facts.Known = everything
	return policy.Request{
		Subject: artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref(t, "staging/app/1.4.2/app.tgz"), SHA256: artifact.Digest{1}, Size: 1000}},
		At:      sunday, Facts: facts,
	}
}

// requiring is a policy for everything in staging that requires one check.
func requiring(check string) string {
	return "kind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [staging]}\nrequire:\n  - " + check + "\nsign: [{key: release-2026, formats: [raw]}]\n"
}

func TestChecks(t *testing.T) {
	t.Parallel()
	yes := policy.Facts{
		Properties: map[string][]string{"qa": {"open", "approved"}}, Project: "acme", Repositories: []string{"dev-local", "staging"},
		Build:      &policy.BuildFacts{Name: "app-build", Number: "17"},
		Actors:     []policy.Actor{{User: "ci", Role: policy.Creator, Groups: []string{"robots"}}},
		Signatures: []policy.Evidence{{Key: "dev-2026", Format: "sigstore", At: sunday.Add(-time.Hour)}},
	}
	for name, tc := range map[string]struct {
		check    string
		no       policy.Facts // that do not meet it; yes does
		at       time.Time    // when it is not met; zero: never
		code     reason.Code
		neverMet bool
	}{
		"property":         {check: `{name: c, property: {name: qa, values: [approved]}}`, no: policy.Facts{Properties: map[string][]string{"qa": {"open"}}}},
		"property is set":  {check: `{name: c, property: {name: qa}}`},
		"build":            {check: `{name: c, build: {names: ["app-*"], numbers: ["1?"]}}`, no: policy.Facts{Build: &policy.BuildFacts{Name: "app-build", Number: "27"}}},
		"any build":        {check: `{name: c, build: {}}`},
		"size":             {check: `{name: c, size: {max: 1KB}}`, neverMet: false},
		"too large":        {check: `{name: c, size: {max: 999B}}`, neverMet: true},
		"too small":        {check: `{name: c, size: {min: 1KiB}}`, neverMet: true},
		"file name":        {check: `{name: c, fileName: {pattern: '[a-z]+\.tgz'}}`},
		"other file name":  {check: `{name: c, fileName: {pattern: '[a-z]+'}}`, neverMet: true},
		"version":          {check: `{name: c, version: {in: 'app/([^/]+)/.*', pattern: '[0-9.]+', atLeast: 1.4.2}}`},
		"older version":    {check: `{name: c, version: {in: 'app/([^/]+)/.*', atLeast: 1.10.0}}`, neverMet: true},
		"no version":       {check: `{name: c, version: {in: 'lib/([^/]+)/.*', pattern: '.*'}}`, neverMet: true},
		"window":           {check: `{name: c, window: {days: [sat, sun], from: "03:00", to: "04:00"}}`, at: sunday.Add(time.Hour)},
		"window at night":  {check: `{name: c, window: {days: [sat], from: "22:00", to: "06:00"}}`, at: sunday.Add(24 * time.Hour)},
		"window elsewhere": {check: `{name: c, window: {from: "22:00", to: "23:00", zone: America/New_York}}`, at: sunday.Add(time.Hour)},
		"season":           {check: `{name: c, window: {after: "2026-11-22T03:30:00Z", before: "2026-12-01T00:00:00Z"}}`, at: sunday.Add(-time.Second)},
		"after the season": {check: `{name: c, window: {before: "2026-12-01T00:00:00Z"}}`, at: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		"history":          {check: `{name: c, history: {repositories: ["dev-*"]}}`, no: policy.Facts{Repositories: []string{"staging"}}},
		"signature":        {check: `{name: c, signatures: {keys: [dev-2026]}}`, code: reason.SignatureMissing},
		"fresh signature":  {check: `{name: c, signatures: {keys: [dev-2026], maxAge: 2h}}`, at: sunday.Add(2 * time.Hour), code: reason.SignatureStale},
		"other signature":  {check: `{name: c, signatures: {keys: [release-2026]}}`, neverMet: true, code: reason.KeyDevelopment},
		"expression":       {check: `{name: c, expression: '"approved" in artifact.properties["qa"]', message: m, fix: f}`, no: policy.Facts{Properties: map[string][]string{"qa": {"open"}}}},
		"no answer":        {check: `{name: c, expression: 'artifact.properties["absent"].size() > 0', message: m, fix: f}`, neverMet: true},
		"first property":   {check: `{name: c, expression: 'artifact.property("qa") == "open" && artifact.property("absent") == ""', message: m, fix: f}`},
		"all variables": {check: `{name: c, message: m, fix: f, expression: 'artifact.name == "app.tgz" && artifact.size == 1000 && artifact.project == "acme" && build.name.startsWith("app") && build.number == "17"
      && actors.exists(a, a.role == "creator" && "robots" in a.groups) && signatures.exists(s, s.key == "dev-2026" && s.level >= 2 && now - s.made < duration("2h")) && "dev-local" in repositories && event == "" && artifact.kind == "file" && artifact.sha256.startsWith("01")'}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, policy.Skip, requiring(tc.check))
			met := set.Decide(asked(t, yes))
			if !tc.neverMet {
				require.Empty(t, met.Denied)
				require.NotNil(t, met.Grant)
			}
			no := asked(t, tc.no)
			if !tc.at.IsZero() {
				no = asked(t, yes)
				no.At = tc.at
			}
			if tc.neverMet {
				no = asked(t, yes)
			}
			d := set.Decide(no)
			if name == "size" || name == "file name" || name == "version" { // met whatever the facts are
				require.NotNil(t, d.Grant)
				return
			}
			require.Nil(t, d.Grant)
			require.Len(t, d.Denied, 1)
			r := d.Denied[0]
			want := tc.code
			if want == "" {
				want = reason.CheckFailed
			}
			require.Equal(t, want, r.Code)
			require.Equal(t, "policies/p.yaml:6 (p/c)", r.Rule)
			require.True(t, strings.HasPrefix(r.Message, "c: "), r.Message)
			for _, field := range []string{r.Found, r.Expected, r.Fix, r.Who} {
				require.NotEmpty(t, field, "%+v", r)
			}

			unknown := no
			unknown.Facts = policy.Facts{}
			if set.Needs(no.Subject.Ref, "") != 0 {
				require.Equal(t, []reason.Code{reason.Undecided}, codesOf(set.Decide(unknown).Denied), "what was not looked up is a no")
			}
		})
	}
}

func codesOf(reasons []reason.Reason) []reason.Code {
	var out []reason.Code
	for _, r := range reasons {
		out = append(out, r.Code)
	}
	return out
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	for check, want := range map[string]policy.Needs{
		`{name: c, size: {max: 1KB}}`:                                                          0,
		`{name: c, property: {name: qa}}`:                                                      policy.NeedProperties,
		`{name: c, expression: 'artifact.size > 1', message: m, fix: f}`:                       0,
		`{name: c, expression: 'artifact.property("x") == ""', message: m, fix: f}`:            policy.NeedProperties,
		`{name: c, expression: 'artifact.project == build.name', message: m, fix: f}`:          policy.NeedProject | policy.NeedBuild,
		`{name: c, expression: '[artifact].exists(a, a.size > 1)', message: m, fix: f}`:        policy.NeedProperties | policy.NeedProject,
		`{name: c, expression: 'actors.size() + 1 > repositories.size()', message: m, fix: f}`: policy.NeedActors | policy.NeedGroups | policy.NeedRepositories,
	} {
		set := load(t, policy.Skip, requiring(check))
		require.Equal(t, want, set.Needs(ref(t, "staging/a"), "artifact/deployed"), check)
		require.Zero(t, set.Needs(ref(t, "elsewhere/a"), ""), check)
	}
}

func TestWarn(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, strings.Replace(requiring(`{name: c, size: {max: 1B}}`), "owner: o", "owner: o\nmode: warn", 1)+`---
kind: GatePolicy
name: g
owner: o
mode: warn
target: {repositories: [staging]}
require:
  signatures: [{keys: [release-2026]}]
  checks: [{name: small, size: {max: 1B}}]
`)
	req := asked(t, policy.Facts{})
	d := set.Decide(req)
	require.NotNil(t, d.Grant)
	require.Empty(t, d.Denied)
	require.Equal(t, []reason.Code{reason.CheckFailed}, codesOf(d.Warnings))

	demand, guarded := set.Demand(req.Subject.Ref)
	require.True(t, guarded)
	refused, warnings := demand.About(req.Subject, req.Facts, req.At).Weigh(nil)
	require.Empty(t, refused)
	require.Equal(t, []reason.Code{reason.SignatureMissing, reason.CheckFailed}, codesOf(warnings))
	require.Empty(t, demand.Judge(nil))
}

const configured = `kind: SigningConfiguration
name: releases
owner: security
lane: release
managers: {users: [boss], groups: [managers]}
submitters: {users: [ci], groups: [robots], as: [creator, modifier]}
sign: [{key: release-2026, formats: [raw]}]
---
kind: SigningPolicy
name: p
owner: o
match: {repositories: [staging]}
configuration: releases
`

func TestSubmitters(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, configured)
	require.Equal(t, policy.NeedActors|policy.NeedGroups, set.Needs(ref(t, "staging/a"), ""))
	for name, tc := range map[string]struct {
		actors []policy.Actor
		ok     bool
	}{
		"a submitter":                      {[]policy.Actor{{User: "ci", Role: policy.Creator}, {User: "ci", Role: policy.Modifier}}, true},
		"one of a group":                   {[]policy.Actor{{User: "r2", Role: policy.Modifier, Groups: []string{"robots"}}}, true},
		"another role does not count":      {[]policy.Actor{{User: "ci", Role: policy.Creator}, {User: "eve", Role: policy.Promoter}}, true},
		"somebody else wrote it last":      {[]policy.Actor{{User: "ci", Role: policy.Creator}, {User: "eve", Role: policy.Modifier}}, false},
		"nobody":                           {nil, false},
		"nobody in those roles":            {[]policy.Actor{{User: "ci", Role: policy.Promoter}}, false},
		"a nameless one":                   {[]policy.Actor{{User: "", Role: policy.Creator}}, false},
		"a manager is no submitter":        {[]policy.Actor{{User: "ci", Role: policy.Creator, Groups: []string{"managers"}}}, false},
		"a user called like the group":     {[]policy.Actor{{User: "robots", Role: policy.Creator}}, false},
		"a group called like the user":     {[]policy.Actor{{User: "eve", Role: policy.Creator, Groups: []string{"ci"}}}, false},
		"a submitter cannot cover another": {[]policy.Actor{{User: "eve", Role: policy.Creator}, {User: "ci", Role: policy.Modifier}}, false},
	} {
		d := set.Decide(asked(t, policy.Facts{Actors: tc.actors}))
		require.Equal(t, tc.ok, d.Grant != nil, name)
		if !tc.ok {
			require.Equal(t, []reason.Code{reason.TriggerRefused}, codesOf(d.Denied), name)
			require.NotEmpty(t, d.Denied[0].Fix, name)
		}
	}
	unknown := asked(t, policy.Facts{})
	unknown.Facts.Known = policy.NeedActors
	require.Equal(t, []reason.Code{reason.Undecided}, codesOf(set.Decide(unknown).Denied))
}

func TestMatchFacts(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Deny, `kind: SigningPolicy
name: p
owner: o
match: {repositories: [staging], kinds: [file], projects: [acme], properties: {channel: [stable, "beta-*"]}}
sign: [{key: release-2026, formats: [raw]}]
`)
	good := policy.Facts{Project: "acme", Properties: map[string][]string{"channel": {"x", "beta-2"}}}
	require.NotNil(t, set.Decide(asked(t, good)).Grant)
	for _, bad := range []policy.Facts{{Project: "acme"}, {Project: "other", Properties: good.Properties}, {Properties: good.Properties}} {
		require.Equal(t, []reason.Code{reason.NoPolicy}, codesOf(set.Decide(asked(t, bad)).Denied))
	}
	image := asked(t, good)
	image.Subject.Kind = artifact.KindBundle
	require.Nil(t, set.Decide(image).Grant)
	unknown := asked(t, good)
	unknown.Facts.Known = policy.NeedProject
	require.Equal(t, []reason.Code{reason.Undecided}, codesOf(set.Decide(unknown).Denied))
	require.Contains(t, set.Explain(image.Subject.Ref, "").Text(), "if the kind is file and the project is acme and the property channel is stable or beta-*")
	require.True(t, set.Covers("main", "staging", "a", "artifact/deployed"))
}

func TestDemandDims(t *testing.T) {
	t.Parallel()
	v := vocabulary
	v.Keys = append([]policy.Key{}, v.Keys...)
	for i := range v.Keys {
		if v.Keys[i].Name == "release-2027" {
			v.Keys[i].Retired = sunday.Add(-time.Hour)
		}
	}
	set := policytest.Set(t, policy.Skip, v, map[string]string{"p.yaml": `kind: GatePolicy
name: fresh
owner: o
target: {repositories: [fresh]}
require: {signatures: [{lane: release, count: 1, maxAge: 1d}], forbidden: {lane: development}}
---
kind: GatePolicy
name: chained
owner: o
target: {repositories: [chained]}
require: {signatures: [{keys: [release-2026]}], trustLevel: 3}
---
kind: GatePolicy
name: less
owner: o
target: {repositories: [both]}
require: {signatures: [{lane: release, count: 1}]}
---
kind: GatePolicy
name: more
owner: o
target: {repositories: [both]}
require: {signatures: [{lane: release, count: 2}, {keys: [release-2026], formats: [raw]}]}
`})
	by := func(key string, at time.Time, level int) policy.Evidence {
		return policy.Evidence{File: "f", Format: "sigstore", Key: key, At: at, Level: level}
	}
	for name, tc := range map[string]struct {
		target string
		found  []policy.Evidence
		want   []reason.Code
	}{
		"fresh":                {"fresh/a", []policy.Evidence{by("release-2026", sunday.Add(-23*time.Hour), 0)}, nil},
		"stale":                {"fresh/a", []policy.Evidence{by("release-2026", sunday.Add(-25*time.Hour), 0)}, []reason.Code{reason.SignatureStale}},
		"undated":              {"fresh/a", []policy.Evidence{by("release-2026", time.Time{}, 0)}, []reason.Code{reason.SignatureUndated}},
		"retired after":        {"fresh/a", []policy.Evidence{by("release-2027", sunday.Add(-time.Minute), 0)}, []reason.Code{reason.KeyRetired}},
		"retired, undated":     {"fresh/a", []policy.Evidence{by("release-2027", time.Time{}, 0)}, []reason.Code{reason.KeyRetired}},
		"retired, in its time": {"fresh/a", []policy.Evidence{by("release-2027", sunday.Add(-2*time.Hour), 0)}, nil},
		"forbidden":            {"fresh/a", []policy.Evidence{by("release-2026", sunday, 0), by("dev-2026", sunday, 0)}, []reason.Code{reason.KeyForbidden}},
		"chained":              {"chained/a", []policy.Evidence{by("release-2026", sunday, 3)}, nil},
		"pinned alone":         {"chained/a", []policy.Evidence{by("release-2026", sunday, 0)}, []reason.Code{reason.TrustLevelLow}},
		"the least is told":    {"both/a", nil, []reason.Code{reason.SignatureMissing, reason.SignatureMissing}},
	} {
		demand, _ := set.Demand(ref(t, tc.target))
		got, _ := demand.About(artifact.Subject{Info: artifact.Info{Ref: ref(t, tc.target)}}, policy.Facts{}, sunday).Weigh(tc.found)
		require.Equal(t, tc.want, codesOf(got), name)
	}
}
