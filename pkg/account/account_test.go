package account_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
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
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
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
}

func newRig(t *testing.T, algorithm string) *rig {
	t.Helper()
	r := &rig{
		t: t, config: audit.Config{Dir: filepath.Join(t.TempDir(), "log"), Origin: origin}, memory: audittest.NewMemory(),
		log: sealtest.NewKey(t, "P-256", "log"), key: sealtest.NewKey(t, algorithm, "release-2026"),
		art: artifactorytest.Start(t, standin.Config{Repositories: []standin.Repository{{Key: repo}, {Key: docker, PackageType: "docker"}}}),
	}
	cfg := ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), Replica: "one"}
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

// begin puts an intent into the ledger.
func (r *rig) begin(path, content, log string) ledger.Intent {
	r.t.Helper()
	spki, err := base64.StdEncoding.DecodeString(sealtest.HintOf(r.t, r.key))
	require.NoError(r.t, err)
	in := ledger.Intent{
		GrantID: "g", Ref: artifact.Ref{Instance: "main", Repo: repo, Path: path}, Subject: sha256.Sum256([]byte(content)), KeyName: r.key.Name(),
		KeySPKI: artifact.Digest(spki), Formats: []string{"raw"}, EventID: 1, LogOrigin: log,
	}
	in, err = r.ledger.Begin(r.t.Context(), in)
	require.NoError(r.t, err)
	return in
}

func (r *rig) sealed(in ledger.Intent, signature []byte) {
	r.t.Helper()
	r.sealedAt(in, signature, time.Time{})
}

func (r *rig) sealedAt(in ledger.Intent, signature []byte, at time.Time) {
	r.t.Helper()
	require.NoError(r.t, r.ledger.Sealed(r.t.Context(), in.ID, []ledger.Signature{{
		Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: "raw", Content: signature, IntentID: in.ID, MadeAt: at,
	}}))
}

// logged uses the key with the log's knowledge.
func (r *rig) logged(id int64, path, content string) audit.Rekord {
	r.t.Helper()
	_, rekord, err := audittest.Use(r.t.Context(), r.write, r.key, audit.Intent{ID: uint64(id), Repo: repo, Path: path, Formats: []string{"raw"}}, []byte(content))
	require.NoError(r.t, err)
	return rekord
}

// sign does all that the service does.
func (r *rig) sign(path, content string) []byte {
	r.t.Helper()
	in := r.begin(path, content, origin)
	signature := r.logged(in.ID, path, content).Signature
	r.sealed(in, signature)
	r.put(path, content)
	r.put(path+".sig", string(signature))
	return signature
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
	require.NoError(r.t, r.write.Close())
	log, err := audit.ReadDir(r.config.Dir)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, log.Close()) }()
	head, err := log.Head(r.t.Context(), []audit.Key{{Origin: origin, Public: r.log.Public()}})
	require.NoError(r.t, err)
	b, err := account.New(r.t.Context(), r.view)
	require.NoError(r.t, err)
	report, err := log.Replay(r.t.Context(), audit.Replay{
		Head: head, Leaf: func(_ uint64, l audit.Leaf) error { b.Leaf(l); return nil },
		Closed: func(c audit.Closed) error { return b.Closed(r.t.Context(), c) },
	})
	require.NoError(r.t, err)
	require.Empty(r.t, report.All)
	require.NoError(r.t, b.Ledger(r.t.Context(), report, until))
	for _, name := range repositories {
		standing, err := b.Repository(r.t.Context(), r.client, name, nil)
		require.NoError(r.t, err)
		require.NoError(r.t, b.Unlogged(r.t.Context(), log, head, standing))
	}
	codes := []reason.Code{}
	for _, f := range b.All {
		codes = append(codes, f.Code)
		require.True(r.t, f.Alarm)
		require.NotEmpty(r.t, f.Found)
		require.NotEmpty(r.t, f.Expected)
		require.NotEmpty(r.t, f.Fix)
	}
	return codes
}

// Where everybody tells the same there is nothing to find, and what was signed before there was a log is not missed in it.
func TestNothingToFind(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	old := r.begin("old.tgz", "from before the log", "")
	r.sealedAt(old, []byte("a bare signature"), time.Now().Add(-time.Hour))
	r.put("old.tgz.sig", "a bare signature")
	r.put("unsigned.tgz", "x")
	r.put("foreign.sig", "by somebody else")
	r.put("other.sigstore.json", "{}")
	for i := range 5 {
		r.sign(fmt.Sprintf("app/%d.tgz", i), fmt.Sprint("content ", i))
	}
	require.Empty(t, r.compare(repo, docker))
}

