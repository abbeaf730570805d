package account_test

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	origin = "log.example"
	docker = "docker-local"
	repo   = artifactorytest.Staging
)

// rig is a real log, a real ledger and a stand-in Artifactory, without a service.
type rig struct {
	t      *testing.T
	config audit.Config
	log    *sealtest.Key
	key    *sealtest.Key
	memory *audittest.Memory
	ledger *ledger.Ledger
	view   *ledger.View
	art    *standin.Server
	client *artifactory.Client
	write  *audit.Log

	database string
}

func newRig(t *testing.T, algorithm string) *rig {
	t.Helper()
	r := &rig{
		t: t, config: audit.Config{Dir: filepath.Join(t.TempDir(), "log"), Origin: origin}, memory: audittest.NewMemory(),
		log: sealtest.NewKey(t, "P-256", "log"), key: sealtest.NewKey(t, algorithm, "release-2026"),
		art: artifactorytest.Start(t, standin.Config{Repositories: []standin.Repository{{Key: repo}, {Key: docker, PackageType: "docker"}}}),
	}
	cfg := ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), Replica: "one"}
	r.database = cfg.URL
	r.ledger = ledgertest.OpenConfig(t, cfg)
	var err error
	r.view, err = ledger.OpenView(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.view.Close()) })
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(artifactorytest.CI), 0o600))
	r.client, err = artifactory.New(artifactory.Config{Name: "main", URL: r.art.URL(), Token: artifactory.SecretFile{File: token}, Retries: -1},
		artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(r.client.Close)
	r.write, err = audit.Open(t.Context(), r.config, r.log, r.memory, audit.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.write.Close()) })
	require.NoError(t, audittest.Start(t.Context(), r.write, "one", r.key))
	return r
}

// intent is what the service would promise.
func (r *rig) intent(path, content, log string) ledger.Intent {
	r.t.Helper()
	return ledger.Intent{
		GrantID: "g", Ref: artifact.Ref{Instance: "main", Repo: repo, Path: path}, Subject: sha256.Sum256([]byte(content)), KeyName: r.key.Name(),
		KeySPKI: spki(r.t, r.key), Formats: []string{"raw"}, EventID: 1, LogOrigin: log, Policy: "release", Rule: "policy.yaml:1", PolicySet: sha256.Sum256([]byte("policies")),
	}
}

// begin puts an intent into the ledger.
func (r *rig) begin(path, content, log string) ledger.Intent {
	r.t.Helper()
	in, err := r.ledger.Begin(r.t.Context(), r.intent(path, content, log))
	require.NoError(r.t, err)
	return in
}

func spki(t *testing.T, key *sealtest.Key) artifact.Digest {
	t.Helper()
	hint, err := base64.StdEncoding.DecodeString(sealtest.HintOf(t, key))
	require.NoError(t, err)
	return artifact.Digest(hint)
}

func (r *rig) sealed(in ledger.Intent, signature []byte) {
	r.t.Helper()
	r.sealedAt(in, "raw", signature, time.Time{})
}

func (r *rig) sealedAt(in ledger.Intent, format string, content []byte, at time.Time) {
	r.t.Helper()
	require.NoError(r.t, r.ledger.Sealed(r.t.Context(), in.ID, []ledger.Signature{{
		Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: format, Content: content, IntentID: in.ID, MadeAt: at,
	}}))
}

// logged uses the key with the log's knowledge.
func (r *rig) logged(in ledger.Intent, content string) audit.Rekord {
	r.t.Helper()
	_, rekord, err := audittest.Use(r.t.Context(), r.write, r.key, announced(in), []byte(content))
	require.NoError(r.t, err)
	return rekord
}

func announced(in ledger.Intent) audit.Intent {
	return audit.Intent{
		ID: uint64(in.ID), Grant: in.GrantID, Event: uint64(in.EventID), Instance: in.Ref.Instance, Repo: in.Ref.Repo, Path: in.Ref.Path, Formats: in.Formats,
		Policy: in.Policy, Rule: in.Rule, PolicySet: in.PolicySet,
	}
}

// sign does all that the service does.
func (r *rig) sign(path, content string) []byte {
	r.t.Helper()
	in := r.begin(path, content, origin)
	signature := r.logged(in, content).Signature
	r.sealed(in, signature)
	r.put(path, content)
	r.put(path+".sig", string(signature))
	return signature
}

// use signs with a key that nobody asked, and puts what it made beside the bytes.
func (r *rig) use(key *sealtest.Key, path, content string) []byte {
	r.t.Helper()
	sum := sha256.Sum256([]byte(content))
	signature, err := key.Sign(r.t.Context(), sum[:])
	require.NoError(r.t, err)
	r.put(path, content)
	r.put(path+".sig", string(signature))
	return signature
}

func (r *rig) forge(query string, args ...any) {
	r.t.Helper()
	ledgertest.Forge(r.t, r.database, query, args...)
}

func (r *rig) put(path, content string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("dev", repo, path, strings.NewReader(content), nil))
}

// compare replays the log and holds it against everything.
func (r *rig) compare(repositories ...string) []reason.Code {
	r.t.Helper()
	return r.compareAt(time.Now().Add(time.Minute), repositories...)
}

func (r *rig) compareAt(until time.Time, repositories ...string) []reason.Code {
	r.t.Helper()
	b := r.books(until, account.Config{Known: []string{origin}}, repositories...)
	codes := []reason.Code{}
	for _, f := range b.All {
		codes = append(codes, f.Code)
		require.True(r.t, f.Alarm)
		require.NotEmpty(r.t, f.Found)
		require.NotEmpty(r.t, f.Expected)
		require.NotEmpty(r.t, f.Fix)
		require.NotEmpty(r.t, f.Who)
	}
	return codes
}

func (r *rig) books(until time.Time, config account.Config, repositories ...string) *account.Books {
	r.t.Helper()
	require.NoError(r.t, r.write.Close())
	b := account.New(r.view, config)
	r.follow(b, r.config.Dir, origin, r.log)
	require.NoError(r.t, b.Ledger(r.t.Context(), until))
	b.Keys(nil)
	for _, name := range repositories {
		require.NoError(r.t, b.Repository(r.t.Context(), r.client, name, nil))
	}
	return b
}

// follow has the books follow a replay that finds nothing.
func (r *rig) follow(b *account.Books, dir, origin string, key *sealtest.Key) {
	r.t.Helper()
	log, err := audit.ReadDir(dir)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, log.Close()) })
	head, err := log.Head(r.t.Context(), []audit.Key{{Origin: origin, Public: key.Public()}})
	require.NoError(r.t, err)
	l := b.Log(log, head)
	report, err := log.Replay(r.t.Context(), audit.Replay{
		Head: head, Leaf: func(i uint64, leaf audit.Leaf) error { l.Leaf(i, leaf); return nil },
		Closed: func(c audit.Closed) error { l.Closed(c); return nil },
	})
	require.NoError(r.t, err)
	require.Empty(r.t, report.All)
	l.Done(report)
}
