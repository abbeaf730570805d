package artifact_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

var began = time.Date(2026, 8, 14, 9, 31, 7, 0, time.UTC)

// works is an Artifactory with one build: files by repository/path, those whose path ends in "*" with the build's
// properties.
type works struct {
	source
	build  artifact.Build
	files  map[string]string
	fails  error // of Built
	asked  []string
	unsure string // repository of unknown type
}

func sums(content string) (string, artifact.Digest) {
	sum := sha1.Sum([]byte(content))
	return hex.EncodeToString(sum[:]), sha256.Sum256([]byte(content))
}

func (w *works) Repository(_ context.Context, key string) (artifact.Repository, error) {
	r := artifact.Repository{Key: key, Class: artifact.Local, Package: "generic"}
	switch {
	case key == w.unsure:
		r.Package = ""
	case strings.HasSuffix(key, "-build-info"), key == "other-name":
		r.Package = "buildinfo"
	}
	return r, nil
}

func (w *works) Build(_ context.Context, ref artifact.Ref) (artifact.Build, error) {
	if !strings.HasPrefix(ref.Path, "app/7") {
		return artifact.Build{}, artifact.ErrGone
	}
	return w.build, nil
}

func (w *works) Built(_ context.Context, b artifact.Build, repos []string, found func(artifact.Info) error) error {
	w.asked = append(w.asked, repos...)
	for _, repo := range repos {
		if err := w.builtIn(b, repo, found); err != nil {
			return err
		}
	}
	return w.fails
}

