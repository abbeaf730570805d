package artifact_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// shipment is an Artifactory with one release bundle: files by repository/path.
type shipment struct {
	source
	bundle artifact.Bundle
	files  map[string]string
	fails  error // of Copies
	closed bool  // repositories' types are not told
}

const recordPath = "gateway-suite/2026.8.1/release-bundle.json.evd"

func (s *shipment) Info(_ context.Context, ref artifact.Ref) (artifact.Info, error) {
	content, ok := s.files[ref.String()]
	if !ok {
		return artifact.Info{}, artifact.ErrGone
	}
	info := artifact.Info{Ref: ref}
	info.SHA1, info.SHA256 = sums(content)
	return info, nil
}

func (s *shipment) Repository(_ context.Context, key string) (artifact.Repository, error) {
	r := artifact.Repository{Key: key, Class: artifact.Local, Package: "generic"}
	switch {
	case key == "gone-local":
		return artifact.Repository{}, artifact.ErrGone
	case s.closed:
		r.Package = ""
	case strings.HasPrefix(key, "oci"):
		r.Package = "docker"
	case strings.HasSuffix(key, "release-bundles-v2"):
		r.Package = "releasebundles"
	}
	return r, nil
}

func (s *shipment) Bundle(_ context.Context, ref artifact.Ref) (artifact.Bundle, error) {
	if ref.Path != recordPath {
		return artifact.Bundle{}, artifact.ErrGone
	}
	return s.bundle, nil
}

// Copies answers more than it was asked for, as a server may.
func (s *shipment) Copies(ctx context.Context, of []artifact.Bundled, found func(artifact.Info) error) error {
	for place := range s.files {
		ref, err := artifact.ParseRef("main", place)
		if err != nil {
			return err
		}
		info, _ := s.Info(ctx, ref)
		for range min(2, len(of)) {
			if err := found(info); err != nil {
				return err
			}
		}
	}
	return s.fails
}

func content(place, what string) artifact.Bundled {
	ref, err := artifact.ParseRef("main", place)
	if err != nil {
		panic(err)
	}
	x := artifact.Bundled{Ref: ref}
	if what != "" {
		_, x.SHA256 = sums(what)
	}
	return x
}

func went(status string, repos ...string) artifact.BundlePromotion {
	return artifact.BundlePromotion{Environment: "PROD", Status: status, Repos: repos, At: began.Add(time.Hour)}
}

func (s *shipment) expand(t *testing.T, o artifact.Occasion) (artifact.Expansion, error) {
	t.Helper()
	ref, err := artifact.NewRef("main", "release-bundles-v2", recordPath)
	require.NoError(t, err)
	m, err := artifact.Resolve(t.Context(), s, ref)
	require.NoError(t, err)
	require.Equal(t, artifact.KindBundle, m.Kind)
	require.True(t, m.Expands())
	require.Equal(t, ref, m.Whole().Ref)
	return artifact.Expand(t.Context(), s, m, o)
}

func TestBundleRepositories(t *testing.T) {
	t.Parallel()
	for repo, kind := range map[string]artifact.Kind{
		"release-bundles-v2 ": artifact.KindBundle, "fw-release-bundles-v2 ": artifact.KindBundle, "anything releasebundles": artifact.KindBundle,
		"release-bundles-v2 releasebundles": artifact.KindBundle, "release-bundles-v2 generic": artifact.KindFile,
		"xrelease-bundles-v2 ": artifact.KindFile, "release-bundles ": artifact.KindFile,
	} {
		key, pkg, _ := strings.Cut(repo, " ")
		ref, err := artifact.NewRef("main", key, "a/b/c")
		require.NoError(t, err)
		require.Equal(t, kind, artifact.KindOf(artifact.Repository{Key: key, Package: pkg}, ref), repo)
	}
}

// Only the record is signed. What else is kept there is frozen, also what is called like a record.
func TestBundleContentIsFrozen(t *testing.T) {
	t.Parallel()
	s := &shipment{files: map[string]string{}}
	for path, want := range map[string]error{
		recordPath: nil,
		"gateway-suite/2026.8.1/artifacts/generic/app/a.tgz":                   artifact.ErrFrozen,
		"gateway-suite/2026.8.1/artifacts/generic/app/release-bundle.json.evd": artifact.ErrFrozen,
		"release-bundle.json.evd":                                              artifact.ErrFrozen,
		".evidence/0f/1e/signature-1.json":                                     artifact.ErrFrozen,
		"gateway-suite/2026.8.2/release-bundle.json.evd":                       artifact.ErrGone,
	} {
		if !errors.Is(want, artifact.ErrGone) {
			s.files["fw-release-bundles-v2/"+path] = path
		}
		ref, err := artifact.NewRef("main", "fw-release-bundles-v2", path)
		require.NoError(t, err)
		require.Equal(t, strings.Count(path, "/") == 2 && strings.HasSuffix(path, "release-bundle.json.evd"), artifact.IsBundleRecord(ref), path)
		_, err = artifact.Resolve(t.Context(), s, ref)
		require.ErrorIs(t, err, want, path)
	}
}

