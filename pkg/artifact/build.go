package artifact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// KindBuild is the record of a build. It is not signed itself; its parts are the files that the build made, each signed,
// or not, as the policy of its own repository has it.
const KindBuild Kind = "build"

// Build is one run of CI as Artifactory records it: build-info.
type Build struct {
	Name, Number string
	Project      string // key; "" for none
	Started      time.Time
	Artifacts    []Built          // of all modules, in order; an entry may lack digests
	Promotions   []BuildPromotion // the newest first
}

// Built is one artifact that build-info names. It names no place.
type Built struct {
	Name   string
	SHA1   string // lowercase hexadecimal; "" when build-info has none
	SHA256 Digest // zero when build-info has none
}

// BuildPromotion is one line of a build's history.
type BuildPromotion struct {
	Status string
	Repo   string // "" when only the status changed
	At     time.Time
}

// Build-info has repositories of its own, one for each project.
const (
	buildPackage    = "buildinfo"
	buildRepoSuffix = "-build-info"
)

// maxTargets bounds the repositories that one build is looked for in.
const maxTargets = 100

func isBuild(repo Repository, ref Ref) bool {
	if repo.Package == "" {
		return strings.HasSuffix(ref.Repo, buildRepoSuffix)
	}
	return repo.Package == buildPackage
}

// expandBuild finds the files of a build: in the repositories that it was promoted to when that is what happened, else
// everywhere. A file belongs to the build when its bytes are those that build-info names; that it bears the build's
// properties is not enough, for anybody may set them.
func expandBuild(ctx context.Context, src Source, ref Ref, o Occasion) (Expansion, error) {
	b, err := src.Build(ctx, ref)
	if err != nil {
		return Expansion{}, err
	}
	repos := b.targets()
	if o == Promoted && !slices.ContainsFunc(b.Promotions, b.after) {
		return Expansion{}, fmt.Errorf("build %q number %q: %w", b.Name, b.Number, ErrUnpromoted)
	}
	where := "in " + strings.Join(repos, " or ")
	if o == Asked {
		repos, where = append([]string{""}, repos...), "in any repository with the build's properties"
	}
	m := muster{named: named(b.Artifacts), found: named(nil), seen: map[Ref]bool{}}
	if len(b.Promotions) > 0 {
		m.Promoted = b.Promotions[0].At
	}
	if len(repos) > maxTargets {
		m.Lacking.Add("it was promoted to %d repositories; %d are looked into", len(repos), maxTargets)
		repos = repos[:maxTargets]
	}
	for _, repo := range repos {
		err := src.Built(ctx, b, repo, m.take)
		switch {
		case errors.Is(err, ErrUnnamed):
			m.Lacking.Add("%v", err)
		case err != nil:
			return Expansion{}, err
		}
	}
	if len(repos) > 0 { // else only its status changed
		m.missing(b.Artifacts, where)
	}
	return m.Expansion, nil
}

// targets are the repositories that the build was promoted to since it began: an event does not say which promotion it
// is about, and the newest may not be on record yet.
func (b Build) targets() []string {
	var repos []string
	for _, p := range b.Promotions {
		if p.Repo != "" && b.after(p) && !slices.Contains(repos, p.Repo) {
			repos = append(repos, p.Repo)
		}
	}
	return repos
}

// after reports whether a promotion is of this run, not of an earlier one with the same number.
func (b Build) after(p BuildPromotion) bool { return !p.At.Before(b.Started) }

// digests are those of a build-info's artifacts. A SHA-1 counts only where build-info, or Artifactory, has no SHA-256.
type digests struct {
	sha256 map[Digest]bool
	alone  map[string]bool // SHA-1 of artifacts without a SHA-256
	sha1   map[string]bool // of all artifacts
}

func named(artifacts []Built) digests {
	d := digests{sha256: map[Digest]bool{}, alone: map[string]bool{}, sha1: map[string]bool{}}
	for _, a := range artifacts {
		d.add(a.SHA1, a.SHA256)
	}
	return d
}

func (d digests) add(sha1 string, sha256 Digest) {
	switch {
	case !sha256.IsZero():
		d.sha256[sha256] = true
	case sha1 != "":
		d.alone[sha1] = true
	}
	if sha1 != "" {
		d.sha1[sha1] = true
	}
}

func (d digests) has(sha1 string, sha256 Digest) bool {
	return d.sha256[sha256] || d.alone[sha1] || sha256.IsZero() && d.sha1[sha1]
}

// muster gathers the parts of a build.
type muster struct {
	Expansion
	named digests
	found digests
	seen  map[Ref]bool
}

// take judges one file that was found.
func (m *muster) take(i Info) error {
	if m.seen[i.Ref] {
		return nil
	}
	m.seen[i.Ref] = true
	if !m.named.has(i.SHA1, i.SHA256) {
		m.Lacking.Add("%s has other bytes than build-info names", i.Ref)
		return nil
	}
	m.found.add(i.SHA1, i.SHA256)
	if len(m.Parts) == maxParts {
		m.Lacking.Add("%s is beyond the %d files that are worked on", i.Ref, maxParts)
		return nil
	}
	m.Parts = append(m.Parts, i.Ref)
	return nil
}

// missing tells which artifacts of the build were not found.
func (m *muster) missing(artifacts []Built, where string) {
	for _, a := range artifacts {
		switch {
		case a.SHA1 == "" && a.SHA256.IsZero():
			m.Lacking.Add("%s has no digest in build-info", a.Name)
		case !m.found.has(a.SHA1, a.SHA256):
			m.Lacking.Add("%s (SHA-1 %s) is not %s", a.Name, a.SHA1, where)
		}
	}
}
