package artifactory_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// shelf has the index app:1 with its two manifests, the image app:2, one referrer of the index and its cosign tag.
func shelf(t *testing.T, quirks standin.Quirks) (s *standin.Server, idx v1.ImageIndex, referrer v1.Hash) {
	t.Helper()
	s, idx = registry(t, quirks), multi(t)
	require.NoError(t, remote.WriteIndex(ref(t, s, ociStaging+"/app:1"), idx, as(artifactorytest.CI)))
	push(t, s, ociStaging+"/app:2", image(t, nil))
	digest, err := idx.Digest()
	require.NoError(t, err)
	subject := ref(t, s, ociStaging+"/app@"+digest.String()).(name.Digest)
	desc, err := remote.Head(subject, as(artifactorytest.CI))
	require.NoError(t, err)
	signature := mutate.Subject(mutate.MediaType(image(t, nil), types.OCIManifestSchema1), *desc).(v1.Image)
	referrer, err = signature.Digest()
	require.NoError(t, err)
	require.NoError(t, remote.Write(subject.Context().Digest(referrer.String()), signature, as(artifactorytest.CI)))
	push(t, s, ociStaging+"/app:"+strings.Replace(digest.String(), ":", "-", 1)+".sig", image(t, nil))
	return s, idx, referrer
}

// folders are the tags and digests that have a manifest, with the image's name before them.
func folders(s *standin.Server, repo string) []string {
	var out []string
	for _, p := range s.Paths(repo) {
		if strings.HasSuffix(p, "manifest.json") {
			out = append(out, p[:strings.LastIndexByte(p, '/')])
		}
	}
	slices.Sort(out)
	return out
}

