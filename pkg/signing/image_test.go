package signing_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	docker    = artifactorytest.OCIStaging
	imageName = "team/app"
)

const imagePolicy = `kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [` + docker + `, ` + artifactorytest.OCIRelease + `]}
sign:
  - {key: ` + key + `, formats: [sigstore, raw, cosign]}
`

// port is a rig for images.
type port struct {
	*rig
	artifactorytest.Registry
}

func newPort(t *testing.T, s setup) *port {
	t.Helper()
	s.repositories = artifactorytest.Wide().Repositories
	if s.policy == "" {
		s.policy = imagePolicy
	}
	r := newRig(t, s)
	return &port{rig: r, Registry: artifactorytest.NewRegistry(t, r.art, docker, artifactorytest.CI)}
}

// at is an event about a file of an image.
func (p *port) at(repo, path string) ledger.Event {
	ev := p.event(path)
	ev.Repo, ev.Domain, ev.Type = repo, "docker", "pushed"
	return ev
}

func (p *port) sign(path string) error { return p.service.Do(p.t.Context(), p.at(docker, path)) }

func (p *port) result(path string) ledger.Outcome {
	p.t.Helper()
	st, err := p.ledger.Status(p.t.Context(), artifact.Ref{Instance: "main", Repo: docker, Path: path})
	require.NoError(p.t, err)
	return st.Current
}

func (p *port) marks(path string) map[string][]string {
	p.t.Helper()
	f, ok := p.art.File(docker, path)
	require.True(p.t, ok, "%s is not there", path)
	return f.Properties
}

// subject is a manifest as the edge is asked about it.
func subject(repo string, m artifactorytest.Manifest) artifact.Subject {
	d, _ := artifact.ParseDigest(m.SHA256())
	return artifact.Subject{
		Kind: artifact.KindImage, Info: artifact.Info{Ref: artifact.Ref{Repo: repo, Path: imageName + "/x/manifest.json"}, SHA256: d},
		Image: artifact.Image{Name: imageName},
	}
}

// verified requires that exactly so many signatures stand with a manifest and that the key made each of them.
func (p *port) verified(m artifactorytest.Manifest, formats ...string) {
	p.t.Helper()
	p.verifiedIn(docker, m, formats...)
}

func (p *port) verifiedIn(repo string, m artifactorytest.Manifest, formats ...string) {
	p.t.Helper()
	found, err := p.client.Signatures(p.t.Context(), subject(repo, m))
	require.NoError(p.t, err)
	var got []string
	public, _ := p.keys.Key(key)
	for _, s := range found {
		f, _ := seal.Lookup(s.Format)
		require.NoError(p.t, f.Verify(public.PublicKey, seal.FromSHA256(subject(repo, m).SHA256), s.Content))
		got = append(got, s.Format)
	}
	require.Equal(p.t, formats, got)
}

func TestAnImageIsSigned(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]setup{
		"strict":           {},
		"no referrers API": {quirks: standin.Quirks{Referrers: "404"}},
		"basic":            {quirks: standin.Quirks{RegistryAuth: "basic", SubjectHeader: "omit"}},
		"P-384":            {keys: map[string]hsm.Algorithm{key: hsm.P384}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, s)
			m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
			path := imageName + "/1.0/manifest.json"
			require.NoError(t, p.sign(path))
			p.verified(m, "cosign")
			out := p.result(path)
			require.Equal(t, ledger.Signed, out.State)
			require.Len(t, out.Files, 1)
			require.True(t, strings.HasPrefix(out.Files[0], "sha256:"), out.Files)
			require.Equal(t, []string{"signed"}, p.marks(path)["hallmark.state"])
			require.Equal(t, []string{m.SHA256()}, p.marks(path)["hallmark.sha256"])
			require.Equal(t, 1, p.uses())

			// Again, under another tag, in another image of another repository: the same signature.
			require.NoError(t, p.sign(path))
			p.Put(imageName, ":latest", m)
			require.NoError(t, p.sign(imageName+"/latest/manifest.json"))
			elsewhere := artifactorytest.NewRegistry(t, p.art, artifactorytest.OCIRelease, artifactorytest.CI)
			elsewhere.Push(imageName, ":1.0", m)
			require.NoError(t, p.service.Do(t.Context(), p.at(artifactorytest.OCIRelease, path)))
			p.verified(m, "cosign")
			p.verifiedIn(artifactorytest.OCIRelease, m, "cosign")
			require.Equal(t, 1, p.uses(), "same manifest, same key: one signature")
		})
	}
}

func TestTheOlderFormat(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{policy: strings.ReplaceAll(imagePolicy, "cosign]", "cosign-tag]"), quirks: standin.Quirks{Referrers: "403"}})
	m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
	path := imageName + "/1.0/manifest.json"
	err := p.sign(path)
	require.NoError(t, err)
	require.Equal(t, []string{"sha256-" + m.SHA256() + ".sig"}, p.result(path).Files)
	require.NoError(t, p.sign(imageName+"/sha256-"+m.SHA256()+".sig/manifest.json"))
	require.Equal(t, reason.SignatureFile, p.result(imageName + "/sha256-" + m.SHA256() + ".sig/manifest.json").Reasons[0].Code)
	require.Equal(t, 1, p.uses())
}

