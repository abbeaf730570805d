package policy_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// heed does what a reason says would make its rule pass, as a person would who reads it.
func heed(t *testing.T, req *policy.Request, would string) {
	t.Helper()
	for pattern, do := range map[string]func(words []string){
		`^with the property (\S+) set to (\S+)`: func(w []string) {
			if req.Facts.Properties == nil {
				req.Facts.Properties = map[string][]string{}
			}
			req.Facts.Properties[w[1]] = append(slices.Clone(req.Facts.Properties[w[1]]), w[2])
		},
		`^with a build named (\S+) with the number (\S+) `: func(w []string) { req.Facts.Build = &policy.BuildFacts{Name: w[1], Number: w[2]} },
		`^with at least (\d+)B and at most`: func(w []string) {
			size, err := strconv.ParseInt(w[1], 10, 64)
			require.NoError(t, err)
			req.Subject.Size = size
		},
		`^with a name like (\S+)$`: func(w []string) { req.Subject.Ref.Path = "v" + version(req) + "/" + w[1] },
		`^with a version not below (\S+)$`: func(w []string) {
			req.Subject.Ref.Path = "v" + w[1] + "/" + req.Subject.Ref.Name()
		},
		`^at (\S+)$`: func(w []string) {
			at, err := time.Parse(time.RFC3339, w[1])
			require.NoError(t, err)
			req.At = at
		},
		`^with the same bytes in (\S+)$`: func(w []string) { req.Facts.Repositories = append(req.Facts.Repositories, w[1]) },
		`^if its (\S+) were one of (\S+),`: func(w []string) {
			for i := range req.Facts.Actors {
				if req.Facts.Actors[i].Role == w[1] {
					req.Facts.Actors[i] = policy.Actor{User: w[2], Role: w[1]}
				}
			}
		},
		`^if one of (\S+), .* uploaded it$`: func(w []string) {
			req.Facts.Actors = []policy.Actor{{User: w[1], Role: policy.Creator}}
		},
		`^with (?:1 signature|signatures) by `: func([]string) {
			req.Facts.Signatures = append(req.Facts.Signatures, heeded(t, would, req.At)...)
		},
	} {
		if words := regexp.MustCompile(pattern).FindStringSubmatch(would); words != nil {
			do(words)
			return
		}
	}
	t.Fatalf("nobody knows what to do about %q", would)
}

func version(req *policy.Request) string {
	v, _, _ := strings.Cut(req.Subject.Ref.Path, "/")
	return strings.TrimPrefix(v, "v")
}

var (
	signaturesWanted = regexp.MustCompile(`^with (?:1 signature|signatures by (\d+) different keys, each) by (.+), format (\S+)`)
	keyNames         = regexp.MustCompile(`(?:release|dev)-\d+`)
	trustWanted      = regexp.MustCompile(`trust level (\d)`)
)

// heeded makes the signatures that a reason asks for.
func heeded(t *testing.T, would string, at time.Time) []policy.Evidence {
	t.Helper()
	words := signaturesWanted.FindStringSubmatch(would)
	require.NotNil(t, words, would)
	count := 1
	if words[1] != "" {
		count, _ = strconv.Atoi(words[1])
	}
	var out []policy.Evidence
	for _, key := range keyNames.FindAllString(words[2], -1)[:count] {
		e := policy.Evidence{File: "new", Key: key, Format: strings.TrimSuffix(words[3], ","), At: at}
		if level := trustWanted.FindStringSubmatch(would); level != nil {
			e.Level, _ = strconv.Atoi(level[1])
		}
		out = append(out, e)
	}
	return out
}

const demandingPolicy = `kind: SigningConfiguration
name: c
owner: security
lane: release
submitters: {users: [ci], groups: [robots], as: [creator, modifier]}
sign: [{key: release-2026, formats: [raw]}]
---
kind: SigningPolicy
name: p
owner: o
match: {repositories: [staging]}
require:
  - {name: property, property: {name: qa, values: [approved]}}
  - {name: build, build: {names: [app], numbers: ["7"]}}
  - {name: size, size: {min: 100B, max: 200B}}
  - {name: file-name, fileName: {pattern: good}}
  - {name: version, version: {in: 'v([^/]+)/.*', atLeast: 1.10.0}}
  - {name: window, window: {days: [tue, thu], from: "22:00", to: "02:00", zone: Europe/Berlin}}
  - {name: history, history: {repositories: [dev]}}
  - {name: signatures, signatures: {keys: [dev-2026], maxAge: 365d}}
configuration: c
`