// What is under way is left out.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	r.sealed(r.begin("a", "a", origin), []byte("sig"))
	require.Empty(t, r.compareAt(time.Now().Add(-time.Hour)))
	require.Equal(t, []reason.Code{reason.LogUseMissing}, r.compareAt(time.Now().Add(time.Minute)))
}

// What the ledger has and the log has not, and the other way round.
func TestLedgerAndLogDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(r *rig)
		want []reason.Code
	}{
		"a signature without the log": {func(r *rig) { r.sealed(r.begin("a", "a", ""), []byte("sig")) }, []reason.Code{reason.LogUseMissing}},
		"a signature that the log does not tell of": {
			func(r *rig) { r.sealed(r.begin("a", "a", origin), []byte("sig")) }, []reason.Code{reason.LogUseMissing},
		},
		"a signature of another log": {func(r *rig) { r.sealed(r.begin("a", "a", "two.example"), []byte("sig")) }, []reason.Code{}},
		"another signature than the log's": {
			func(r *rig) { in := r.begin("a", "a", origin); r.logged(in.ID, "a", "a"); r.sealed(in, []byte("sig")) },
			[]reason.Code{reason.LogUseMissing, reason.LedgerUseMissing},
		},
		"an entry that the ledger lacks":     {func(r *rig) { r.logged(r.begin("a", "a", origin).ID, "a", "a") }, []reason.Code{reason.LedgerUseMissing}},
		"an entry of an intent it never had": {func(r *rig) { r.logged(1<<50, "a", "a") }, []reason.Code{reason.LedgerUseMissing}},
		"an entry under another's intent": {
			func(r *rig) { r.logged(1, "b", "b") }, []reason.Code{reason.LedgerUseMissing},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "P-256")
			r.sign("good.tgz", "good")
			c.do(r)
			require.Equal(t, c.want, r.compare())
		})
	}
}

// A signature in a repository by one of our keys that stands in no log is found in whatever form it stands there.
func TestSignatureThatStandsInNoLog(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, algorithm)
			r.sign("good.tgz", "good")
			require.Empty(t, r.compare(repo, docker))

			stranger := sealtest.NewKey(t, algorithm, "stranger")
			for _, format := range seal.FormatsOf(artifact.KindFile) {
				for by, key := range map[string]*sealtest.Key{"ours": r.key, "theirs": stranger} {
					content := []byte(by + format)
					d, err := seal.NewDigester(key.Public())
					require.NoError(t, err)
					_, _ = d.Write(content)
					file := sealtest.Seal(t, format, key, d.Digests(), nil)
					r.put("app/"+by+format+".tgz", string(content))
					r.put("app/"+seal.FileName(by+format+".tgz", format, key.Name(), true), string(file))
				}
			}
			found := r.compare(repo)
			require.Len(t, found, len(seal.FormatsOf(artifact.KindFile)))
			for _, code := range found {
				require.Equal(t, reason.SignatureUnlogged, code)
			}
		})
	}
}

func TestImageSignatureThatStandsInNoLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	images := artifactorytest.NewRegistry(t, r.art, docker, artifactorytest.CI)
	pushed := images.Push("team/app", ":1.0", images.New("linux/amd64"))
	require.Empty(t, r.compare(docker))
	meaning, err := artifact.Resolve(t.Context(), r.client, artifact.Ref{Instance: "main", Repo: docker, Path: "team/app/1.0/manifest.json"})
	require.NoError(t, err)
	require.Equal(t, pushed.SHA256(), meaning.Whole().SHA256.String())
	for _, format := range seal.FormatsOf(artifact.KindImage) {
		f, _ := seal.Lookup(format)
		content := sealtest.Seal(t, format, r.key, seal.FromSHA256(meaning.Whole().SHA256), nil)
		_, err = shelf.Put(t.Context(), r.client, meaning.Whole(), "", f, content)
		require.NoError(t, err)
	}
	found := r.compare(docker)
	require.Len(t, found, len(seal.FormatsOf(artifact.KindImage)))
	require.Equal(t, reason.SignatureUnlogged, found[0])
}