func (w *works) builtIn(b artifact.Build, repo string, found func(artifact.Info) error) error {
	for place, content := range w.files {
		name, marked := strings.CutSuffix(place, "*")
		ref, err := artifact.ParseRef("main", name)
		if err != nil {
			return err
		}
		info := artifact.Info{Ref: ref}
		info.SHA1, info.SHA256 = sums(content)
		if content == "old server" {
			info.SHA256 = artifact.Digest{}
		}
		named := false
		for _, a := range b.Artifacts {
			named = named || repo != "" && a.SHA1 == info.SHA1
		}
		if (repo == "" || repo == ref.Repo) && (marked || named) {
			if err := found(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is a line of build-info; what says which digests it has: "1", "2", both, or neither.
func entry(content, what string) artifact.Built {
	b := artifact.Built{Name: content}
	one, two := sums(content)
	if strings.Contains(what, "1") {
		b.SHA1 = one
	}
	if strings.Contains(what, "2") {
		b.SHA256 = two
	}
	return b
}

// renamed is a line of build-info with another name, and perhaps a path.
func renamed(content, name, path string) artifact.Built {
	b := entry(content, "12")
	b.Name, b.Path = name, path
	return b
}

func promoted(repo string, after time.Duration) artifact.BuildPromotion {
	return artifact.BuildPromotion{Status: "released", Repo: repo, At: began.Add(after)}
}

func TestBears(t *testing.T) {
	t.Parallel()
	for repo, bears := range map[artifact.Repository]bool{
		{Key: "artifactory-build-info", Package: "buildinfo"}:  false,
		{Key: "team-build-info"}:                               false,
		{Key: "my-build-info", Package: "generic"}:             true,
		{Key: "release-bundles-v2", Package: "releasebundles"}: true,
		{Key: "oci-local", Package: "oci"}:                     true,
		{Key: "libs-local"}:                                    true,
	} {
		require.Equal(t, bears, artifact.Bears(repo), "%+v", repo)
	}
}

func TestBuildRepositories(t *testing.T) {
	t.Parallel()
	kind := func(repo, pkg, path string) artifact.Kind {
		ref, err := artifact.NewRef("main", repo, path)
		require.NoError(t, err)
		return artifact.KindOf(artifact.Repository{Key: repo, Package: pkg}, ref)
	}
	require.Equal(t, artifact.KindBuild, kind("artifactory-build-info", "buildinfo", "app/7-1.json"))
	require.Equal(t, artifact.KindBuild, kind("artifactory-build-info", "", "app/7-1.json"), "the token may not know")
	require.Equal(t, artifact.KindBuild, kind("team-build-info", "", "app/7"))
	require.Equal(t, artifact.KindBuild, kind("renamed", "buildinfo", "app/7-1.json"))
	require.Equal(t, artifact.KindFile, kind("my-build-info", "generic", "app/7-1.json"), "only called so")
	require.Equal(t, artifact.KindFile, kind("libs", "", "app/7-1.json"))
}

func TestExpandBuild(t *testing.T) {
	t.Parallel()
	wrong := entry("a", "12")
	_, wrong.SHA256 = sums("never built")
	one, _ := sums("a")
	two, _ := sums("b")
	for name, c := range map[string]struct {
		artifacts  []artifact.Built
		promotions []artifact.BuildPromotion
		files      map[string]string
		occasion   artifact.Occasion
		fails      error
		parts      []string
		lacking    []string
		asked      []string
		err        error
	}{
		"everywhere": {
			artifacts: []artifact.Built{entry("a", "12"), entry("b", "1"), entry("c", "2")},
			files:     map[string]string{"dev/x/a*": "a", "qa/x/b*": "b", "qa/y/c*": "c", "qa/unmarked": "a", "dev/other": "d"},
			parts:     []string{"dev/x/a", "qa/x/b", "qa/y/c"}, asked: []string{""},
		},
		"one digest at several paths": {
			artifacts: []artifact.Built{entry("a", "12"), entry("a", "12")}, files: map[string]string{"dev/a*": "a", "dev/b/a*": "a", "qa/a*": "a"},
			parts: []string{"dev/a", "dev/b/a", "qa/a"}, asked: []string{""},
		},
		"properties on other bytes": {
			artifacts: []artifact.Built{entry("a", "12")}, files: map[string]string{"dev/a*": "a", "dev/evil*": "evil"},
			parts: []string{"dev/a"}, asked: []string{""}, lacking: []string{"dev/evil has other bytes than build-info names"},
		},
		"wrong digest": {
			artifacts: []artifact.Built{wrong, entry("b", "12")}, files: map[string]string{"dev/a*": "a", "dev/b*": "b"},
			parts: []string{"dev/b"}, asked: []string{""},
			lacking: []string{"dev/a has other bytes than build-info names", "a (SHA-1 " + one + ") is not in any repository with the build's properties"},
		},
		"one of two with one SHA-1 has the right digest": {
			artifacts: []artifact.Built{wrong, entry("a", "12")}, files: map[string]string{"dev/a*": "a"}, parts: []string{"dev/a"}, asked: []string{""},
			lacking: []string{"a (SHA-1 " + one + ") is not in any repository with the build's properties"},
		},
		"missing digest, missing file": {
			artifacts: []artifact.Built{entry("a", ""), entry("a", "1"), entry("b", "1")}, files: map[string]string{"dev/b*": "b"}, parts: []string{"dev/b"}, asked: []string{""},
			lacking: []string{"a has no digest in build-info", "a (SHA-1 " + one + ") is not in any repository with the build's properties"},
		},
		"a server without SHA-256": {
			artifacts: []artifact.Built{entry("old server", "12")}, files: map[string]string{"dev/old server*": "old server"}, parts: []string{"dev/old server"}, asked: []string{""},
		},
		"bytes of the build under another name": {
			artifacts: []artifact.Built{entry("a", "12"), entry("b", "1")}, files: map[string]string{"dev/a*": "a", "dev/setup.exe*": "a", "dev/sub/setup.exe*": "b"},
			parts: []string{"dev/a"}, asked: []string{""},
			lacking: []string{"dev/setup.exe is called otherwise in build-info", "dev/sub/setup.exe is called otherwise in build-info", "b (SHA-1 " + two + ") is not in any repository with the build's properties"},
		},
		"promoted beside the same bytes of others": {
			artifacts: []artifact.Built{entry("a", "12")}, promotions: []artifact.BuildPromotion{promoted("rel", time.Hour)},
			files: map[string]string{"rel/a": "a", "rel/others/LICENSE": "a"}, occasion: artifact.Promoted, parts: []string{"rel/a"}, asked: []string{"rel"},
		},
		"one of two names": {
			artifacts: []artifact.Built{entry("a", "12"), renamed("a", "twin", "")}, files: map[string]string{"dev/a*": "a"},
			parts: []string{"dev/a"}, asked: []string{""},
		},
		"renamed when it was uploaded": {
			artifacts: []artifact.Built{renamed("a", "built.tgz", "app/1/app-1.tgz")}, files: map[string]string{"dev/elsewhere/app-1.tgz*": "a"},
			parts: []string{"dev/elsewhere/app-1.tgz"}, asked: []string{""},
		},
		"no name": {
			artifacts: []artifact.Built{renamed("a", "", "")}, files: map[string]string{"dev/a*": "a"}, asked: []string{""},
			lacking: []string{"dev/a is called otherwise in build-info", `the artifact with the SHA-1 "` + one + `" has no name in build-info`},
		},
		"a snapshot": {
			artifacts: []artifact.Built{renamed("a", "app-1.0-SNAPSHOT.jar", ""), renamed("b", "app-1.0-SNAPSHOT-sources.jar", "")},
			files: map[string]string{
				"dev/app/1.0-SNAPSHOT/app-1.0-20261122.101112-3.jar*": "a", "dev/app/1.0-SNAPSHOT/app-1.0-20261122.101112-3-sources.jar*": "b",
				"dev/app/1.0/app-1.0-20261122.101112-3.jar*": "a", "dev/app/1.0-SNAPSHOT/app-1.1-20261122.101112-3.jar*": "a",
			},
			parts: []string{"dev/app/1.0-SNAPSHOT/app-1.0-20261122.101112-3.jar", "dev/app/1.0-SNAPSHOT/app-1.0-20261122.101112-3-sources.jar"}, asked: []string{""},
			lacking: []string{"dev/app/1.0/app-1.0-20261122.101112-3.jar is called otherwise in build-info", "dev/app/1.0-SNAPSHOT/app-1.1-20261122.101112-3.jar is called otherwise in build-info"},
		},
		"an image": {
			artifacts: []artifact.Built{renamed("a", "list.manifest.json", ""), renamed("b", "manifest.json", ""), renamed("c", "sha256__0123", "")},
			files:     map[string]string{"dev/app/1/list.manifest.json*": "a", "dev/app/sha256:01/manifest.json*": "b", "dev/app/sha256:01/sha256__0123*": "c"},
			parts:     []string{"dev/app/1/list.manifest.json", "dev/app/sha256:01/manifest.json", "dev/app/sha256:01/sha256__0123"}, asked: []string{""},
		},
		"nothing built": {asked: []string{""}},
		"promoted": {
			artifacts: []artifact.Built{entry("a", "12"), entry("b", "12")}, promotions: []artifact.BuildPromotion{promoted("rel", time.Hour)},
			files:    map[string]string{"dev/a*": "a", "dev/b*": "b", "rel/a*": "a", "rel/without properties/b": "b", "rel/b.sig": "sig"},
			occasion: artifact.Promoted, parts: []string{"rel/a", "rel/without properties/b"}, asked: []string{"rel"},
		},
		"promoted in part": {
			artifacts: []artifact.Built{entry("b", "12"), entry("a", "12")}, promotions: []artifact.BuildPromotion{promoted("rel", time.Hour)},
			files: map[string]string{"dev/a*": "a", "rel/b": "b"}, occasion: artifact.Promoted, parts: []string{"rel/b"}, asked: []string{"rel"},
			lacking: []string{"a (SHA-1 " + one + ") is not in rel"},
		},
		"promoted several times, the newest on record only by status": {
			artifacts:  []artifact.Built{entry("a", "12")},
			promotions: []artifact.BuildPromotion{promoted("", 3*time.Hour), promoted("rel", 2*time.Hour), promoted("qa", time.Hour), promoted("rel", time.Minute), promoted("before", -time.Hour)},
			files:      map[string]string{"qa/a": "a", "rel/a": "a", "before/a": "a"}, occasion: artifact.Promoted, parts: []string{"qa/a", "rel/a"}, asked: []string{"rel", "qa"},
		},
		"only the status": {
			artifacts: []artifact.Built{entry("a", "12")}, promotions: []artifact.BuildPromotion{promoted("", time.Hour)}, occasion: artifact.Promoted,
		},
		"asked for after a promotion": {
			artifacts: []artifact.Built{entry("a", "12")}, promotions: []artifact.BuildPromotion{promoted("rel", time.Hour)},
			files: map[string]string{"dev/a*": "a", "rel/a": "a"}, parts: []string{"dev/a", "rel/a"}, asked: []string{"", "rel"},
		},
		"not on record yet":     {artifacts: []artifact.Built{entry("a", "12")}, occasion: artifact.Promoted, err: artifact.ErrUnpromoted},
		"on record for another": {promotions: []artifact.BuildPromotion{promoted("rel", -time.Hour)}, occasion: artifact.Promoted, err: artifact.ErrUnpromoted},
		"a path that cannot be named": {
			artifacts: []artifact.Built{entry("a", "12")}, files: map[string]string{"dev/a*": "a"}, fails: fmt.Errorf("%w: 1, such as x", artifact.ErrUnnamed),
			parts: []string{"dev/a"}, asked: []string{""}, lacking: []string{"paths that cannot be named safely: 1, such as x"},
		},
		"too much to look into": {
			artifacts: []artifact.Built{entry("a", "12")}, files: map[string]string{"dev/a*": "a"}, fails: fmt.Errorf("%w: rel", artifact.ErrUnsearched),
			parts: []string{"dev/a"}, asked: []string{""}, lacking: []string{"too much to look into: rel"},
		},
		"no answer": {artifacts: []artifact.Built{entry("a", "12")}, fails: errBroken, asked: []string{""}, err: errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &works{build: artifact.Build{Name: "app", Number: "7", Started: began, Artifacts: c.artifacts, Promotions: c.promotions}, files: c.files, fails: c.fails}
			ref, err := artifact.NewRef("main", "artifactory-build-info", "app/7-1.json")
			require.NoError(t, err)
			m, err := artifact.Resolve(t.Context(), w, ref)
			require.NoError(t, err)
			require.Equal(t, artifact.Meaning{Kind: artifact.KindBuild, Ref: ref, Repo: m.Repo}, m)
			require.True(t, m.Expands())
			require.Zero(t, m.Whole())
			x, err := artifact.Expand(t.Context(), w, m, c.occasion)
			require.Equal(t, c.asked, w.asked)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
				return
			}
			require.NoError(t, err)
			var parts []string
			for _, p := range x.Parts {
				parts = append(parts, p.String())
			}
			require.ElementsMatch(t, c.parts, parts)
			require.ElementsMatch(t, c.lacking, x.Lacking.Told)
			require.Equal(t, len(c.lacking), x.Lacking.Count)
			if len(c.promotions) > 0 {
				require.Equal(t, c.promotions[0].At, x.Promoted)
			}
		})
	}
}

var errBroken = errors.New("broken")

// A long history costs no more than its length.
func TestExpandBuildWithALongHistory(t *testing.T) {
	t.Parallel()
	w := &works{build: artifact.Build{Name: "app", Number: "7", Started: began, Artifacts: []artifact.Built{entry("a", "12")}}}
	for i := range 100_000 {
		w.build.Promotions = append(w.build.Promotions, promoted(fmt.Sprintf("repo-%06d", i), time.Hour))
	}
	ref, err := artifact.NewRef("main", "artifactory-build-info", "app/7-1.json")
	require.NoError(t, err)
	m, err := artifact.Resolve(t.Context(), w, ref)
	require.NoError(t, err)
	start := time.Now()
	x, err := artifact.Expand(t.Context(), w, m, artifact.Promoted)
	require.NoError(t, err)
	require.Less(t, time.Since(start), 5*time.Second, "quadratic it takes a quarter of a minute and more")
	require.Len(t, w.asked, 100)
	require.Contains(t, x.Lacking.Told[0], "it was promoted to 100000 repositories; 100 are looked into")
}

func TestABuildThatIsGone(t *testing.T) {
	t.Parallel()
	ref, err := artifact.NewRef("main", "artifactory-build-info", "app/8-1.json")
	require.NoError(t, err)
	m, err := artifact.Resolve(t.Context(), &works{}, ref)
	require.NoError(t, err)
	_, err = artifact.Expand(t.Context(), &works{}, m, artifact.Asked)
	require.ErrorIs(t, err, artifact.ErrGone)
}

// What is told does not grow with what is wrong.
func TestLackIsBounded(t *testing.T) {
	t.Parallel()
	var all []artifact.Built
	for range 5000 {
		all = append(all, artifact.Built{Name: strings.Repeat("ä", 5000)})
	}
	w := &works{build: artifact.Build{Started: began, Artifacts: all}}
	for i := range 300 {
		w.build.Promotions = append(w.build.Promotions, promoted(fmt.Sprint("rel", i), time.Hour))
	}
	x, err := artifact.Expand(t.Context(), w, artifact.Meaning{Kind: artifact.KindBuild, Ref: artifact.Ref{Repo: "x", Path: "app/7"}}, artifact.Promoted)
	require.NoError(t, err)
	require.Equal(t, 5001, x.Lacking.Count)
	require.Less(t, len(x.Lacking.String()), 4000)
	require.Contains(t, x.Lacking.String(), "; and 4991 more")
	require.Len(t, w.asked, 100)
}

func TestAFileHasNoParts(t *testing.T) {
	t.Parallel()
	require.False(t, artifact.Meaning{Kind: artifact.KindFile}.Expands())
	x, err := artifact.Expand(t.Context(), source{}, artifact.Meaning{Kind: artifact.KindFile}, artifact.Promoted)
	require.NoError(t, err)
	require.Zero(t, x)
}
