package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// The log is held against the ledger, which a service has open meanwhile, and against what stands in a repository.
func TestAuditCompares(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	require.NoError(t, os.RemoveAll(r.config.Dir))
	config := ledger.Config{URL: "sqlite://" + r.file("hallmark.db"), Replica: "one"}
	books, err := ledger.Open(t.Context(), config, ledger.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, books.Close()) })
	r.memory = books
	art := artifactorytest.Start(t, standin.Config{})
	put := func(path, content string) {
		require.NoError(t, art.Put("dev", artifactorytest.Staging, path, strings.NewReader(content), nil))
	}
	require.NoError(t, os.WriteFile(r.file("token"), []byte(artifactorytest.Reader), 0o600))
	require.NoError(t, os.WriteFile(r.file("hallmark.yaml"), fmt.Appendf(nil, `database: {url: %q, replica: one}
artifactory:
  - {name: main, url: %q, token: {file: token}, webhookSecrets: [{file: token}]}
`, config.URL, art.URL()), 0o600))

	spki, err := base64.StdEncoding.DecodeString(sealtest.HintOf(t, r.signs))
	require.NoError(t, err)
	begin := func(path, origin string) ledger.Intent {
		in, err := books.Begin(t.Context(), ledger.Intent{
			GrantID: "g", Policy: "release", PolicySet: sha256.Sum256([]byte("policies")), Ref: artifact.Ref{Instance: "main", Repo: artifactorytest.Staging, Path: path}, Subject: sha256.Sum256([]byte(path)), KeyName: r.signs.Name(),
			KeySPKI: artifact.Digest(spki), Formats: []string{"raw"}, EventID: 1, LogOrigin: origin,
		})
		require.NoError(t, err)
		return in
	}
	sealed := func(in ledger.Intent, signature []byte) {
		require.NoError(t, books.Sealed(t.Context(), in.ID, []ledger.Signature{{
			Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: "raw", Content: signature, IntentID: in.ID, MadeAt: time.Now().Add(-time.Second),
		}}))
	}
	three := func(origin string) func(l *audit.Log) {
		return func(l *audit.Log) {
			require.NoError(t, audittest.Start(t.Context(), l, "one", r.signs))
			for i := range 3 {
				path := fmt.Sprintf("app/%s/%d.tgz", origin, i)
				in := begin(path, origin)
				_, rekord, err := audittest.Use(t.Context(), l, r.signs, audit.Intent{
					ID: uint64(in.ID), Grant: in.GrantID, Event: 1, Instance: "main", Repo: in.Ref.Repo, Path: path, Formats: in.Formats,
				}, []byte(path))
				require.NoError(t, err)
				sealed(in, rekord.Signature)
				put(path, path)
				put(path+".sig", string(rekord.Signature))
			}
		}
	}
	r.write(three("log.example"))
	backup := r.file("backup")
	require.NoError(t, os.CopyFS(backup, os.DirFS(r.config.Dir)))
	compare := []string{"verify", "--config", r.file("hallmark.yaml"), "--repositories", artifactorytest.Staging, "--grace", "1ms"}
	got := r.run(compare...)
	require.Equal(t, exitOK, got.code, got.out+got.err)

	digest := sha256.Sum256([]byte("taken home"))
	signature, err := r.signs.Sign(t.Context(), digest[:])
	require.NoError(t, err)
	put("home/app.tgz", "taken home")
	put("home/app.tgz.sig", string(signature))
	sealed(begin("never logged", "log.example"), []byte("x"))
	got = r.run(compare...)
	require.Equal(t, exitRefused, got.code, got.err)
	require.Contains(t, got.out, "signature-unlogged")
	require.Contains(t, got.out, artifactorytest.Staging+"/home/app.tgz.sig")
	require.Contains(t, got.out, "log-use-missing")
	require.Contains(t, got.out, "log-intent-missing")
	require.Contains(t, got.out, "  alarms    3\n")
	got = r.run("verify", "--config", r.file("hallmark.yaml"), "--ledger", "--grace", "1ms", "-o", "json")
	require.Equal(t, exitRefused, got.code)
	require.NotContains(t, got.out, "signature-unlogged")
	require.Contains(t, got.out, "log-use-missing")

	// The log of another replica: unread, verified elsewhere, read. Two logs have two keys, and a root that names both.
	own, two := r.config, audit.Config{Dir: r.file("two"), Origin: "two.example"}
	r.config = two
	r.write(three("two.example"))
	r.config = own
	type log map[string]any
	der, _ := pem.Decode(r.key.PEM(t))
	root, err := json.Marshal(log{"tlogs": []log{
		{"baseUrl": "https://log.example", "publicKey": log{"rawBytes": der.Bytes}}, {"baseUrl": "https://two.example", "publicKey": log{"rawBytes": der.Bytes}},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file("trusted_root.json"), root, 0o600))
	both := func(more ...string) result {
		return command(t, append([]string{"audit", "verify", "--log", own.Dir, "--trusted-root", r.file("trusted_root.json"), "--config", r.file("hallmark.yaml"), "--ledger", "--grace", "1ms"}, more...)...)
	}
	got = both("--origin", "log.example")
	require.Contains(t, got.out, "ledger-log-unread")
	require.Contains(t, got.out, "  alarms    3\n")
	got = both("--accept-log", "two.example")
	require.Contains(t, got.out, "ledger-log-unread")
	require.Contains(t, got.out, "  alarms    2\n")
	got = both("--other-log", two.Dir)
	require.NotContains(t, got.out, "ledger-log-unread")
	require.Contains(t, got.out, "OK  two.example (")
	require.Contains(t, got.out, "  alarms    2\n")
	require.Equal(t, exitUndecided, both("--other-log", own.Dir).code, "one log twice")
	got = r.run("verify", "--config", r.file("hallmark.yaml"), "--ledger")
	require.Contains(t, got.out, "ledger-log-unknown")

	// A key of the configuration that no log ever had.
	other := sealtest.NewKey(t, "P-256", "other-2026")
	pin, err := base64.StdEncoding.DecodeString(sealtest.HintOf(t, other))
	require.NoError(t, err)
	yaml, err := os.ReadFile(r.file("hallmark.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.file("hallmark.yaml"), fmt.Appendf(yaml, "keys: [{name: other-2026, token: hsm, lane: release, spki: 'sha256:%x'}]\n", pin), 0o600))
	signature, err = other.Sign(t.Context(), digest[:])
	require.NoError(t, err)
	put("home/app.other-2026.sig", string(signature))
	put("home/app", "taken home")
	got = both("--other-log", two.Dir, "--repositories", artifactorytest.Staging)
	require.Contains(t, got.out, "key-unread")
	require.NotContains(t, got.out, "signature-key-unlogged")
	got = both("--other-log", two.Dir, "--repositories", artifactorytest.Staging, "--key", other.WritePEM(t, r.dir, "other.pem"))
	require.NotContains(t, got.out, "key-unread")
	require.Contains(t, got.out, "signature-key-unlogged")
	require.Equal(t, exitUndecided, both("--accept-unlogged", "x").code)

	r.write(func(l *audit.Log) { r.use(l, 1) })
	r.config.Dir = backup
	got = r.run("verify", "--config", r.file("hallmark.yaml"), "--ledger")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-rolled-back")
	require.Contains(t, got.out, "(the ledger)")
	for name, args := range map[string][]string{
		"no configuration": {"verify", "--config", r.file("nowhere.yaml"), "--ledger"},
		"no instance":      {"verify", "--config", r.file("hallmark.yaml"), "--repositories", "x", "--instance", "two"},
		"no repository":    {"verify", "--config", r.file("hallmark.yaml"), "--repositories", "nowhere-local"},
	} {
		require.Equal(t, exitUndecided, r.run(args...).code, name)
	}
}
