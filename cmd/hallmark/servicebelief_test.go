package main

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// edit changes the configuration.
func (r *trustRig) edit(replace ...string) {
	r.t.Helper()
	content, err := os.ReadFile(r.file)
	require.NoError(r.t, err)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(r.t, string(content), replace[i])
	}
	require.NoError(r.t, os.WriteFile(r.file, []byte(strings.NewReplacer(replace...).Replace(string(content))), 0o600))
}

func (r *trustRig) policy(text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, "policies/release.yaml"), []byte(text), 0o600))
}

// exported is what a verifier believes by the export of now.
func exported(t *testing.T, s *service) verify.Trust {
	t.Helper()
	get := func(name string) []byte {
		req := httptest.NewRequest(http.MethodGet, "/v1/trust/"+name, nil)
		req.Header.Set("Cache-Control", "no-cache")
		got := httptest.NewRecorder()
		s.public.ServeHTTP(got, req)
		require.Equal(t, http.StatusOK, got.Code, got.Body.String())
		return got.Body.Bytes()
	}
	believed, err := verify.ReadTrust(get(trust.TrustFile), get(trust.RootFile))
	require.NoError(t, err)
	return believed
}

// What was signed is verified by every later export, whatever becomes of the configuration: its key, its signing
// configuration and its replica are gone. So is its distrust known, from the moment it is said.
func TestExportsRememberWhatSigned(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t)
	configured := "kind: SigningConfiguration\nname: %[1]s\nowner: o\nlane: release\nsign: [{key: %[2]s, formats: [sigstore]}]\n---\nkind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [" + artifactorytest.Staging + "]}\nconfiguration: %[1]s\n"
	r.policy(fmt.Sprintf(configured, "router", "release-2026"))
	s, err := r.start()
	require.NoError(t, err)
	require.NoError(t, s.queue.Start(t.Context()))
	require.NoError(t, r.art.Put("dev", artifactorytest.Staging, "app/a.tgz", strings.NewReader("hello"), nil))
	require.NoError(t, s.request(t.Context(), artifact.Ref{Instance: "main", Repo: artifactorytest.Staging, Path: "app/a.tgz"}, "ann"))
	var bundle []byte
	require.Eventually(t, func() bool {
		bundle, err = r.art.Content(artifactorytest.Staging, "app/a.tgz.sigstore.json")
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, s.queue.Stop(t.Context()))
	digest := sha256.Sum256([]byte("hello"))
	judge := func(s *service) (verify.Finding, error) {
		return verify.Artifact(exported(t, s), "sigstore", verify.Digests{crypto.SHA256: digest[:]}, bundle)
	}
	key, _ := s.keys.Key("release-2026")
	distrust := func(s *service, d ledger.Distrust) {
		d.KeySPKI, d.By = key.SPKI, "ann"
		_, err := s.ledger.Distrust(t.Context(), d)
		require.NoError(t, err)
	}
	_, err = judge(s)
	require.NoError(t, err)
	distrust(s, ledger.Distrust{From: time.Now().Add(-time.Hour)})
	_, err = judge(s)
	require.ErrorIs(t, err, verify.ErrDistrusted, "right after it was said")
	distrust(s, ledger.Distrust{Lifted: true})
	s.close()

	// Another replica, another key, another signing configuration; only the ledger is the same.
	next, log := r.hsm.Generate(t, "release-2027", "release", hsm.P256), r.hsm.Generate(t, "log-b", "", hsm.P256)
	r.edit(`{name: release-2026, token: hsm, lane: release, spki: "`+key.Pin()+`"}`, `{name: release-2027, token: hsm, lane: release, spki: "`+next.SPKI+`"}
  - {name: log-b, token: hsm, use: log, spki: "`+log.SPKI+`"}`,
		"log: {dir: log, origin: hallmark.example, key: log-2026}", "log: {dir: log-b, origin: b.example, key: log-b}",
		"/hallmark.db\"", "/hallmark.db\", replica: b")
	r.policy(fmt.Sprintf(configured, "gateway", "release-2027"))
	s, err = r.start()
	require.NoError(t, err)
	found, err := judge(s)
	require.NoError(t, err)
	require.Equal(t, verify.LevelCertificate, found.Level)
	require.Equal(t, "hallmark.example", found.Log)
	require.Equal(t, "https://hallmark.example:8443/configurations/router", found.Identity)
	require.Equal(t, "release-2026", found.Key)
	require.Equal(t, "release", found.Lane)
	_, err = s.attested.trusted().Now(t.Context()).Verifier.Verify(bundle, key.PublicKey, digest[:])
	require.NoError(t, err, "nor does the gate ask which replica it was")
	distrust(s, ledger.Distrust{From: time.Now().Add(-time.Hour)})
	_, err = judge(s)
	require.ErrorIs(t, err, verify.ErrDistrusted)
	for _, check := range s.config.examineTrust(t.Context(), false) {
		require.True(t, check.OK, "%+v", check)
	}

	// Without what the ledger kept nothing is believed, and everybody says what is missing.
	_, err = s.ledger.SQL().ExecContext(t.Context(), `DELETE FROM belief`)
	require.NoError(t, err)
	s.close()
	s, err = r.start()
	require.NoError(t, err)
	defer s.close()
	_, err = judge(s)
	require.Equal(t, reason.LogUnknown, verify.Problem(err))
	_, err = s.attested.trusted().Verifier.Verify(bundle, key.PublicKey, digest[:])
	require.ErrorIs(t, err, trust.ErrLogUnknown)
	believed := exported(t, s)
	require.Equal(t, key.SPKI, believed.Distrusted[0].SPKI, "a key of which only the pin is known")
	var failed []string
	for _, check := range s.config.examineTrust(t.Context(), false) {
		if !check.OK {
			failed = append(failed, check.Name+": "+check.Detail)
		}
	}
	require.Len(t, failed, 1)
	require.Contains(t, failed[0], "every log is in the trusted root: the ledger remembers checkpoints of hallmark.example")
}
