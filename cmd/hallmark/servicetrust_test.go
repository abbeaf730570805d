package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

const (
	auditorToken = "of an auditor, for this test"
	gateToken    = "of a gate, for this test"
)

// trustRig is the whole service in this process, with keys on a token and everything that hallmark ca init makes.
type trustRig struct {
	*caRig
	art *standin.Server
}

func newTrustRig(t *testing.T) *trustRig {
	t.Helper()
	r := &trustRig{caRig: newCARig(t), art: artifactorytest.Start(t, standin.Config{})}
	var made authorities
	r.json(&made, caInit...)
	key := r.hsm.Generate(t, "release-2026", "release", hsm.P256)
	for name, content := range map[string]string{
		"artifactory": artifactorytest.Signer, "webhook": hookSecrets["webhook"],
		"policies/release.yaml": "kind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [" + artifactorytest.Staging + "]}\nsign: [{key: release-2026, formats: [sigstore]}]\n",
	} {
		file := filepath.Join(r.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	require.True(t, strings.HasPrefix(made.YAML, "keys:\n"), made.YAML)
	r.configure(fmt.Sprintf(`database: {url: "sqlite://%s/hallmark.db"}
artifactory: [{name: main, url: "%s", token: {file: artifactory}, webhookSecrets: [{file: webhook}]}]
policies: {dir: policies, noMatch: skip}
sweep: {off: true}
server: {listen: "127.0.0.1:0", metrics: "127.0.0.1:0"}
api:
  tokens:
    - {name: auditor, sha256: %x, roles: [auditor]}
    - {name: gate, sha256: %x, roles: [gate]}
%s`, r.dir, r.art.URL(), sha256.Sum256([]byte(auditorToken)), sha256.Sum256([]byte(gateToken)),
		strings.Replace(made.YAML, "keys:\n", fmt.Sprintf("keys:\n  - {name: release-2026, token: hsm, lane: release, spki: %q}\n", key.SPKI), 1)))
	return r
}

func (r *trustRig) start() (*service, error) {
	c, err := loadConfig(r.file)
	require.NoError(r.t, err)
	return newService(r.t.Context(), c, false, slog.New(slog.DiscardHandler))
}

// What hallmark ca init made and printed is all that it takes: what the service signs can be believed by whoever has the
// trusted root, and the log is read by auditors.
func TestServiceAttests(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t)
	s, err := r.start()
	require.NoError(t, err)
	require.NoError(t, s.queue.Start(t.Context()))
	require.NoError(t, r.art.Put("dev", artifactorytest.Staging, "app/a.tgz", strings.NewReader("hello"), nil))
	ref := artifact.Ref{Instance: "main", Repo: artifactorytest.Staging, Path: "app/a.tgz"}
	require.NoError(t, s.request(t.Context(), ref, "ann"))
	var bundle []byte
	require.Eventually(t, func() bool {
		bundle, err = r.art.Content(artifactorytest.Staging, "app/a.tgz.sigstore.json")
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	key, _ := s.keys.Key("release-2026")
	digest := sha256.Sum256([]byte("hello"))
	found, err := s.attested.trusted().Verifier.Verify(bundle, key.PublicKey, digest[:])
	require.NoError(t, err)
	require.Equal(t, trust.LevelRoot, found.Level)
	require.Equal(t, "https://hallmark.example:8443/keys/release-2026", found.Identity)
	require.Equal(t, "hallmark.example", found.LogOrigin)

	for token, want := range map[string]int{auditorToken: http.StatusOK, gateToken: http.StatusForbidden, "": http.StatusUnauthorized} {
		req := httptest.NewRequest(http.MethodGet, "/log/tile/entries/000.p/5", nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if want == http.StatusOK {
			req.URL.Path = "/log/checkpoint"
		}
		got := httptest.NewRecorder()
		s.public.ServeHTTP(got, req)
		require.Equal(t, want, got.Code, got.Body.String())
	}
	got := httptest.NewRecorder()
	s.public.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/v1/trust/"+trust.RootFile, nil))
	require.Equal(t, http.StatusOK, got.Code)
	held, err := s.attested.beliefs.Held(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(held.Root), got.Body.String())
	got = httptest.NewRecorder()
	s.public.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/v1/trust/"+trust.TrustFile, nil))
	require.Contains(t, got.Body.String(), `"https://hallmark.example:8443/keys/release-2026"`)
	for _, check := range s.config.examineTrust(t.Context(), false) { // beside the running service
		require.True(t, check.OK, "%+v", check)
	}
	metrics, err := s.metrics.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, m := range metrics {
		names[m.GetName()] = true
	}
	for _, want := range []string{"hallmark_notary_seconds", "hallmark_notary_outcomes_owed", "hallmark_certificate_expiry_seconds"} {
		require.True(t, names[want], want)
	}
	require.NoError(t, s.queue.Stop(t.Context()))
	s.close()

	s, err = r.start() // the log goes on where it was
	require.NoError(t, err)
	size, err := s.attested.log.Size(t.Context())
	require.NoError(t, err)
	require.Greater(t, size, uint64(8))
	s.close()
}

// A service that cannot attest does not start, and says why.
func TestServiceDoesNotStartWithoutProof(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t)
	s, err := r.start()
	require.NoError(t, err)
	s.close()
	failed := func() (names []string) {
		for _, c := range s.config.examineTrust(t.Context(), false) {
			if !c.OK {
				require.NotEmpty(t, c.Fix)
				names = append(names, c.Name)
			}
		}
		return names
	}
	require.Empty(t, failed())
	log := filepath.Join(r.dir, "log")
	require.NoError(t, os.Rename(log, log+".away"))
	_, err = r.start()
	require.ErrorContains(t, err, "the log is older than its last checkpoint")
	require.NoError(t, os.RemoveAll(log))
	require.NoError(t, os.Rename(log+".away", log))
	require.NoError(t, os.Rename(r.path("issuing.pem"), r.path("issuing.away")))
	_, err = r.start()
	require.ErrorContains(t, err, "issuing.pem")
	content, err := os.ReadFile(r.path("timestamping.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(r.path("issuing.pem"), content, 0o600))
	_, err = r.start()
	require.ErrorContains(t, err, "preparing what signatures rest on (trust)")
	require.Equal(t, []string{"trust: the trusted root holds together", "trust: certificates can be issued"}, failed())
}

// doctor looks at the memory that stands beside the log.
func TestDoctorExaminesTheMemory(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t)
	s, err := r.start()
	require.NoError(t, err)
	s.close()
	c := s.config
	memory := filepath.Join(t.TempDir(), "memory")
	c.Trust.Value.Log.Memory = memory
	said := func(ok bool, says string) {
		t.Helper()
		all := c.examineTrust(t.Context(), false)
		i := slices.IndexFunc(all, func(c hsm.Check) bool { return c.Name == "trust: the log's memory can be read and written" })
		require.GreaterOrEqual(t, i, 0)
		require.Equal(t, ok, all[i].OK, "%+v", all[i])
		require.Contains(t, all[i].Detail, says)
	}
	said(false, "is missing")
	require.NoError(t, os.WriteFile(memory, nil, 0o600))
	said(true, "0 leaves")
	require.NoError(t, os.WriteFile(memory, []byte("another.example\n5\n"+base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600))
	said(false, "another.example")
	require.NoError(t, os.Remove(memory))
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "log")))
	said(true, "0 leaves") // the first start makes both
}
