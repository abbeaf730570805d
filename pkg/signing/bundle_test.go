package signing_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	bundleRepo   = "release-bundles-v2"
	bundleRecord = "gateway-suite/2026.8.1/release-bundle.json.evd"
	completedEv  = "release_bundle_v2/release_bundle_v2_completed"
	promotedEv   = "release_bundle_v2_promotion/release_bundle_v2_promotion_completed"
	evidenceAPI  = "/evidence/api/v1/subject/"
)

// onArrival signs what a bundle's promotion brings into the release repository.
var onArrival = strings.NewReplacer("artifact/copied, artifact/moved", promotedEv).Replace(followPolicy(devKey))

// bundlePolicy has bundles signed, too.
var bundlePolicy = onArrival + `---
kind: SigningPolicy
name: bundles
owner: release-managers
match: {repositories: ["*release-bundles-v2"]}
sign: [{key: ` + key + `, formats: [evidence]}]
`

func shipping() setup {
	return setup{policy: bundlePolicy, keys: map[string]hsm.Algorithm{key: hsm.P256, devKey: hsm.P256}}
}

// platform sends a request as a release manager with all rights does.
func (r *rig) platform(method, target string, body any, want int) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.art.URL()+target, bytes.NewReader(raw))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	said, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, want, resp.StatusCode, "%s", said)
}

// trust uploads the public half of a key under its name.
func (r *rig) trust(name string) {
	r.t.Helper()
	k, ok := r.keys.Key(name)
	require.True(r.t, ok)
	der, err := x509.MarshalPKIXPublicKey(k.PublicKey)
	require.NoError(r.t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	r.platform(http.MethodPost, "/artifactory/api/security/keys/trusted", map[string]string{"alias": name, "key": string(text)}, http.StatusCreated)
}

// bundled makes a bundle of files that are in staging.
func (r *rig) bundled(paths ...string) {
	r.t.Helper()
	var sources []map[string]string
	for _, p := range paths {
		sources = append(sources, map[string]string{"path": repo + "/" + p})
	}
	r.platform(http.MethodPost, "/lifecycle/api/v2/release_bundle?async=false", map[string]any{
		"release_bundle_name": "gateway-suite", "release_bundle_version": "2026.8.1", "source_type": "artifacts", "source": map[string]any{"artifacts": sources},
	}, http.StatusCreated)
}

func (r *rig) promoteBundle() {
	r.t.Helper()
	r.platform(http.MethodPost, "/lifecycle/api/v2/promotion/records/gateway-suite/2026.8.1?async=false&operation=copy",
		map[string]any{"environment": artifactorytest.Production}, http.StatusCreated)
}

func (r *rig) bundleEvent(what string) ledger.Event {
	ev := r.event(bundleRecord)
	ev.Domain, ev.Type, _ = strings.Cut(what, "/")
	ev.Repo, ev.Lane, ev.Key = bundleRepo, job.Promotion, what
	return ev
}

// bundle is the ledger's present state of the bundle's record.
func (r *rig) bundle() ledger.Outcome {
	r.t.Helper()
	st, err := r.ledger.Status(context.Background(), artifact.Ref{Instance: "main", Repo: bundleRepo, Path: bundleRecord})
	if err != nil {
		require.ErrorIs(r.t, err, ledger.ErrUnknown)
	}
	return st.Current
}

// evidence lists what is attached in the bundles' repository.
func (r *rig) evidence() (files []string) {
	for _, p := range r.art.Paths(bundleRepo) {
		if strings.HasPrefix(p, ".evidence/") {
			files = append(files, p)
		}
	}
	return files
}

// requireAttested checks that there is one piece of evidence, by the release key, over the record that is there.
func (r *rig) requireAttested() {
	r.t.Helper()
	require.Len(r.t, r.evidence(), 1)
	content, err := r.art.Content(bundleRepo, r.evidence()[0])
	require.NoError(r.t, err)
	record, ok := r.art.File(bundleRepo, bundleRecord)
	require.True(r.t, ok)
	digest, err := artifact.ParseDigest(record.SHA256)
	require.NoError(r.t, err)
	k, _ := r.keys.Key(key)
	f, _ := seal.Lookup("evidence")
	require.NoError(r.t, f.Verify(k.PublicKey, seal.FromSHA256(digest), content))
	require.Empty(r.t, record.Properties, "a bundle is frozen")
	now := r.bundle()
	require.Equal(r.t, ledger.Signed, now.State, "%+v", now)
	require.Equal(r.t, digest, now.Subject)
	require.Equal(r.t, []string{bundleRepo + "/" + r.evidence()[0]}, now.Files)
}

func TestBundleIsAttested(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		s := shipping()
		s.dialect = d
		r := newRig(t, s)
		r.trust(key)
		r.upload("app/a.tgz", "a")
		r.bundled("app/a.tgz")
		for range 3 {
			require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(completedEv)))
			r.requireAttested()
		}
		require.Zero(t, r.bundle().Parts)
		require.Equal(t, 1, r.uses())
		require.Equal(t, 1, r.art.CountRequests(http.MethodPost, evidenceAPI))
		require.Zero(t, r.art.CountRequests(http.MethodPatch, "/artifactory/api/metadata/"+bundleRepo), "nothing is written that would be refused")

		for _, path := range []string{r.evidence()[0], "gateway-suite/2026.8.1/artifacts/generic/app/a.tgz"} {
			ev := r.event(path)
			ev.Repo = bundleRepo
			require.NoError(t, r.service.Do(t.Context(), ev))
			st, err := r.ledger.Status(t.Context(), artifact.Ref{Instance: "main", Repo: bundleRepo, Path: path})
			require.NoError(t, err)
			require.Equal(t, ledger.Skipped, st.Current.State)
			require.Equal(t, []reason.Code{reason.PartOfBundle}, codes(st.Current))
		}
		require.Equal(t, 1, r.uses(), "no loop about our own evidence")

		r.restart()
		r.platform(http.MethodDelete, "/lifecycle/api/v2/release_bundle/records/gateway-suite/2026.8.1?async=false", nil, http.StatusNoContent)
		for _, ev := range []string{completedEv, promotedEv} {
			require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(ev)))
			require.Equal(t, ledger.Gone, r.bundle().State, "deleted before it was signed")
		}
	})
}