// Whoever does what the reasons of a refusal say gets a signature, whatever was wrong; and each advice, followed alone,
// settles the rule that gave it.
func TestAdviceFlipsTheDecision(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, demandingPolicy)
	r := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	advised := map[string]int{}
	for range 600 {
		var req policy.Request
		req.Subject = artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{
			Ref: ref(t, fmt.Sprintf("staging/v%s/%s", one("1.9.0", "1.10.0", "2.0.0", "x"), one("good", "bad"))), SHA256: artifact.Digest{1}, Size: int64(r.IntN(300)),
		}}
		req.At = sunday.Add(time.Duration(r.IntN(14*24*60)) * time.Minute)
		req.Facts = policy.Facts{Known: everything, Properties: map[string][]string{"qa": {one("open", "approved")}}, Repositories: []string{one("staging", "dev")}}
		if r.IntN(2) == 0 {
			req.Facts.Build = &policy.BuildFacts{Name: one("app", "lib"), Number: one("7", "8")}
		}
		for _, role := range []string{policy.Creator, policy.Modifier} {
			if r.IntN(3) > 0 {
				req.Facts.Actors = append(req.Facts.Actors, policy.Actor{User: one("ci", "eve", "r2"), Role: role, Groups: []string{one("robots", "people")}})
			}
		}
		if r.IntN(2) == 0 {
			req.Facts.Signatures = []policy.Evidence{{Key: one("dev-2026", "release-2027"), Format: "raw", At: req.At.Add(-time.Duration(r.IntN(800)) * 24 * time.Hour)}}
		}
		denied := set.Decide(req).Denied
		for _, no := range denied {
			require.NotEmpty(t, no.Would, "%+v", no)
			advised[no.Rule]++
		}
		if len(denied) > 0 {
			alone, first := req, denied[r.IntN(len(denied))]
			alone.Facts.Actors = slices.Clone(req.Facts.Actors)
			for range 2 { // creator and modifier are told one after the other
				for _, no := range set.Decide(alone).Denied {
					if no.Rule == first.Rule {
						heed(t, &alone, no.Would)
					}
				}
			}
			for _, no := range set.Decide(alone).Denied {
				require.NotEqual(t, first.Rule, no.Rule, "the advice %q did not help", first.Would)
			}
		}
		for range 4 {
			for _, no := range set.Decide(req).Denied {
				heed(t, &req, no.Would)
			}
		}
		d := set.Decide(req)
		require.Empty(t, d.Denied, "%+v", req)
		require.NotNil(t, d.Grant)
	}
	require.Len(t, advised, 9, "every rule had its say")
}

const demandingGates = `kind: GatePolicy
name: a
owner: o
target: {repositories: [release]}
require: {signatures: [{lane: release, count: 1, maxAge: 30d}, {lane: release, count: 2, formats: [raw]}]}
---
kind: GatePolicy
name: b
owner: o
target: {repositories: [release]}
require: {trustLevel: 3, signatures: [{keys: [release-2026], formats: [sigstore]}, {keys: [release-2026, release-2027], count: 1}]}
`

// Whoever adds the signatures that the reasons ask for gets in, whatever was there; each advice, followed alone, settles
// its rule.
func TestAdviceOpensTheGate(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, demandingGates)
	demand, _ := set.Demand(ref(t, "release/a"))
	demand = demand.At(sunday)
	r := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for range 1500 {
		var found []policy.Evidence
		for range r.IntN(5) {
			e := policy.Evidence{File: "f", Key: []string{"release-2026", "release-2027", "dev-2026"}[r.IntN(3)], Format: []string{"raw", "sigstore"}[r.IntN(2)], Level: 2 + r.IntN(2)}
			if r.IntN(4) > 0 {
				e.At = sunday.Add(-time.Duration(r.IntN(60)) * 24 * time.Hour)
			}
			if r.IntN(5) == 0 {
				e.Problem = []reason.Code{reason.SignatureWrongBytes, reason.SignatureSwapped, reason.SignatureInvalid}[r.IntN(3)]
			}
			found = append(found, e)
		}
		reasons := demand.Judge(found)
		all := slices.Clone(found)
		for _, no := range reasons {
			refused++
			all = append(all, heeded(t, no.Would, sunday)...)
			still := slices.ContainsFunc(demand.Judge(append(slices.Clone(found), heeded(t, no.Would, sunday)...)), func(r reason.Reason) bool { return r.Rule == no.Rule && r.Expected == no.Expected })
			require.False(t, still, "the advice %q did not help", no.Would)
		}
		require.Empty(t, demand.Judge(all), "%v", found)
	}
	require.Greater(t, refused, 500)
}
