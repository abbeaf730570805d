package main

import (
	"crypto/sha256"
	"encoding/base64"
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
	begin := func(path string) ledger.Intent {
		in, err := books.Begin(t.Context(), ledger.Intent{
			GrantID: "g", Ref: artifact.Ref{Instance: "main", Repo: artifactorytest.Staging, Path: path}, Subject: sha256.Sum256([]byte(path)), KeyName: r.signs.Name(),
			KeySPKI: artifact.Digest(spki), Formats: []string{"raw"}, EventID: 1, LogOrigin: "log.example",
		})
		require.NoError(t, err)
		return in
	}
	sealed := func(in ledger.Intent, signature []byte) {
		require.NoError(t, books.Sealed(t.Context(), in.ID, []ledger.Signature{{
			Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: "raw", Content: signature, IntentID: in.ID, MadeAt: time.Now().Add(-time.Second),
		}}))
	}
	r.write(func(l *audit.Log) {
		require.NoError(t, audittest.Start(t.Context(), l, "one", r.signs))
		for i := range 3 {
			path := fmt.Sprintf("app/%d.tgz", i)
			in := begin(path)
			_, rekord, err := audittest.Use(t.Context(), l, r.signs, audit.Intent{ID: uint64(in.ID), Repo: in.Ref.Repo, Path: path, Formats: in.Formats}, []byte(path))
			require.NoError(t, err)
			sealed(in, rekord.Signature)
			put(path, path)
			put(path+".sig", string(rekord.Signature))
		}
	})
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
	sealed(begin("never logged"), []byte("x"))
	got = r.run(compare...)
	require.Equal(t, exitRefused, got.code, got.err)
	require.Contains(t, got.out, "signature-unlogged")
	require.Contains(t, got.out, artifactorytest.Staging+"/home/app.tgz.sig")
	require.Contains(t, got.out, "log-use-missing")
	require.Contains(t, got.out, "  alarms    2\n")
	got = r.run("verify", "--config", r.file("hallmark.yaml"), "--ledger", "--grace", "1ms", "-o", "json")
	require.Equal(t, exitRefused, got.code)
	require.NotContains(t, got.out, "signature-unlogged")
	require.Contains(t, got.out, "log-use-missing")

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