// Whatever the platform announces and tells of a promotion, every content that is in the target is signed there as the
// target's policy demands: signatures of the same bytes by the same key are taken over without the HSM, others are made.
func TestPromotedBundle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		staging string // key of the staging repository
		along   bool   // the bundle holds the signature files, too
		made    int    // signatures made after the promotion, the bundle's own among them
	}{
		"signed in staging, signature files along": {key, true, 1},
		"signed in staging, without them":          {key, false, 1},
		"development key, signature files along":   {devKey, true, 4},
		"development key, without them":            {devKey, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shipping()
			s.policy = strings.Replace(bundlePolicy, "key: "+devKey, "key: "+c.staging, 1)
			s.quirks = standin.Quirks{PromotionEvents: "promoted"}
			r := newRig(t, s)
			r.trust(key)
			files := map[string]string{"app/1.tgz": "one", "app/2 ü+#.tgz": "two", "lib/3.tgz": "three"}
			var paths []string
			for path, content := range files {
				r.upload(path, content)
				r.converge(path)
				if paths = append(paths, path); c.along {
					paths = append(paths, path+".sigstore.json", path+".sig")
				}
			}
			r.bundled(paths...)
			r.promoteBundle()
			before := r.uses()
			q := r.queue()
			require.NoError(t, q.Accept(t.Context(), r.bundleEvent(promotedEv)))
			require.NoError(t, q.Start(t.Context()))
			for path, content := range files {
				require.Eventually(t, func() bool { return r.stateIn(releaseRepo, path) == ledger.Signed }, waitFor, tick, path)
				f, _ := r.art.File(releaseRepo, path)
				require.Equal(t, []string{key}, f.Properties["hallmark.keys"], path)
				require.Equal(t, []string{"release-copies"}, f.Properties["hallmark.policy"], path)
				for suffix, format := range map[string]string{".sigstore.json": "sigstore", ".sig": "raw"} {
					if c.along && c.staging == devKey {
						suffix = "." + key + suffix // the plain name is taken
					}
					r.holds(key, path+suffix, format, content)
				}
			}
			require.Eventually(t, func() bool { return r.bundle().State == ledger.Signed }, waitFor, tick)
			r.requireAttested()
			require.Equal(t, 3, r.bundle().Parts)
			require.Empty(t, r.bundle().Reasons)
			require.Equal(t, c.made, r.uses()-before)
		})
	}
}

