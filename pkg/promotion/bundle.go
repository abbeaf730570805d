package promotion

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Bundle asks for a release bundle v2 to be promoted into an environment. What it holds was frozen when it was made; where
// it came from is where the gate looks.
type Bundle struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Project     string `json:"project,omitempty"` // key; "" for none
	Environment string `json:"environment"`
}

// String is name/version, in front the project if there is one, and the environment.
func (b *Bundle) String() string {
	s := b.Name + "/" + b.Version + " for " + b.Environment
	if b.Project != "" {
		s = b.Project + ":" + s
	}
	return s
}

var bundles = way{
	kind:   KindBundle,
	asked:  func(req Request) bool { return req.Bundle != nil },
	check:  checkBundle,
	name:   func(req Request) string { return req.Bundle.String() },
	sel:    (*run).selectBundle,
	other:  (*run).otherBundled,
	begin:  (*run).promoteBundle,
	finish: func(*run, context.Context) bool { return true },
}

func checkBundle(req Request) error {
	b := req.Bundle
	if b.Name == "" || b.Version == "" || b.Environment == "" {
		return refuse(reason.PathRefused, "a release bundle is promoted by name and version into an environment",
			fmt.Sprintf("name %.100q, version %.100q, environment %.100q", b.Name, b.Version, b.Environment), "all three; --environment names the environment")
	}
	return nil
}

// selectBundle is step 1 for a release bundle.
func (r *run) selectBundle(ctx context.Context) error {
	var err error
	r.bundle, r.frozen, err = r.readBundle(ctx)
	name := r.req.Bundle.String()
	switch {
	case errors.Is(err, artifact.ErrGone):
		return refuse(reason.NothingSelected, "there is no such release bundle", "no release bundle v2 "+name+" that the promotion identity may read",
			"the name and version of a release bundle, and its project if it has one; release bundles need the licence Enterprise+")
	case errors.Is(err, artifactory.ErrPath):
		return refuse(reason.PathRefused, "the release bundle, or what it holds, cannot be named safely", err.Error(), "names that mean the same to every server and proxy on the way")
	case errors.Is(err, artifactory.ErrTooLarge) || len(r.bundle.Contents) > MaxArtifacts:
		return refuse(reason.PathRefused, "this is too much for one promotion", "release bundle "+name, fmt.Sprintf("at most %d artifacts", MaxArtifacts))
	case err != nil:
		r.undecided(ctx, "reading release bundle "+name, err)
		return nil
	case r.bundle.Status != "COMPLETED" || len(r.bundle.Contents) == 0:
		return refuse(reason.NothingSelected, "the release bundle cannot be promoted as it is", fmt.Sprintf("state %s, %d artifacts", r.bundle.Status, len(r.bundle.Contents)), "state COMPLETED, and contents")
	}
	s := shipping{run: r, layers: map[string]bool{}, covered: map[string]bool{}}
	for _, c := range r.bundle.Contents {
		if err := s.take(ctx, c); err != nil {
			r.undecided(ctx, "looking at "+c.Ref.String(), err)
			return nil
		}
	}
	s.close()
	return nil
}

// shipping sorts the contents of a bundle: what is judged for itself, and the parts of images.
type shipping struct {
	*run
	layers  map[string]bool // repository/folder of layers
	covered map[string]bool // repository/path of manifests that an index in the bundle lists
	digests []*item         // manifests without a tag
	bad     []string        // what has no digest, or is no part of anything
	astray  []string        // what none, or several, of the targets would take
}

func (s *shipping) take(ctx context.Context, c artifact.Bundled) error {
	repo, err := s.client.Repository(ctx, c.Ref.Repo)
	if err != nil && !errors.Is(err, artifact.ErrGone) {
		return err
	}
	target, ok, err := s.takes(ctx, repo)
	switch {
	case err != nil:
		return err
	case !ok:
		s.astray = append(s.astray, fmt.Sprintf("%s (%s)", c.Ref, repo.Package))
		return nil
	case c.SHA256.IsZero():
		s.bad = append(s.bad, c.Ref.String()+" (no SHA-256)")
		return nil
	}
	picture := artifact.KindOf(repo, c.Ref) == artifact.KindImage
	at, manifest := artifact.ImageAt(c.Ref)
	if picture && !manifest {
		if c.Ref.Name() != "sha256__"+c.SHA256.String() { // a layer's name is its digest; then it is harmless without its manifest
			s.bad = append(s.bad, c.Ref.String()+" (no manifest and no layer)")
		}
		s.layers[c.Ref.Repo+"/"+c.Ref.Dir()] = true
		return nil
	}
	to := c.Ref
	to.Repo = target
	if known, ok, err := s.moved(ctx, c, to); err != nil {
		return err
	} else if ok {
		return s.again(ctx, known, picture, at)
	}
	if err := s.add(c.Ref); err != nil {
		return err
	}
	it := s.index[c.Ref]
	it.target, it.want = to, c.SHA256
	switch {
	case picture:
		it.image = &image{}
		return s.manifest(ctx, it, at)
	case seal.IsAttachment(c.Ref.Name()):
		it.signature = true
	}
	return nil
}