func TestAnIndexIsSignedWithItsManifests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		platforms string
		signed    []int
	}{
		"all":  {"", []int{0, 1, 2}},
		"some": {"images: {platforms: [linux/amd64, \"windows/*\"]}\n", []int{0, 2}},
		"none": {"images: {platforms: [plan9/386]}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, setup{policy: imagePolicy + c.platforms})
			index, children := p.NewIndex("linux/amd64", "linux/arm64", "windows/amd64")
			p.Push(imageName, ":1.0", index)
			require.NoError(t, p.sign(imageName+"/1.0/list.manifest.json"))
			p.verified(index, "cosign")
			for i, child := range children {
				path := imageName + "/" + child.Digest + "/manifest.json"
				require.NoError(t, p.sign(path), "its own event, for it was pushed by digest")
				want := []string{"cosign"}
				if !slices.Contains(c.signed, i) {
					want = nil
					require.Equal(t, ledger.Skipped, p.result(path).State)
				} else {
					require.Equal(t, []string{"signed"}, p.marks(path)["hallmark.state"])
				}
				p.verified(child, want...)
			}
			require.Equal(t, 1+len(c.signed), p.uses())
		})
	}
}

// An index may be announced before its manifests are there.
func TestAnIndexIsSignedOnceItIsWhole(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{quirks: standin.Quirks{MissingChildren: "accept"}})
	index, children := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(imageName, "@"+children[0].Digest, children[0])
	p.Put(imageName, ":1.0", index)
	path := imageName + "/1.0/list.manifest.json"
	require.Error(t, p.sign(path))
	require.Equal(t, ledger.Failed, p.result(path).State)
	require.Equal(t, reason.ImageIncomplete, p.result(path).Reasons[0].Code)
	require.Zero(t, p.uses())
	p.Push(imageName, "@"+children[1].Digest, children[1])
	require.NoError(t, p.sign(path))
	p.verified(index, "cosign")
	require.Equal(t, 3, p.uses())
}

// What an image consists of besides its manifest costs nothing.
func TestLayersCostNothing(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{})
	m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
	require.NoError(t, p.sign(imageName+"/1.0/manifest.json"))
	p.art.ForgetRequests()
	parts := 0
	for _, path := range p.art.Paths(docker) {
		if strings.Contains(path, "/1.0/sha256__") {
			require.NoError(t, p.sign(path))
			require.Equal(t, []reason.Code{reason.PartOfImage}, []reason.Code{p.result(path).Reasons[0].Code})
			parts++
		}
	}
	require.Equal(t, 2, parts, "a layer and the configuration")
	require.Zero(t, p.art.CountRequests("", ""))

	// Nor is a signature of ours signed.
	for _, d := range p.Referrers(imageName, m) {
		path := imageName + "/" + d + "/manifest.json"
		require.NoError(t, p.sign(path))
		require.Equal(t, reason.SignatureFile, p.result(path).Reasons[0].Code)
		require.Empty(t, p.marks(path)["hallmark.state"])
	}
	require.Equal(t, 1, p.uses())
}

func TestNoFormatForImages(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{policy: strings.ReplaceAll(imagePolicy, ", cosign]", "]")})
	p.Push(imageName, ":1.0", p.New("linux/amd64"))
	path := imageName + "/1.0/manifest.json"
	require.NoError(t, p.sign(path))
	require.Equal(t, ledger.Denied, p.result(path).State)
	require.Equal(t, reason.FormatUnfit, p.result(path).Reasons[0].Code)
	require.Contains(t, p.result(path).Reasons[0].Fix, "cosign")
	require.Equal(t, []string{"denied"}, p.marks(path)["hallmark.state"])
}

// The tag is given to another image while the first is being signed: nothing says that the second is signed, until it is.
func TestATagThatMoves(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{})
	p.Push(imageName, ":1.0", p.New("linux/amd64"))
	path, second := imageName+"/1.0/manifest.json", p.New("linux/amd64")
	once := false
	p.commits.set(func(phase ledger.CommitPhase) error { // the first commit is the intent
		if phase == ledger.AfterCommit && !once {
			once = true
			p.Push(imageName, ":1.0", second)
		}
		return nil
	})
	require.Error(t, p.sign(path))
	require.Equal(t, ledger.Changed, p.result(path).State)
	require.Empty(t, p.marks(path)["hallmark.state"])
	require.NoError(t, p.sign(path))
	p.verified(second, "cosign")
	require.Equal(t, []string{second.SHA256()}, p.marks(path)["hallmark.sha256"])
}

// The registry says no: the outcome names the right that is missing, and more referrers than are read are told as such.
func TestTheRegistryRefuses(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{quirks: standin.Quirks{Referrers: "403"}})
	m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
	path := imageName + "/1.0/manifest.json"
	require.Error(t, p.sign(path))
	why := p.result(path).Reasons[0]
	require.Equal(t, reason.StoreRefused, why.Code)
	require.Contains(t, why.Expected, "read, deploy and annotate in "+docker)
	require.Empty(t, p.marks(path)["hallmark.state"])
	require.NoError(t, p.art.SetQuirks(standin.Quirks{}))
	for range 65 {
		p.Refer(imageName, m, "application/spdx+json", []byte(m.Digest+p.path("x")))
	}
	require.Error(t, p.sign(path))
	require.Equal(t, reason.SignaturesTooMany, p.result(path).Reasons[0].Code)
	require.Equal(t, 1, p.uses(), "what was made is kept")
}

// What somebody wrote where signatures are listed ends the work with advice: no repetition mends it.
func TestDamagedListOfSignatures(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{quirks: standin.Quirks{Referrers: "404"}})
	m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
	p.Push(imageName, ":"+strings.Replace(m.Digest, ":", "-", 1), p.New("linux/arm64"))
	path := imageName + "/1.0/manifest.json"
	err := p.sign(path)
	require.ErrorIs(t, err, artifactory.ErrDamaged)
	require.IsType(t, job.Permanent(err), err, "no repetition mends it")
	require.Equal(t, reason.SignaturesDamaged, p.result(path).Reasons[0].Code)
}
