package signing_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// A bundle whose events were all lost is found by the sweep and attested; what it holds costs nothing and is left alone.
func TestSweepOfBundles(t *testing.T) {
	t.Parallel()
	r := newRig(t, shipping())
	r.trust(key)
	s := r.sweeper(atHand)
	r.upload("app/a.tgz", "a")
	r.upload("app/b.tgz", "b")
	r.bundled("app/a.tgz", "app/b.tgz")

	run := s.run(ledger.Sweep{Repo: bundleRepo})
	require.Equal(t, map[string]string{bundleRecord: "unsigned"}, s.found(run))
	require.Equal(t, map[string]int64{"unsigned": 1, "uncovered": 2}, run.Findings)
	require.Equal(t, int64(1), run.Lost)
	require.Eventually(t, func() bool { return r.bundle().State == ledger.Signed }, waitFor, tick)
	r.requireAttested()

	before := r.art.CountRequests(http.MethodPost, "/onemodel/")
	run = s.run(ledger.Sweep{Repo: bundleRepo})
	require.Equal(t, map[string]int64{"signed": 1, "uncovered": 3}, run.Findings, "the evidence is one more file")
	require.Equal(t, before+1, r.art.CountRequests(http.MethodPost, "/onemodel/"))

	forged, err := r.art.Content(bundleRepo, r.evidence()[0])
	require.NoError(t, err)
	forged = []byte(strings.Replace(string(forged), `"sig":"ME`, `"sig":"MF`, 1))
	r.platform(http.MethodPost, evidenceAPI+bundleRepo+"/"+bundleRecord, json.RawMessage(forged), http.StatusCreated)
	run = s.run(ledger.Sweep{Repo: bundleRepo})
	require.Equal(t, map[string]int64{"signed": 1, "uncovered": 4}, run.Findings, "what others attach does not matter")
	require.Equal(t, 1, r.uses())

	r.art.Fail(standin.Fault{Method: http.MethodPost, Path: "/onemodel/**", Status: http.StatusNotFound, Times: -1})
	run = s.run(ledger.Sweep{Repo: bundleRepo})
	require.Equal(t, map[string]string{bundleRecord: "unsigned"}, s.found(run), "the sweep gets on without an evidence service")
	require.Zero(t, run.Repaired)
}
