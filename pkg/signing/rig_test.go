package signing_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

const (
	repo    = artifactorytest.Staging
	key     = "release-2026"
	waitFor = 20 * time.Second
	tick    = 5 * time.Millisecond
	drip    = 20 * time.Millisecond // of an answer that comes slowly: late, and never too late
)

const oneKey = `kind: SigningPolicy
name: release-binaries
owner: release-managers
match: {repositories: [` + repo + `], paths: ["app/**"]}
sign:
  - {key: ` + key + `, formats: [sigstore, raw]}
`

// setup says what is unlike the usual in a rig.
type setup struct {
	dialect ledger.Dialect            // default SQLite
	keys    map[string]hsm.Algorithm  // default one P-256 key
	policy  string                    // default oneKey
	noMatch policy.NoMatch            // default skip
	shim    bool                      // a token that fails on demand
	token   string                    // Artifactory token, default artifactorytest.Signer
	client  func(*artifactory.Config) // last changes
	quirks  standin.Quirks            //
	hsm     func(*hsm.Config)         // last changes
	ledger  func(*ledger.Config)      // last changes
	trust   bool                      // signatures are attested
	cold    bool                      // and no process has a certificate when it starts

	repositories []standin.Repository // default those of every server
}

// rig is a signing service between a real server, a real token and a real database.
type rig struct {
	from     map[string]time.Time // when the time of keys begins; set before setPolicy
	retired  map[string]time.Time // and when it ends
	t        *testing.T
	art      *standin.Server
	client   *artifactory.Client
	keys     *hsm.Keyring
	hsm      *prometheus.Registry
	shim     *hsmtest.Shim
	policies atomic.Pointer[policy.Set]
	commits  commits
	config   ledger.Config
	ledger   *ledger.Ledger
	service  *signing.Service
	metrics  *prometheus.Registry
	log      *lines
	events   atomic.Int64
	order    func(context.Context, []ledger.Event) error
	disarm   func() // ends the fault at hand
	attested bool
	cold     bool
	realm    *notarytest.Realm // of a service that attests
	attest   attesting         // what goes on between notary and log
}

func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, log: &lines{}}
	if s.dialect == "" {
		s.dialect = ledger.SQLite
	}
	if s.keys == nil {
		s.keys = map[string]hsm.Algorithm{key: hsm.P256}
	}
	if s.policy == "" {
		s.policy = oneKey
	}
	if s.noMatch == "" {
		s.noMatch = policy.Skip
	}
	if s.token == "" {
		s.token = artifactorytest.Signer
	}
	r.art = artifactorytest.Start(t, standin.Config{
		Quirks: s.quirks, Repositories: s.repositories, Environments: map[string][]string{artifactorytest.Production: {artifactorytest.Release}},
	})
	r.client = newClient(t, r.art.URL(), s)
	r.openKeys(s)
	r.setPolicy(s.noMatch, s.policy)
	r.config = ledger.Config{URL: ledgertest.URL(t, s.dialect), Replica: "test", CommitHook: r.commits.hook}
	if s.ledger != nil {
		s.ledger(&r.config)
	}
	t.Cleanup(func() { require.NoError(t, r.ledger.Close()) })
	r.attested, r.cold = s.trust, s.cold
	r.boot()
	return r
}

func newClient(t *testing.T, url string, s setup) *artifactory.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(s.token), 0o600))
	c := artifactory.Config{Name: "main", URL: url, Token: artifactory.SecretFile{File: file}, Retries: -1}
	if s.client != nil {
		s.client(&c)
	}
	client, err := artifactory.New(c, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func (r *rig) openKeys(s setup) {
	r.t.Helper()
	tok := hsmtest.NewToken(r.t)
	var keys []hsm.KeyConfig
	for name, algorithm := range s.keys {
		keys = append(keys, tok.Generate(r.t, name, lane(name), algorithm))
	}
	if s.shim {
		r.shim = tok.Shim(r.t)
	}
	cfg := tok.Config()
	if s.hsm != nil {
		s.hsm(&cfg)
	}
	r.hsm = prometheus.NewRegistry()
	var err error
	r.keys, err = hsm.Open(r.t.Context(), []hsm.Config{cfg}, keys, hsm.Options{Registerer: r.hsm})
	require.NoError(r.t, err)
	r.t.Cleanup(r.keys.Close)
}

// lane goes by the key's name.
func lane(name string) string {
	if strings.HasPrefix(name, "dev") {
		return policy.LaneDevelopment
	}
	return policy.LaneRelease
}

func (r *rig) setPolicy(noMatch policy.NoMatch, text string) {
	r.t.Helper()
	v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds()}
	for _, k := range r.keys.Keys() {
		v.Keys = append(v.Keys, policy.Key{Name: k.Name, Lane: k.Lane, From: r.from[k.Name], Retired: r.retired[k.Name]})
	}
	r.policies.Store(policytest.Set(r.t, noMatch, v, map[string]string{"release.yaml": text}))
}

