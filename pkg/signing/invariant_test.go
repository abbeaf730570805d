package signing_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What requests go to, as patterns of the stand-in's faults.
const (
	atFacts      = "/artifactory/api/storage/**"
	atFiles      = "/artifactory/" + repo + "/**"
	atProperties = "/artifactory/api/metadata/**"
)

// Invariant 1: an event is a hint, never a fact.
func TestAnEventIsAHintNeverAFact(t *testing.T) {
	t.Parallel()
	t.Run("what it says about the bytes does not count", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{})
		digest := r.upload("app/a.tgz", "true bytes")
		ev := r.event("app/a.tgz")
		ev.SHA256, ev.Domain, ev.Type = strings.Repeat("ab", 32), "whatever", "else"
		require.NoError(t, r.service.Do(t.Context(), ev))
		r.requireSigned("app/a.tgz", "true bytes")
		require.Equal(t, digest, r.outcome("app/a.tgz").Subject)
	})
	for name, body := range map[string]string{"other": "evil bytes", "more": "true bytes and more", "less": "true", "none": "\x00"} {
		t.Run("bytes that are not what Artifactory reports: "+name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{})
			r.upload("app/a.tgz", "true bytes")
			r.art.Fail(standin.Fault{Method: http.MethodGet, Path: atFiles, Status: http.StatusOK, Body: body})
			require.Error(t, r.do("app/a.tgz"))
			require.Zero(t, r.uses(), "the key was used for bytes that nobody reports")
			require.Empty(t, r.signatureFiles("app/a.tgz"))
			require.Equal(t, ledger.Failed, r.outcome("app/a.tgz").State)
			r.requireHonest("app/a.tgz")
			r.converge("app/a.tgz")
			r.requireSigned("app/a.tgz", "true bytes")
		})
	}
}

// Invariant 3: no key use without a grant, no grant without policy.
func TestNoKeyUseWithoutAGrant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup setup
		path  string
		state ledger.State
	}{
		"skipped":  {setup{}, "other/a.tgz", ledger.Skipped},
		"denied":   {setup{noMatch: policy.Deny}, "other/a.tgz", ledger.Denied},
		"conflict": {twoPolicies(), clashPath, ledger.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.setup)
			r.upload(c.path, "hello")
			require.NoError(t, r.do(c.path))
			require.Equal(t, c.state, r.outcome(c.path).State)
			require.Zero(t, r.uses())
			require.Equal(t, [3]int{}, r.intents())
			require.Zero(t, r.art.CountRequests(http.MethodGet, "/artifactory/"+repo), "nothing was downloaded")
		})
	}
}

// Invariant 4: intent is durable before the key is used; no signature is published before the log holds it.
func TestNoRecordNoSignature(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	down := errors.New("the disk is full")
	n, from := 0, 0
	r.commits.set(func(p ledger.CommitPhase) error {
		if p == ledger.BeforeCommit {
			n++
		}
		if n > from {
			return down
		}
		return nil
	})
	r.upload("app/a.tgz", "hello")
	require.ErrorIs(t, r.do("app/a.tgz"), down)
	require.Zero(t, r.uses(), "the intent could not be recorded")

	n, from = 0, 1
	require.ErrorIs(t, r.do("app/a.tgz"), down)
	require.Equal(t, 1, r.uses())
	require.Empty(t, r.signatureFiles("app/a.tgz"), "the signature could not be recorded")
	require.Empty(t, r.props("app/a.tgz"))

	r.commits.set(nil)
	r.restart()
	r.converge("app/a.tgz")
	r.requireSigned("app/a.tgz", "hello")
}

// Invariant 5: every signature is verified in software before it leaves the process.
func TestASignatureThatDoesNotVerifyGoesNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{shim: true})
	r.upload("app/a.tgz", "hello")
	r.shim.Corrupt(t, 1)
	require.ErrorIs(t, r.do("app/a.tgz"), hsm.ErrSelfCheck)
	require.Equal(t, []reason.Code{reason.KeyUnavailable}, codes(r.outcome("app/a.tgz")))
	require.InDelta(t, 1, sum(t, r.hsm, "hallmark_signature_self_check_failures_total"), 0)
	require.Empty(t, r.signatureFiles("app/a.tgz"))
	kept, err := r.ledger.Signatures(t.Context(), r.outcome("app/a.tgz").Subject)
	require.NoError(t, err)
	require.Empty(t, kept)
	r.converge("app/a.tgz")
	r.requireSigned("app/a.tgz", "hello")
}

// Invariant 5, for signatures that come from the ledger: somebody wrote to the database.
func TestAKeptSignatureThatDoesNotVerifyGoesNowhere(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{keys: map[string]hsm.Algorithm{key: algorithm}})
			r.upload("app/a.tgz", "hello")
			r.upload("app/b.tgz", "hello")
			require.NoError(t, r.do("app/a.tgz"))
			_, err := r.ledger.SQL().ExecContext(t.Context(), "UPDATE signature SET content = 'forged' WHERE format = 'raw'")
			require.NoError(t, err)
			require.Error(t, r.do("app/b.tgz"))
			require.Equal(t, []reason.Code{reason.SignatureInvalid}, codes(r.outcome("app/b.tgz")))
			require.Empty(t, r.signatureFiles("app/b.tgz"))
			require.Empty(t, r.props("app/b.tgz"))
			require.InDelta(t, 1, sum(t, r.metrics, "hallmark_seal_self_check_failures_total"), 0)
			require.Equal(t, 1, r.uses())
		})
	}
}