// takes finds the one target for what came from a repository: of the same type of packages.
func (s *shipping) takes(ctx context.Context, from artifact.Repository) (string, bool, error) {
	var fit []string
	for _, key := range s.targets {
		repo, err := s.client.Repository(ctx, key)
		if err != nil && !errors.Is(err, artifact.ErrGone) {
			return "", false, err
		}
		if key != from.Key && (repo.Package == from.Package || len(s.targets) == 1 && (repo.Package == "" || from.Package == "")) {
			fit = append(fit, key)
		}
	}
	if len(fit) != 1 {
		return "", false, nil
	}
	return fit[0], true, nil
}

// manifest notes which manifests an index vouches for.
func (s *shipping) manifest(ctx context.Context, it *item, at artifact.Image) error {
	if at.Tag != "" {
		return s.cover(ctx, it.source, it.want, it.source.Repo)
	}
	// An index vouches for bytes, and the bundle may hold others than its source holds now.
	if path.Base(it.source.Dir()) != "sha256:"+it.want.String() {
		s.bad = append(s.bad, it.source.String()+" (its bytes have the digest sha256:"+it.want.String()+")")
		return nil
	}
	s.digests = append(s.digests, it)
	return nil
}

// cover reads the index with the given bytes and notes its parts, as places in a repository of sources. Other bytes vouch
// for nothing.
func (s *shipping) cover(ctx context.Context, ref artifact.Ref, want artifact.Digest, repo string) error {
	m, err := artifact.Resolve(ctx, s.client, ref)
	if err != nil {
		return ignoreUntrue(err) // the gate says what is wrong with it
	}
	last := len(m.Subjects) - 1
	if m.Subjects[last].SHA256 != want {
		return nil
	}
	for _, part := range m.Subjects[:last] {
		s.covered[repo+"/"+part.Ref.Path] = true
	}
	return nil
}

// ignoreUntrue keeps what says nothing about an image: failures of the network.
func ignoreUntrue(err error) error {
	if artifactory.Temporary(err) {
		return err
	}
	return nil
}

// moved finds what an earlier promotion has carried, and whose source it has deleted.
func (s *shipping) moved(ctx context.Context, c artifact.Bundled, to artifact.Ref) (ledger.PromotionItem, bool, error) {
	if _, err := s.client.Info(ctx, c.Ref); !errors.Is(err, artifact.ErrGone) {
		return ledger.PromotionItem{}, false, nil // whatever is wrong with it, the gate says so
	}
	known, ok, err := s.Ledger.Promoted(ctx, c.Ref, to)
	ok = ok && known.Move && known.Subject == c.SHA256 && (known.State == ledger.ItemCopied || known.State == ledger.ItemDone)
	return known, ok, err
}

func (s *shipping) again(ctx context.Context, known ledger.PromotionItem, picture bool, at artifact.Image) error {
	if err := s.addKnown(known); err != nil {
		return err
	}
	if s.index[known.Source].target = known.Target; !picture {
		return nil
	}
	s.index[known.Source].image = &image{}
	if at.Tag == "" {
		return nil
	}
	return s.cover(ctx, known.Target, known.Subject, known.Source.Repo)
}

// close takes out what an index vouches for, and says what does not belong.
func (s *shipping) close() {
	for _, it := range s.digests {
		if s.covered[it.source.String()] {
			delete(s.index, it.source)
			s.items = slices.DeleteFunc(s.items, func(other *item) bool { return other == it })
		}
	}
	for folder := range s.layers {
		if !slices.ContainsFunc(s.bundle.Contents, func(c artifact.Bundled) bool {
			_, manifest := artifact.ImageAt(c.Ref)
			return manifest && c.Ref.Repo+"/"+c.Ref.Dir() == folder
		}) {
			s.bad = append(s.bad, folder+"/ (layers without a manifest)")
		}
	}
	slices.Sort(s.bad)
	s.told(reason.PartOfImage, "the release bundle holds what nothing vouches for", s.bad, reason.Reason{
		Expected: "files with a SHA-256, and images with their manifests, each under its own digest or a tag", Fix: "make a release bundle without it", Who: "the bundle's owner",
	})
	s.told(reason.PathRefused, "not every artifact has one target", s.astray, reason.Reason{
		Expected: "one repository among " + strings.Join(s.targets, ", ") + " for each type of packages", Fix: "name the targets with --target, one for each type", Who: "the caller",
	})
}

func (r *run) otherBundled(it *item) reason.Reason {
	return reason.Reason{
		Code: reason.ArtifactChanged, Message: "the artifact is not any more what the release bundle holds, so its signatures are not those of the bundle's contents", Found: it.digest.String(),
		Expected: it.want.String() + ", as in release bundle " + r.req.Bundle.String(), Fix: "make a new release bundle, or put the artifact back", Who: "the bundle's owner",
	}
}
