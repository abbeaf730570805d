package gate_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

const (
	staging = artifactorytest.Staging
	release = artifactorytest.Release
	path    = "app/1.0/a.tgz"
	content = "hello"
	limit   = 5 * time.Second // of a JFrog Worker
)

const signingPolicy = `kind: SigningPolicy
name: binaries
owner: release-managers
match: {repositories: [` + staging + `]}
sign:
  - {key: release-a, formats: [sigstore, raw]}
---
`

const oneSignature = signingPolicy + `kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + release + `], paths: ["**/*.tgz"]}
require:
  signatures:
    - {lane: release, count: 1}
`

// rig is a gate between a real server and a real database. Its signature files are made here, by keys without a token,
// because what a gate is shown is made by anybody.
type rig struct {
	t        testing.TB
	art      *standin.Server
	ledger   *ledger.Ledger
	policies atomic.Pointer[policy.Set]
	commits  atomic.Pointer[func(ledger.CommitPhase) error]
	keys     map[string]*sealtest.Key
	retired  map[string]time.Time // by key; read by setPolicy
	gate     *gate.Gate
	metrics  *prometheus.Registry
	log      *log
}

// newRig pins the keys; the lane is in their names. Algorithms follow after a colon; P-256 otherwise.
func newRig(t testing.TB, policies string, names ...string) *rig {
	t.Helper()
	return newRigOn(t, standin.Config{}, policies, names...)
}

// newRigOn is newRig on a server of another configuration.
func newRigOn(t testing.TB, server standin.Config, policies string, names ...string) *rig {
	t.Helper()
	if len(names) == 0 {
		names = []string{"release-a", "release-b", "dev-a"}
	}
	r := &rig{t: t, keys: map[string]*sealtest.Key{}, metrics: prometheus.NewRegistry(), log: &log{}}
	r.art = artifactorytest.Start(t, server)
	r.ledger = ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), CommitHook: func(p ledger.CommitPhase) error {
		if hook := r.commits.Load(); hook != nil {
			return (*hook)(p)
		}
		return nil
	}})
	r.gate = &gate.Gate{
		Instances: map[string]*artifactory.Client{"main": newClient(t, r.art.URL(), artifactorytest.Reader)}, Policies: r.policies.Load, Ledger: r.ledger,
		Log: slog.New(slog.NewJSONHandler(r.log, nil)),
	}
	for _, n := range names {
		name, algorithm, _ := strings.Cut(n, ":")
		if algorithm == "" {
			algorithm = "P-256"
		}
		r.keys[name] = sealtest.NewKey(t, algorithm, name)
		pub, err := hsm.NewPublic(name, lane(name), r.keys[name].Public())
		require.NoError(t, err)
		r.gate.Trust = append(r.gate.Trust, pub)
	}
	r.setPolicy(policies)
	require.NoError(t, r.gate.Init(r.metrics))
	r.put(path, content)
	_, err := r.gate.Instances["main"].Repository(t.Context(), staging)
	require.NoError(t, err, "what a repository is, is asked once in a while, not for each artifact")
	r.art.ForgetRequests()
	return r
}

func lane(key string) string {
	if strings.HasPrefix(key, "dev") {
		return policy.LaneDevelopment
	}
	return policy.LaneRelease
}

func newClient(t testing.TB, url, token string) *artifactory.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	c := artifactory.Config{Name: "main", URL: url, Token: artifactory.SecretFile{File: file}}
	client, err := artifactory.New(c, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func (r *rig) setPolicy(text string) {
	r.t.Helper()
	v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds()}
	for _, k := range r.gate.Trust {
		v.Keys = append(v.Keys, policy.Key{Name: k.Name, Lane: k.Lane, Retired: r.retired[k.Name]})
	}
	r.policies.Store(policytest.Set(r.t, policy.Skip, v, map[string]string{"gate.yaml": text}))
}

// put stores a file as somebody may who is not the service.
func (r *rig) put(path, content string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("anybody", staging, path, strings.NewReader(content), nil))
}

// made is a signature file of the content by a key.
func (r *rig) made(key *sealtest.Key, format, content string) string {
	r.t.Helper()
	d, err := seal.NewDigester(key.Public())
	require.NoError(r.t, err)
	_, _ = d.Write([]byte(content))
	return string(sealtest.Seal(r.t, format, key, d.Digests(), nil))
}

// sign puts a signature file beside the artifact, under the plain name.
func (r *rig) sign(key, format string) { r.signAs(key, format, true) }

func (r *rig) signAs(key, format string, plain bool) {
	r.t.Helper()
	r.put("app/1.0/"+seal.FileName("a.tgz", format, key, plain), r.made(r.keys[key], format, content))
}

// stored is the digest of a file beside the artifact.
func (r *rig) stored(name string) artifact.Digest {
	r.t.Helper()
	content, err := r.art.Content(staging, "app/1.0/"+name)
	require.NoError(r.t, err)
	return artifact.Attachment{Content: content}.SHA256()
}

func ref(repo, path string) artifact.Ref {
	return artifact.Ref{Instance: "main", Repo: repo, Path: path}
}

// check asks about a file on its way to the release repository, in the time that a Worker has.
func (r *rig) check(path string) gate.Verdict {
	r.t.Helper()
	return r.ask(gate.Request{Artifact: ref(staging, path), Target: ref(release, path), Caller: "ci"})
}

func (r *rig) ask(req gate.Request) gate.Verdict {
	r.t.Helper()
	start := time.Now()
	v := r.gate.Check(r.t.Context(), req)
	require.Less(r.t, time.Since(start), limit)
	require.NotNil(r.t, v.Reasons)
	require.NotNil(r.t, v.Signatures)
	require.Equal(r.t, v.Allow, v.Decided && len(v.Reasons) == 0, "%+v", v)
	require.Equal(r.t, r.policies.Load().Digest(), v.PolicySet)
	for _, why := range v.Reasons {
		require.Contains(r.t, reason.Codes, why.Code)
		for _, field := range []string{why.Message, why.Found, why.Expected, why.Fix, why.Who} {
			require.NotEmpty(r.t, field, "%+v", why)
		}
		require.NotContains(r.t, why.Found, artifactorytest.Reader, "a token in a reason")
	}
	return v
}

func (r *rig) fail(f standin.Fault) (struck func() int) {
	r.t.Helper()
	if f.Times == 0 {
		f.Times = -1
	}
	return r.art.Fail(f)
}

func codes(v gate.Verdict) []reason.Code {
	list := []reason.Code{}
	for _, r := range v.Reasons {
		list = append(list, r.Code)
	}
	return list
}

type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