// Invariant 6: never lie about being signed.
func TestNeverLieAboutBeingSigned(t *testing.T) {
	t.Parallel()
	for name, sha256 := range map[string]string{"other bytes": strings.Repeat("1", 64), "nothing": ""} {
		t.Run("what was stored is compared: "+name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{})
			r.upload("app/a.tgz", "hello")
			body := `{"repo":"` + repo + `","path":"/app/a.tgz.sig","size":"1","checksums":{"sha256":"` + sha256 + `"}}`
			r.art.Fail(standin.Fault{Method: http.MethodPut, Path: "/artifactory/" + repo + "/app/a.tgz.sig", Status: http.StatusCreated, Body: body})
			require.Error(t, r.do("app/a.tgz"))
			require.Equal(t, []reason.Code{reason.DigestMismatch}, codes(r.outcome("app/a.tgz")))
			require.Empty(t, r.props("app/a.tgz"))
			r.converge("app/a.tgz")
			r.requireSigned("app/a.tgz", "hello")
		})
	}
	t.Run("one missing file means not signed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{})
		r.upload("app/a.tgz", "hello")
		r.art.Fail(standin.Fault{Method: http.MethodPut, Path: "/artifactory/" + repo + "/app/a.tgz.sig", Status: http.StatusForbidden})
		require.Error(t, r.do("app/a.tgz"))
		require.Equal(t, []string{"app/a.tgz.sigstore.json"}, r.signatureFiles("app/a.tgz"))
		require.Empty(t, r.props("app/a.tgz"))
	})
	t.Run("one missing key means not signed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, twoKeys())
		r.upload("app/a.tgz", "hello")
		n := 0
		r.commits.set(func(p ledger.CommitPhase) error {
			if n++; n == 2*3 { // two intents and the first key's signature are durable
				r.shim.Fail(t, "C_Sign", 0x68, hsmForever)
			}
			return nil
		})
		require.Error(t, r.do("app/a.tgz"))
		require.Equal(t, []reason.Code{reason.KeyUnavailable}, codes(r.outcome("app/a.tgz")))
		require.Empty(t, r.signatureFiles("app/a.tgz"))
		require.Empty(t, r.props("app/a.tgz"))
		require.Equal(t, 1, r.uses())
		r.commits.set(nil)
		r.shim.Clear(t)
		r.converge("app/a.tgz")
		r.requireSigned("app/a.tgz", "hello", "app/a.tgz.sigstore.json", "app/a.tgz.second-2026.sigstore.json")
		require.Equal(t, 2, r.uses(), "what the first key had signed is kept")
	})
	t.Run("a mark of earlier bytes does not stay", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{quirks: standin.Quirks{Overwritten: "keep"}})
		r.upload("app/a.tgz", "one")
		require.NoError(t, r.do("app/a.tgz"))
		r.upload("app/a.tgz", "two")
		require.Equal(t, []string{"signed"}, r.props("app/a.tgz")["hallmark.state"], "this server keeps properties")
		require.Error(t, r.do("app/a.tgz"), "the old signature files stand in the way")
		require.Equal(t, []reason.Code{reason.StoreRefused}, codes(r.outcome("app/a.tgz")))
		require.Empty(t, r.props("app/a.tgz"))
	})
	t.Run("a true mark stays", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{})
		r.upload("app/a.tgz", "hello")
		require.NoError(t, r.do("app/a.tgz"))
		r.art.Fail(standin.Fault{Method: http.MethodPut, Path: atFiles, Status: http.StatusInsufficientStorage})
		require.Error(t, r.do("app/a.tgz"), "a replay that fails")
		require.Equal(t, []string{"signed"}, r.props("app/a.tgz")["hallmark.state"])
		r.requireHonest("app/a.tgz")
	})
	t.Run("not where policy has changed its mind", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{quirks: standin.Quirks{Overwritten: "keep"}})
		r.upload("app/a.tgz", "one")
		require.NoError(t, r.do("app/a.tgz"))
		r.upload("app/a.tgz", "two")
		r.setPolicy(policy.Skip, strings.ReplaceAll(oneKey, "app/**", "elsewhere/**"))
		require.NoError(t, r.do("app/a.tgz"))
		require.Equal(t, ledger.Skipped, r.outcome("app/a.tgz").State)
		require.Empty(t, r.props("app/a.tgz"))
	})
}

// Invariant 10: the artifact's bytes never change, and nothing else is touched.
func TestTheArtifactsBytesNeverChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI})
	digest := r.upload("app/a.tgz", "hello")
	r.upload("app/b.tgz", "neighbour")
	require.NoError(t, r.do("app/a.tgz"))
	require.NoError(t, r.do("app/a.tgz"))
	f, ok := r.art.File(repo, "app/a.tgz")
	require.True(t, ok)
	require.Equal(t, digest.String(), f.SHA256)
	require.Equal(t, "dev", f.ModifiedBy)
	require.ElementsMatch(t, []string{"app/a.tgz", "app/a.tgz.sig", "app/a.tgz.sigstore.json", "app/b.tgz"}, r.art.Paths(repo))
	require.Empty(t, r.props("app/b.tgz"))
}