// Artifactory does not verify the evidence: that is said with what to do, keeps no artifact waiting, and orders their work
// once. When the key is there, the signature that was made is used.
func TestBundleIsNotVerified(t *testing.T) {
	t.Parallel()
	r := newRig(t, shipping())
	var ordered []string
	r.order = func(_ context.Context, events []ledger.Event) error {
		for _, e := range events {
			ordered = append(ordered, e.Repo+"/"+e.Path)
			require.Equal(t, promotedEv, e.Domain+"/"+e.Type)
		}
		return nil
	}
	r.upload("app/a.tgz", "a")
	r.upload("app/b.tgz", "b")
	r.bundled("app/a.tgz", "app/b.tgz")
	r.promoteBundle()
	require.NoError(t, r.art.Delete("ci", releaseRepo, "app/b.tgz"))
	ev := r.bundleEvent(promotedEv)
	for range 3 {
		refused := &artifactory.NotVerified{}
		require.ErrorAs(t, r.service.Do(t.Context(), ev), &refused)
		now := r.bundle()
		require.Equal(t, ledger.Failed, now.State)
		require.Equal(t, []reason.Code{reason.EvidenceUnverified, reason.BundleIncomplete}, codes(now))
		require.Contains(t, now.Reasons[0].Fix, "hallmark keys show "+key)
		require.Contains(t, now.Reasons[0].Expected, "alias "+key)
		require.Contains(t, now.Reasons[1].Found, "app/b.tgz")
		require.Equal(t, 1, now.Parts)
		require.Equal(t, []string{releaseRepo + "/app/a.tgz"}, ordered)
	}
	require.Empty(t, r.evidence())
	r.trust(key)
	require.NoError(t, r.service.Do(t.Context(), ev))
	r.requireAttested()
	require.Len(t, ordered, 1)
	require.Equal(t, 1, r.uses())
	require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(promotedEv)))
	require.Len(t, ordered, 2, "another promotion is another matter")
}

func TestNoEvidenceService(t *testing.T) {
	t.Parallel()
	r := newRig(t, shipping())
	r.upload("app/a.tgz", "a")
	r.bundled("app/a.tgz")
	r.art.Fail(standin.Fault{Method: http.MethodPost, Path: "/onemodel/**", Status: http.StatusNotFound, Times: -1})
	ev := r.bundleEvent(completedEv)
	err := r.service.Do(t.Context(), ev)
	require.ErrorIs(t, err, artifactory.ErrNoEvidence)
	require.IsType(t, job.Permanent(err), err, "no repetition buys a subscription")
	require.Equal(t, []reason.Code{reason.EvidenceUnavailable}, codes(r.bundle()))
	require.Equal(t, ledger.Failed, r.bundle().State)
}

// What policy does not want signed is promoted nevertheless, and a refusal is not written where nothing can be.
func TestBundleThatNoPolicyWants(t *testing.T) {
	t.Parallel()
	for noMatch, want := range map[policy.NoMatch]ledger.State{policy.Skip: ledger.Expanded, policy.Deny: ledger.Denied} {
		s := shipping()
		s.policy, s.noMatch = onArrival, noMatch
		r := newRig(t, s)
		ordered := 0
		r.order = func(_ context.Context, events []ledger.Event) error { ordered += len(events); return nil }
		r.upload("app/a.tgz", "a")
		r.bundled("app/a.tgz")
		require.ErrorIs(t, r.service.Do(t.Context(), r.bundleEvent(promotedEv)), artifact.ErrUnpromoted)
		require.Equal(t, []reason.Code{reason.NotPromoted}, codes(r.bundle()))
		r.promoteBundle()
		require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(promotedEv)))
		require.Equal(t, 1, ordered)
		require.Equal(t, want, r.bundle().State)
		require.Equal(t, 1, r.bundle().Parts)
		ev := r.bundleEvent("request/sign")
		require.NoError(t, r.service.Do(t.Context(), ev))
		require.Equal(t, 2, ordered, "who asks for the bundle asks for what it brought")
		require.Zero(t, r.uses())
	}
}

// Every fifth request fails in some way: the bundle and all it brought end as they should, with no key used twice.
func TestPromotedBundleConverges(t *testing.T) {
	t.Parallel()
	r := newRig(t, shipping())
	r.trust(key)
	var paths []string
	for i := range 60 {
		paths = append(paths, fmt.Sprintf("lib/%d.tgz", i))
		r.upload(paths[i], fmt.Sprint(i%40))
	}
	r.bundled(paths...)
	r.promoteBundle()
	dice := func(*http.Request) bool { return rand.N(25) == 0 } // #nosec G404 -- any will do
	for _, f := range []standin.Fault{{Status: http.StatusServiceUnavailable}, {Reset: true}, {Truncate: 50}, {When: standin.After, Status: http.StatusBadGateway}, {Drip: drip}} {
		f.Times, f.Match = -1, dice
		r.art.Fail(f)
	}
	q := r.queue()
	require.NoError(t, q.Accept(t.Context(), r.bundleEvent(promotedEv)))
	require.NoError(t, q.Start(t.Context()))
	for _, path := range paths {
		require.Eventually(t, func() bool { return r.stateIn(releaseRepo, path) == ledger.Signed }, 3*time.Minute, tick, path)
	}
	require.Eventually(t, func() bool { return r.bundle().State == ledger.Signed }, waitFor, tick)
	r.requireAttested()
	require.Equal(t, 60, r.bundle().Parts)
	require.Equal(t, 41, r.uses())
}