// boot opens the ledger and makes the service, as a process does when it starts.
func (r *rig) boot() {
	r.t.Helper()
	var err error
	r.ledger, err = ledger.Open(context.Background(), r.config, ledger.Options{})
	require.NoError(r.t, err)
	r.metrics = prometheus.NewRegistry()
	r.enthrone()
	r.service = &signing.Service{
		Instances: map[string]*artifactory.Client{"main": r.client}, Policies: r.policies.Load, Keys: r.keys, Ledger: r.ledger,
		Order: func(ctx context.Context, events []ledger.Event) error { return r.order(ctx, events) },
		Log:   slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if r.realm != nil {
		r.service.Notary, r.service.Trusted.Verifier = r.realm.Notary, r.realm.Verifier()
	}
	require.NoError(r.t, r.service.Init(r.metrics))
}

// restart is the end of a process, and the next one.
func (r *rig) restart() {
	r.t.Helper()
	if r.realm != nil {
		r.realm.Close()
	}
	require.NoError(r.t, r.ledger.Close())
	r.boot()
}

// upload puts an artifact into staging and returns its digest.
func (r *rig) upload(path, content string) artifact.Digest {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("dev", repo, path, strings.NewReader(content), nil))
	return sha256.Sum256([]byte(content))
}

func (r *rig) event(path string) ledger.Event {
	return ledger.Event{
		ID: r.events.Add(1), Instance: "main", Domain: "artifact", Type: "deployed", Repo: repo, Path: path,
		Key: path, ReceivedAt: time.Now(), Outcome: ledger.EventAccepted,
	}
}

func (r *rig) do(path string) error { return r.service.Do(r.t.Context(), r.event(path)) }

// converge does the work until it is settled, as the queue does.
func (r *rig) converge(path string) {
	r.t.Helper()
	var err error
	ev := r.event(path)
	for deadline := time.Now().Add(waitFor); time.Now().Before(deadline); time.Sleep(tick) { // the queue's pauses
		if err = r.service.Do(r.t.Context(), ev); err == nil {
			return
		}
	}
	r.t.Fatalf("%s does not converge: %v", path, err)
}

func (r *rig) ref(path string) artifact.Ref {
	return artifact.Ref{Instance: "main", Repo: repo, Path: path}
}

// outcome is the ledger's present state of an artifact; zero when it has none.
func (r *rig) outcome(path string) ledger.Outcome {
	r.t.Helper()
	st, err := r.ledger.Status(context.Background(), r.ref(path))
	if err != nil {
		require.ErrorIs(r.t, err, ledger.ErrUnknown)
	}
	return st.Current
}

func (r *rig) props(path string) map[string][]string {
	r.t.Helper()
	f, ok := r.art.File(repo, path)
	require.True(r.t, ok, "%s is not there", path)
	return f.Properties
}

// path makes a path that no other test case uses.
func (r *rig) path(name string) string {
	return fmt.Sprintf("app/%d/%s.tgz", r.events.Add(1), name)
}

const hsmForever = hsmtest.Forever

// clashPath is what twoPolicies disagree about.
const clashPath = "app/" + policytest.HardName

// twoPolicies contradict each other, which the load does not foresee.
func twoPolicies() setup {
	return setup{policy: oneKey + "---\n" + strings.NewReplacer("release-binaries", "others", "[sigstore, raw]", "[raw]",
		`["app/**"]`, `["app/**"], exclude: `+policytest.HardExclude).Replace(oneKey)}
}

// twoKeys sign together, on a token that fails on demand.
func twoKeys() setup {
	return setup{
		shim: true, keys: map[string]hsm.Algorithm{key: hsm.P256, "second-2026": hsm.P256},
		policy: strings.ReplaceAll(oneKey, "[sigstore, raw]}\n", "[sigstore]}\n  - {key: second-2026, formats: [sigstore]}\n"),
	}
}
