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

// BuildPromotion is one line of a build's history.
type BuildPromotion struct {
	Status string
	Repo   string // "" when only the status changed
	At     time.Time
	By     string // the user whose credentials asked for it; "" when Artifactory does not tell
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
// everywhere. A file belongs to the build when its bytes and its name are those that build-info names; that it bears the
// build's properties is not enough, for anybody may set them.
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
		where = "in any repository with the build's properties"
	}
	m := muster{named: digests{}, found: digests{}, seen: map[Ref]bool{}}
	for _, a := range b.Artifacts {
		m.named.add(a.SHA1, a.SHA256, a.Names())
	}
	if len(b.Promotions) > 0 {
		m.Promoted = b.Promotions[0].At
	}
	if len(repos) > maxTargets {
		m.Lacking.Add("it was promoted to %d repositories; %d are looked into", len(repos), maxTargets)
		repos = repos[:maxTargets]
	}
	if m.marked = o == Asked; m.marked {
		if err := m.search(ctx, src, b, []string{""}); err != nil {
			return Expansion{}, err
		}
	}
	if m.marked = false; len(repos) > 0 {
		if err := m.search(ctx, src, b, repos); err != nil {
			return Expansion{}, err
		}
	}
	if o == Asked || len(repos) > 0 { // else only its status changed
		m.missing(b.Artifacts, where)
	}
	return m.Expansion, nil
}

// targets are the repositories that the build was promoted to since it began: an event does not say which promotion it
// is about, and the newest may not be on record yet.
func (b Build) targets() []string {
	var repos []string
	seen := map[string]bool{"": true}
	for _, p := range b.Promotions {
		if b.after(p) && !seen[p.Repo] {
			seen[p.Repo] = true
			repos = append(repos, p.Repo)
		}
	}
	return repos
}

// after reports whether a promotion is of this run, not of an earlier one with the same number.
func (b Build) after(p BuildPromotion) bool { return !p.At.Before(b.Started) }

// digests are those of a build-info's artifacts, each with a name and with none. A SHA-1 counts only where build-info, or
// Artifactory, has no SHA-256.
type digests map[digestKey]bool

type digestKey struct {
	sha256 Digest
	alone  string // SHA-1 of what has no SHA-256
	sha1   string // of everything
	name   string // "" for any
}

// add notes bytes and the names that they have.
func (d digests) add(sha1 string, sha256 Digest, names []string) {
	for _, name := range append([]string{""}, names...) {
		switch {
		case !sha256.IsZero():
			d[digestKey{sha256: sha256, name: name}] = true
		case sha1 != "":
			d[digestKey{alone: sha1, name: name}] = true
		}
		if sha1 != "" {
			d[digestKey{sha1: sha1, name: name}] = true
		}
	}
}

// has reports whether there are such bytes under one of some names.
func (d digests) has(sha1 string, sha256 Digest, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return !sha256.IsZero() && d[digestKey{sha256: sha256, name: name}] || sha1 != "" && d[digestKey{alone: sha1, name: name}] ||
			sha256.IsZero() && sha1 != "" && d[digestKey{sha1: sha1, name: name}]
	})
}

// muster gathers the parts of a build.
type muster struct {
	Expansion
	named  digests
	found  digests
	seen   map[Ref]bool
	marked bool // what is found carries the build's properties
}

// search looks for the build's files in some repositories. What cannot be found is lacking, and no reason to stop.
func (m *muster) search(ctx context.Context, src Source, b Build, repos []string) error {
	err := src.Built(ctx, b, repos, m.take)
	if errors.Is(err, ErrUnnamed) || errors.Is(err, ErrUnsearched) {
		m.Lacking.Add("%v", err)
		return nil
	}
	return err
}

// take judges one file that was found. Bytes of the build under another name are not the build's: whoever may upload
// chooses the path. Where they were found by their digest alone, nobody said that they are.
func (m *muster) take(i Info) error {
	if m.seen[i.Ref] {
		return nil
	}
	m.seen[i.Ref] = true
	names := BuiltAs(i.Ref)
	switch {
	case !m.named.has(i.SHA1, i.SHA256, ""):
		m.Lacking.Add("%s has other bytes than build-info names", i.Ref)
		return nil
	case !m.named.has(i.SHA1, i.SHA256, names...):
		if m.marked {
			m.Lacking.Add("%s is called otherwise in build-info", i.Ref)
		}
		return nil
	}
	m.found.add(i.SHA1, i.SHA256, names)
	if len(m.Parts) == maxParts {
		m.Lacking.Add("%s is beyond the %d files that are worked on", i.Ref, maxParts)
		return nil
	}
	m.Parts = append(m.Parts, i.Ref)
	return nil
}

// missing tells which artifacts of the build were not found. Of several with the same bytes one counts for all: Artifactory
// may promote but one.
func (m *muster) missing(artifacts []Built, where string) {
	for _, a := range artifacts {
		names := a.Names()
		switch {
		case len(names) == 0:
			m.Lacking.Add("the artifact with the SHA-1 %q has no name in build-info", a.SHA1)
		case a.SHA1 == "" && a.SHA256.IsZero():
			m.Lacking.Add("%s has no digest in build-info", names[0])
		case !m.found.has(a.SHA1, a.SHA256, ""):
			m.Lacking.Add("%s (SHA-1 %s) is not %s", names[0], a.SHA1, where)
		}
	}
}
