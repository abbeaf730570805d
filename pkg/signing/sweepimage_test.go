package signing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// settled waits until no work on a docker repository is left.
func (p *port) settled() {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		for _, path := range p.art.Paths(docker) {
			waiting, err := p.ledger.Waiting(context.Background(), artifact.Ref{Instance: "main", Repo: docker, Path: path})
			if err != nil || waiting {
				return false
			}
		}
		return true
	}, waitFor, tick)
}

// What can be wrong with images is found for what it is, repaired when policy wants it, and right the next time.
func TestSweepOfImages(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]standin.Quirks{
		"strict":                {},
		"no referrers API":      {Referrers: "404"},
		"properties are sticky": {Overwritten: "keep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, setup{token: artifactorytest.CI, quirks: quirks})
			s := p.sweeper(atHand)
			file := func(tag string) string { return imageName + "/" + tag + "/manifest.json" }
			pushed := map[string]artifactorytest.Manifest{}
			for _, tag := range []string{"fine", "overwritten", "unmarked", "owner-gone", "unsigned", "lying", "wrong"} {
				pushed[tag] = p.Push(imageName, ":"+tag, p.New("linux/amd64"))
				if tag != "unsigned" && tag != "lying" && tag != "wrong" {
					require.NoError(t, p.sign(file(tag)))
				}
			}
			index, children := p.NewIndex("linux/amd64", "linux/arm64")
			p.Push(imageName, ":index", index)
			require.NoError(t, p.sign(imageName+"/index/list.manifest.json"))
			lost, parts := p.NewIndex("linux/amd64", "linux/arm64")
			p.Push(imageName, ":lost", lost)
			pushed["overwritten"] = p.Push(imageName, ":overwritten", p.New("linux/amd64"))
			require.NoError(t, p.client.Merge(t.Context(), artifact.Ref{Instance: "main", Repo: docker, Path: file("unmarked")}, map[string][]string{"hallmark.state": nil}))
			require.NoError(t, p.client.Merge(t.Context(), artifact.Ref{Instance: "main", Repo: docker, Path: file("lying")}, map[string][]string{"hallmark.state": {"signed"}, "hallmark.sha256": {pushed["lying"].SHA256()}}))
			p.Refer(imageName, pushed["wrong"], bundleType, []byte(`{"mediaType":"`+bundleType+`"}`))
			for _, path := range p.art.Paths(docker) {
				if strings.HasPrefix(path, imageName+"/owner-gone/") {
					require.NoError(t, p.art.Delete("somebody", docker, path))
				}
			}
			used := p.uses()

			run := s.run(ledger.Sweep{Repo: docker})
			found := s.found(run)
			want := map[string]string{
				file("overwritten"): "overwritten", file("unmarked"): "unmarked", file("unsigned"): "unsigned", file("lying"): "lying-property",
				file("wrong"): "wrongly-signed", imageName + "/lost/list.manifest.json": "unsigned",
			}
			for _, c := range parts {
				want[imageName+"/"+c.Digest+"/manifest.json"] = "unsigned"
			}
			orphans := 0
			for path, what := range found {
				if what == "orphan" {
					orphans++
					delete(found, path)
				}
			}
			if quirks.Overwritten == "keep" {
				want[file("overwritten")] = found[file("overwritten")]
				require.Contains(t, []string{"overwritten", "lying-property"}, found[file("overwritten")])
			}
			require.Equal(t, want, found)
			require.Positive(t, orphans, "the signature of owner-gone, and of the bytes that were overwritten")
			require.Positive(t, run.Findings["signature-file"])
			require.Positive(t, run.Findings["uncovered"], "layers")

			p.settled()
			require.Equal(t, used+4+3, p.uses(), "one signature for each manifest that had none")
			for _, tag := range []string{"fine", "overwritten", "unmarked", "unsigned", "lying"} {
				p.verified(pushed[tag], "cosign")
				require.Equal(t, []string{pushed[tag].SHA256()}, p.marks(file(tag))["hallmark.sha256"], tag)
			}
			for _, m := range append(append([]artifactorytest.Manifest{index, lost}, children...), parts...) {
				p.verified(m, "cosign")
			}
			again := s.run(ledger.Sweep{Repo: docker})
			left := s.found(again)
			for path, what := range left {
				require.Equal(t, "orphan", what, path)
			}
			require.Equal(t, used+4+3, p.uses())
		})
	}
}

// Layers and what no policy names cost no request.
func TestSweepOfImagesThatNobodySigns(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{policy: strings.ReplaceAll(imagePolicy, "}\nsign", ", paths: [other/**]}\nsign")})
	s := p.sweeper(atHand)
	for _, tag := range []string{"1", "2", "3"} {
		p.Push(imageName, ":"+tag, p.New("linux/amd64"))
	}
	p.art.ForgetRequests()
	run := s.run(ledger.Sweep{Repo: docker})
	require.Equal(t, map[string]int64{"uncovered": 9}, run.Findings)
	for _, r := range p.art.Requests() {
		require.NotContains(t, r.Target, imageName, "%s %s", r.Method, r.Target)
	}
}
