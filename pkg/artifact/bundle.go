package artifact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// KindBundle is a release bundle v2: one subject, the file in which Artifactory lists the bundle's contents with their
// digests (release-bundle.json.evd). A signature of it covers them all. Its parts are the contents where promotions put
// them.
const KindBundle Kind = "bundle"

// ErrFrozen means a file that Artifactory keeps as part of a release bundle. Nothing about it can be changed.
var ErrFrozen = errors.New("is frozen as part of a release bundle")

// Bundle is a release bundle v2. Its contents are those of the moment when it was made.
type Bundle struct {
	Name, Version string
	Project       string // key; "" for none
	Status        string
	Contents      []Bundled
	Promotions    []BundlePromotion // the newest first
}

// Bundled is one artifact of a bundle: where it came from, and its bytes.
type Bundled struct {
	Ref    Ref    // in the repository that it came from
	SHA256 Digest // zero when the bundle tells none
}

// BundlePromotion is one promotion of a bundle into an environment.
type BundlePromotion struct {
	Environment string
	Status      string   // COMPLETED, FAILED, …
	Repos       []string // that it was limited to; empty also where Artifactory does not tell
	At          time.Time
	By          string // the user who asked for it; "" when Artifactory does not tell
}

// Release bundles have repositories of their own, one for each project.
const (
	// BundleRepo is that of no project; a project's is called <project>-release-bundles-v2.
	BundleRepo = "release-bundles-v2"

	bundlePackage = "releasebundles"
	bundleRecord  = "release-bundle.json.evd"
)

func isBundle(repo Repository, ref Ref) bool {
	if repo.Package == "" {
		return strings.HasSuffix("-"+ref.Repo, "-"+BundleRepo)
	}
	return repo.Package == bundlePackage
}

// IsBundleRecord reports whether a file of a repository of release bundles is the one that is signed.
func IsBundleRecord(ref Ref) bool {
	return strings.Count(ref.Path, "/") == 2 && ref.Name() == bundleRecord
}

func resolveBundle(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	if !IsBundleRecord(ref) {
		return nil, ErrFrozen
	}
	info, err := src.Info(ctx, ref)
	if err != nil {
		return nil, err
	}
	return []Subject{{Kind: KindBundle, Info: info}}, nil
}

// expandBundle finds a bundle's contents where promotions put them: at the same paths in the repositories that the
// promotions were limited to. Where the record names none, that is everywhere but where they came from.
func expandBundle(ctx context.Context, src Source, ref Ref, o Occasion) (Expansion, error) {
	b, err := src.Bundle(ctx, ref)
	if err != nil {
		return Expansion{}, err
	}
	repos, promoted := b.targets()
	switch {
	case !promoted && o == Promoted:
		return Expansion{}, fmt.Errorf("release bundle %q version %q: %w", b.Name, b.Version, ErrUnpromoted)
	case !promoted:
		return Expansion{}, nil
	}
	a := arrivals{repos: repos, wanted: map[string][]Bundled{}, seen: map[Ref]bool{}, found: map[Bundled]bool{}}
	a.Promoted = b.Promotions[0].At
	contents, err := subjectsAmong(ctx, src, b.Contents)
	if err != nil {
		return Expansion{}, err
	}
	for _, x := range contents {
		a.wanted[x.Ref.Path] = append(a.wanted[x.Ref.Path], x)
	}
	err = src.Copies(ctx, contents, a.take)
	switch {
	case errors.Is(err, ErrUnnamed):
		a.Lacking.Add("%v", err)
	case err != nil:
		return Expansion{}, err
	}
	for _, x := range contents {
		if !a.found[x] {
			a.Lacking.Add("%s (SHA-256 %s) is not %s", x.Ref.Path, x.SHA256, where(repos))
		}
	}
	return a.Expansion, nil
}

// targets are the repositories that complete promotions were limited to: none when one of them names none.
func (b Bundle) targets() (repos []string, promoted bool) {
	everywhere := false
	for _, p := range b.Promotions {
		if p.Status != "COMPLETED" {
			continue
		}
		promoted = true
		everywhere = everywhere || len(p.Repos) == 0
		for _, r := range p.Repos {
			if !slices.Contains(repos, r) {
				repos = append(repos, r)
			}
		}
	}
	if everywhere {
		repos = nil
	}
	return repos, promoted
}

func where(repos []string) string {
	if len(repos) == 0 {
		return "in any repository that it did not come from"
	}
	return "in " + strings.Join(repos, " or ")
}

// subjectsAmong leaves out the layers of images, most of what an image is: the manifest covers them.
func subjectsAmong(ctx context.Context, src Source, contents []Bundled) ([]Bundled, error) {
	known := map[string]Repository{}
	var out []Bundled
	for _, x := range contents {
		repo, ok := known[x.Ref.Repo]
		if !ok {
			var err error
			// One that is no more, or closed to the token, may have been of any type.
			if repo, err = src.Repository(ctx, x.Ref.Repo); ctx.Err() != nil {
				return nil, err
			}
			known[x.Ref.Repo] = repo
		}
		if name, _ := imagePlace(x.Ref); name == "" && isImage(repo, x.Ref) {
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

// arrivals gathers the parts of a bundle.
type arrivals struct {
	Expansion
	repos  []string             // that count; none means all
	wanted map[string][]Bundled // by path
	seen   map[Ref]bool
	found  map[Bundled]bool
}

// take judges one file that was found.
func (a *arrivals) take(i Info) error {
	if a.seen[i.Ref] || len(a.repos) > 0 && !slices.Contains(a.repos, i.Ref.Repo) {
		return nil
	}
	for _, x := range a.wanted[i.Ref.Path] {
		if len(a.repos) == 0 && i.Ref.Repo == x.Ref.Repo || !x.SHA256.IsZero() && i.SHA256 != x.SHA256 {
			continue
		}
		a.found[x] = true
		if a.seen[i.Ref] {
			continue
		}
		a.seen[i.Ref] = true
		if len(a.Parts) == maxParts {
			a.Lacking.Add("%s is beyond the %d files that are worked on", i.Ref, maxParts)
			continue
		}
		a.Parts = append(a.Parts, i.Ref)
	}
	return nil
}
