package promotion_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	staging    = artifactorytest.Staging
	release    = artifactorytest.Release
	ociStaging = artifactorytest.OCIStaging
	ociRelease = artifactorytest.OCIRelease
	promoter   = "token-promoter" // the only one who may write to the release repository
	keyA       = "release-a"
	keyB       = "release-b"
	dev        = "dev-a"
)

const gatePolicy = `kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + release + `]}
require:
  signatures:
    - {lane: release, count: 1}
`

const imagePolicy = `kind: GatePolicy
name: oci-release
owner: release-managers
target: {repositories: [` + artifactorytest.OCIRelease + `]}
require:
  signatures:
    - {lane: release, count: 1}
`

// rig is a promotion service between a real server, a real gate and a real database.
type rig struct {
	t        *testing.T
	art      *standin.Server
	ledger   *ledger.Ledger
	policies atomic.Pointer[policy.Set]
	keys     map[string]*sealtest.Key
	gate     *gate.Gate
	service  *promotion.Service
	commits  atomic.Pointer[func(ledger.CommitPhase) error]

	mu       sync.Mutex
	followed []artifact.Ref
	after    func() // runs when the gate has given a verdict
}

func promoterRights() map[string]string {
	return map[string]string{
		staging: "rd", release: "rwda", release + "-too": "r", "artifactory-build-info": "rw", "fw-build-info": "r", ociStaging: "rd", ociRelease: "rwda", artifactorytest.OCIVirtual: "r", "release-bundles-v2": "rw",
	}
}

func newRig(t *testing.T, d ledger.Dialect) *rig {
	t.Helper()
	r := &rig{t: t, keys: map[string]*sealtest.Key{}}
	r.art = artifactorytest.Start(t, standin.Config{
		Repositories: append(artifactorytest.Wide().Repositories, standin.Repository{Key: release + "-too"}), Environments: artifactorytest.Wide().Environments,
		Tokens: []standin.Token{
			{Value: "token-gate", User: "hallmark", Rights: map[string]string{staging: "rwa", ociStaging: "rwa"}},
			{Value: promoter, User: "promoter", Rights: promoterRights()},
		},
	})
	r.ledger = ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: func(p ledger.CommitPhase) error {
		if hook := r.commits.Load(); hook != nil {
			return (*hook)(p)
		}
		return nil
	}})
	log := slog.New(slog.DiscardHandler)
	r.gate = &gate.Gate{Instances: r.clients("token-gate"), Policies: r.policies.Load, Ledger: r.ledger, Log: log}
	for _, name := range []string{keyA, keyB, dev} {
		r.keys[name] = sealtest.NewKey(t, "P-256", name)
		lane := policy.LaneRelease
		if name == dev {
			lane = policy.LaneDevelopment
		}
		pub, err := hsm.NewPublic(name, lane, r.keys[name].Public())
		require.NoError(t, err)
		r.gate.Trust = append(r.gate.Trust, pub)
	}
	r.setPolicy(gatePolicy)
	require.NoError(t, r.gate.Init(prometheus.NewRegistry()))
	r.service = &promotion.Service{
		Facts:     (&facts.Gatherer{Instances: r.gate.Instances, Ledger: r.ledger, Trust: r.gate.Trust}).Gather,
		Instances: r.clients(promoter), Policies: r.policies.Load, Ledger: r.ledger, Log: log, Keys: []string{keyA, keyB, dev},
		Inspect: func(ctx context.Context, req gate.Request) gate.Verdict { return r.gate.Inspect(ctx, req) },
		Gate: func(ctx context.Context, req gate.Request) gate.Verdict {
			v := r.gate.Check(ctx, req)
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.after != nil && v.Allow {
				r.after()
			}
			return v
		},
		Follow: func(_ context.Context, ref artifact.Ref, _ string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.followed = append(r.followed, ref)
			return nil
		},
	}
	require.NoError(t, r.service.Init(prometheus.NewRegistry()))
	return r
}

func (r *rig) clients(token string) map[string]*artifactory.Client {
	file := filepath.Join(r.t.TempDir(), "token")
	require.NoError(r.t, os.WriteFile(file, []byte(token), 0o600))
	c := artifactory.Config{Name: "main", URL: r.art.URL(), Token: artifactory.SecretFile{File: file}, Retries: 1}
	client, err := artifactory.New(c, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(r.t, err)
	r.t.Cleanup(client.Close)
	return map[string]*artifactory.Client{"main": client}
}

func (r *rig) setPolicy(text string) {
	r.t.Helper()
	r.setPolicies(map[string]string{"gate.yaml": text, "images.yaml": imagePolicy})
}

func (r *rig) setPolicies(files map[string]string) {
	r.t.Helper()
	v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds()}
	for _, k := range r.gate.Trust {
		v.Keys = append(v.Keys, policy.Key{Name: k.Name, Lane: k.Lane})
	}
	r.policies.Store(policytest.Set(r.t, policy.Skip, v, files))
}

func (r *rig) put(repo, path, content string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("dev1", repo, path, strings.NewReader(content), map[string][]string{"team": {"core"}}))
}

// signature is a signature file's content.
func (r *rig) signature(key, format, content string) string {
	r.t.Helper()
	d, err := seal.NewDigester(r.keys[key].Public())
	require.NoError(r.t, err)
	_, _ = d.Write([]byte(content))
	return string(sealtest.Seal(r.t, format, r.keys[key], d.Digests(), nil))
}

// signed puts an artifact into staging with both signature files of the first release key.
func (r *rig) signed(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		content := "content of " + path
		r.put(staging, path, content)
		r.put(staging, path+".sigstore.json", r.signature(keyA, "sigstore", content))
		r.put(staging, path+".sig", r.signature(keyA, "raw", content))
	}
}

func (r *rig) request(artifacts ...string) promotion.Request {
	return promotion.Request{Instance: "main", Artifacts: artifacts, Target: release, Caller: "ci"}
}

func (r *rig) promote(req promotion.Request) promotion.Report {
	r.t.Helper()
	report, err := r.service.Promote(r.t.Context(), req)
	require.NoError(r.t, err)
	for _, why := range append(reasonsOf(report), report.Reasons...) {
		require.Contains(r.t, reason.Codes, why.Code)
		for _, field := range []string{why.Message, why.Found, why.Expected, why.Fix, why.Who} {
			require.NotEmpty(r.t, field, "%+v", why)
		}
		require.NotContains(r.t, why.Found, promoter, "a token in a reason")
	}
	if report.ID != 0 { // what was told is what is on record
		record, err := r.ledger.Promotion(r.t.Context(), report.ID)
		require.NoError(r.t, err)
		require.Equal(r.t, map[promotion.State]ledger.PromotionState{
			promotion.StateDone: ledger.PromotionDone, promotion.StateIncomplete: ledger.PromotionIncomplete}[report.State], record.State)
		require.Len(r.t, record.Items, len(report.Items))
		for i, it := range report.Items {
			require.Equal(r.t, it.State, string(record.Items[i].State))
			require.Equal(r.t, it.Artifact, record.Items[i].Source.String())
			require.Equal(r.t, it.SHA256, record.Items[i].Subject)
		}
	}
	return report
}

// confirm promotes with effect.
func (r *rig) confirm(artifacts ...string) promotion.Report {
	req := r.request(artifacts...)
	req.Confirm = true
	return r.promote(req)
}

func (r *rig) move(artifacts ...string) promotion.Report {
	req := r.request(artifacts...)
	req.Confirm, req.Move = true, true
	return r.promote(req)
}

// stands checks that an artifact of signed stands whole at the target: bytes, signature files, properties.
func (r *rig) stands(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		content := "content of " + path
		got, err := r.art.Content(release, path)
		require.NoError(r.t, err, path)
		require.Equal(r.t, content, string(got))
		v := r.gateAtTarget(path)
		require.True(r.t, v.Allow, "%+v", v)
		f, _ := r.art.File(release, path)
		require.Equal(r.t, []string{"signed"}, f.Properties["hallmark.state"])
		require.Equal(r.t, []string{f.SHA256}, f.Properties["hallmark.sha256"])
		require.Equal(r.t, []string{"libs-release"}, f.Properties["hallmark.policy"])
		require.Equal(r.t, []string{"core"}, f.Properties["team"])
		require.NotEmpty(r.t, f.Properties["hallmark.keys"])
	}
}

// gateAtTarget verifies what lies in the release repository, as a gate before it would.
func (r *rig) gateAtTarget(path string) gate.Verdict {
	ref := artifact.Ref{Instance: "main", Repo: release, Path: path}
	g := *r.gate
	g.Instances = r.clients(promoter)
	require.NoError(r.t, g.Init(prometheus.NewRegistry()))
	return g.Check(r.t.Context(), gate.Request{Artifact: ref, Target: ref, Caller: "test"})
}

func (r *rig) fail(f standin.Fault) func() int { return r.art.Fail(f) }

func (r *rig) breakLedger() {
	r.hook(func(ledger.CommitPhase) error { return errors.New("disk full") })
}

func (r *rig) hook(f func(ledger.CommitPhase) error) { r.commits.Store(&f) }

func reasonsOf(report promotion.Report) []reason.Reason {
	var all []reason.Reason
	for _, it := range report.Items {
		all = append(all, it.Reasons...)
	}
	return all
}

func states(report promotion.Report) map[string]string {
	out := map[string]string{}
	for _, it := range report.Items {
		out[strings.TrimPrefix(it.Artifact, staging+"/")] = it.State
	}
	return out
}

func codes(report promotion.Report) []reason.Code {
	out := []reason.Code{}
	for _, why := range append(reasonsOf(report), report.Reasons...) {
		out = append(out, why.Code)
	}
	return out
}