func TestServicesPromoteImage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		token   string
		quirks  standin.Quirks
		change  func(*services.DockerPromoteParams)
		before  func(t *testing.T, s *standin.Server)
		ok      bool
		target  []string // of "1", "2", "amd", "arm", "ref", "sig" below an image
		staging []string
	}{
		{name: "copy an index", ok: true, target: []string{"app/1", "app/amd", "app/arm"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "move an index", change: func(p *services.DockerPromoteParams) { p.Copy = false }, ok: true, target: []string{"app/1", "app/amd", "app/arm"}, staging: []string{"2", "ref", "sig"}},
		{name: "move an index whose parts another needs", change: func(p *services.DockerPromoteParams) { p.Copy = false }, before: func(t *testing.T, s *standin.Server) {
			idx, err := remote.Index(ref(t, s, ociStaging+"/app:1"), as(artifactorytest.CI))
			require.NoError(t, err)
			require.NoError(t, remote.Tag(ref(t, s, ociStaging+"/app:same").Context().Tag("same"), idx, as(artifactorytest.CI)))
		}, ok: true, target: []string{"app/1", "app/amd", "app/arm"}, staging: []string{"2", "amd", "arm", "ref", "same", "sig"}},
		{name: "an image", change: func(p *services.DockerPromoteParams) { p.SourceTag = "2" }, ok: true, target: []string{"app/2"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "renamed", change: func(p *services.DockerPromoteParams) {
			p.SourceTag, p.TargetTag, p.TargetDockerImage = "2", "stable", "team/app"
		}, ok: true, target: []string{"team/app/stable"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "referrers follow", quirks: standin.Quirks{PromotedReferrers: "follow"}, ok: true, target: []string{"app/1", "app/amd", "app/arm", "app/ref"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "all tags", change: func(p *services.DockerPromoteParams) { p.SourceTag = "" }, ok: true, target: []string{"app/1", "app/2", "app/amd", "app/arm", "app/ref", "app/sig"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "latest", quirks: standin.Quirks{PromoteNoTag: "latest"}, change: func(p *services.DockerPromoteParams) { p.SourceTag = "" }, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "unknown tag", change: func(p *services.DockerPromoteParams) { p.SourceTag = "3" }, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "bad tag", change: func(p *services.DockerPromoteParams) { p.TargetTag = "a/b" }, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "repository of files", change: func(p *services.DockerPromoteParams) { p.TargetRepo = "files" }, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "virtual target", change: func(p *services.DockerPromoteParams) { p.TargetRepo = "oci" }, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "not permitted", token: artifactorytest.Reader, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "parts are there already", token: artifactorytest.Signer, before: func(t *testing.T, s *standin.Server) {
			idx, err := remote.Index(ref(t, s, ociStaging+"/app:1"), as(artifactorytest.CI))
			require.NoError(t, err)
			require.NoError(t, remote.WriteIndex(ref(t, s, ociRelease+"/app:0"), idx, as(artifactorytest.CI)))
		}, ok: true, target: []string{"app/0", "app/1", "app/amd", "app/arm"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "tag taken", token: artifactorytest.Signer, before: func(t *testing.T, s *standin.Server) {
			push(t, s, ociRelease+"/app:1", image(t, nil))
		}, target: []string{"app/1"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
		{name: "tag taken and overwritten", before: func(t *testing.T, s *standin.Server) {
			push(t, s, ociRelease+"/app:1", image(t, nil))
		}, ok: true, target: []string{"app/1", "app/amd", "app/arm"}, staging: []string{"1", "2", "amd", "arm", "ref", "sig"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, idx, referrer := shelf(t, tt.quirks)
			m, err := idx.IndexManifest()
			require.NoError(t, err)
			digest, err := idx.Digest()
			require.NoError(t, err)
			if tt.before != nil {
				tt.before(t, s)
			}
			token := tt.token
			if token == "" {
				token = artifactorytest.CI
			}
			p := services.NewDockerPromoteParams("app", ociStaging, ociRelease)
			p.SourceTag, p.Copy = "1", true
			if tt.change != nil {
				tt.change(&p)
			}
			err = client(t, s, token).PromoteDocker(p)
			require.Equal(t, tt.ok, err == nil, "%v", err)
			short := strings.NewReplacer(m.Manifests[0].Digest.String(), "amd", m.Manifests[1].Digest.String(), "arm", referrer.String(), "ref", "sha256-"+digest.Hex+".sig", "sig")
			named := func(repo, prefix string) []string {
				var out []string
				for _, f := range folders(s, repo) {
					out = append(out, short.Replace(strings.TrimPrefix(f, prefix)))
				}
				slices.Sort(out)
				return out
			}
			require.Equal(t, tt.target, named(ociRelease, ""))
			require.Equal(t, tt.staging, named(ociStaging, "app/"))
			if !tt.ok {
				return
			}
			for _, at := range folders(s, ociRelease) { // everything there is whole
				if i := strings.LastIndexByte(at, '/'); !strings.Contains(at, ":") {
					d, err := remote.Get(ref(t, s, ociRelease+"/"+at[:i]+":"+at[i+1:]), as(artifactorytest.Reader))
					require.NoError(t, err)
					f, _ := s.File(ociRelease, at+"/"+map[bool]string{true: "list.manifest.json", false: "manifest.json"}[d.MediaType.IsIndex()])
					require.Equal(t, [][]string{{at[i+1:]}, {at[:i]}}, [][]string{f.Properties["docker.manifest"], f.Properties["docker.repoName"]})
				}
			}
			if slices.Contains(tt.target, "app/arm") {
				img, err := remote.Image(ref(t, s, ociRelease+"/app:1"), as(artifactorytest.Reader), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))
				require.NoError(t, err)
				layers, err := img.Layers()
				require.NoError(t, err)
				_, err = layers[1].Compressed()
				require.NoError(t, err)
			}
		})
	}
}

func TestDeliveryOfImagePromotion(t *testing.T) {
	t.Parallel()
	for quirk, copied := range map[string]int{"": 9, "promoted": 0} {
		s, idx, _ := shelf(t, standin.Quirks{PromotionEvents: quirk})
		r, items := newReceiver(t), newReceiver(t)
		sub := subscription(r)
		sub.Key, sub.EventFilter.Domain, sub.EventFilter.EventTypes = "images", "docker", []string{"promoted"}
		sub.EventFilter.Criteria = standin.Criteria{RepoKeys: []string{ociStaging}}
		require.NoError(t, s.AddSubscription(sub))
		sub = subscription(items)
		sub.EventFilter.EventTypes = []string{"copied"}
		require.NoError(t, s.AddSubscription(sub))
		p := services.NewDockerPromoteParams("app", ociStaging, ociRelease)
		p.SourceTag, p.TargetTag, p.Copy = "1", "stable", true
		require.NoError(t, client(t, s, artifactorytest.CI).PromoteDocker(p))
		delivered(t, s)
		require.Len(t, items.received(), copied)
		require.Len(t, r.received(), 1)
		var got struct {
			Data map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(r.received()[0].body), &got))
		digest, err := idx.Digest()
		require.NoError(t, err)
		require.Equal(t, digest.Hex, got.Data["sha256"])
		for field, want := range map[string]string{
			"repo_key": ociStaging, "path": "app/1/list.manifest.json", "image_name": "app", "tag": "1", "target_repo": ociRelease, "target_tag": "stable", "image_type": "docker",
		} {
			require.Equal(t, want, got.Data[field], field)
		}
	}
}