func TestExpandBundle(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"release-bundles-v2/" + recordPath: "record",
		"staging/app/a.tgz":                "a", "release/app/a.tgz": "a", "backup/app/a.tgz": "a", "other/app/a.tgz": "not a",
		"staging/app/b.tgz":                   "b",
		"release/old.tgz":                     "of an old server",
		"oci-release/gateway/1/manifest.json": "m", "oci-release/gateway/1/sha256__00": "layer",
	}
	a, b, old := content("staging/app/a.tgz", "a"), content("staging/app/b.tgz", "b"), content("staging/old.tgz", "")
	manifest, layer := content("oci-staging/gateway/1/manifest.json", "m"), content("oci-staging/gateway/1/sha256__00", "layer")
	for name, c := range map[string]struct {
		contents   []artifact.Bundled
		promotions []artifact.BundlePromotion
		closed     bool
		parts      []string
		lacking    []string
	}{
		"nowhere named: wherever they are": {
			contents: []artifact.Bundled{a, b}, promotions: []artifact.BundlePromotion{went("COMPLETED")},
			parts: []string{"release/app/a.tgz", "backup/app/a.tgz"}, lacking: []string{"app/b.tgz (SHA-256 " + b.SHA256.String() + ") is not in any repository that it did not come from"},
		},
		"one named": {
			contents: []artifact.Bundled{a, b}, promotions: []artifact.BundlePromotion{went("COMPLETED", "release")},
			parts: []string{"release/app/a.tgz"}, lacking: []string{"app/b.tgz (SHA-256 " + b.SHA256.String() + ") is not in release"},
		},
		"several promotions, the staging repository among them": {
			contents:   []artifact.Bundled{a, b},
			promotions: []artifact.BundlePromotion{went("FAILED", "other"), went("COMPLETED", "release", "staging"), went("COMPLETED", "release")},
			parts:      []string{"release/app/a.tgz", "staging/app/a.tgz", "staging/app/b.tgz"},
		},
		"one of them names none": {
			contents: []artifact.Bundled{a}, promotions: []artifact.BundlePromotion{went("COMPLETED", "release"), went("COMPLETED")},
			parts: []string{"release/app/a.tgz", "backup/app/a.tgz"},
		},
		"other bytes at the path": {
			contents: []artifact.Bundled{a}, promotions: []artifact.BundlePromotion{went("COMPLETED", "other")},
			lacking: []string{"app/a.tgz (SHA-256 " + a.SHA256.String() + ") is not in other"},
		},
		"bytes unknown": {
			contents: []artifact.Bundled{old}, promotions: []artifact.BundlePromotion{went("COMPLETED")}, parts: []string{"release/old.tgz"},
		},
		"images without their layers": {
			contents: []artifact.Bundled{layer, manifest}, promotions: []artifact.BundlePromotion{went("COMPLETED")}, parts: []string{"oci-release/gateway/1/manifest.json"},
		},
		"a layer for all that is known": {
			contents: []artifact.Bundled{layer}, promotions: []artifact.BundlePromotion{went("COMPLETED")}, closed: true, parts: []string{"oci-release/gateway/1/sha256__00"},
		},
		"the source repository is gone": {
			contents: []artifact.Bundled{content("gone-local/app/a.tgz", "a")}, promotions: []artifact.BundlePromotion{went("COMPLETED", "release")},
			parts: []string{"release/app/a.tgz"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shipment{files: files, closed: c.closed, bundle: artifact.Bundle{Name: "gateway-suite", Version: "2026.8.1", Contents: c.contents, Promotions: c.promotions}}
			for _, o := range []artifact.Occasion{artifact.Promoted, artifact.Asked} {
				x, err := s.expand(t, o)
				require.NoError(t, err)
				var parts []string
				for _, p := range x.Parts {
					parts = append(parts, p.String())
				}
				require.ElementsMatch(t, c.parts, parts)
				require.Equal(t, c.lacking, x.Lacking.Told)
				require.Equal(t, c.promotions[0].At, x.Promoted)
			}
		})
	}
}

// A promotion that is not on record yet, or failed, has brought nothing. Somebody who asks is told of no parts.
func TestExpandBundleUnpromoted(t *testing.T) {
	t.Parallel()
	s := &shipment{files: map[string]string{"release-bundles-v2/" + recordPath: "record", "release/a": "a"}}
	s.bundle = artifact.Bundle{Name: "gateway-suite", Version: "2026.8.1", Contents: []artifact.Bundled{content("staging/a", "a")}}
	for _, promotions := range [][]artifact.BundlePromotion{nil, {went("PROCESSING")}, {went("FAILED", "release")}} {
		s.bundle.Promotions = promotions
		_, err := s.expand(t, artifact.Promoted)
		require.ErrorIs(t, err, artifact.ErrUnpromoted)
		x, err := s.expand(t, artifact.Asked)
		require.NoError(t, err)
		require.Empty(t, x)
	}
	s.bundle.Promotions = []artifact.BundlePromotion{went("COMPLETED")}
	s.fails = fmt.Errorf("%w: 2 of them", artifact.ErrUnnamed)
	x, err := s.expand(t, artifact.Promoted)
	require.NoError(t, err)
	require.Len(t, x.Parts, 1)
	require.Equal(t, 1, x.Lacking.Count)
	s.fails = errors.New("down")
	_, err = s.expand(t, artifact.Promoted)
	require.ErrorIs(t, err, s.fails)
}
