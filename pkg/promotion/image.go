package promotion

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

var images = way{
	kind:   KindImage,
	asked:  func(req Request) bool { return req.Image != "" },
	check:  checkImage,
	name:   func(req Request) string { return req.Image },
	sel:    (*run).selectImage,
	other:  (*run).otherImage,
	finish: func(*run, context.Context) bool { return true },
}

// manifestFiles are the names under which Artifactory keeps the manifest of a tag: an image's, an index's.
var manifestFiles = []string{"manifest.json", "list.manifest.json"}

// maxTags bounds the tags that are looked at for one digest.
const maxTags = 1000

var tagName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// imageName is an image as docker names it.
type imageName struct {
	repo, name, tag string // tag is "" where only the digest was named
	digest          artifact.Digest
}

const imageForm = "repository/name:tag, repository/name@sha256:digest, or repository/name:tag@sha256:digest"

func parseImage(text string) (imageName, error) {
	var n imageName
	rest, digest, pinned := strings.Cut(text, "@sha256:")
	if pinned {
		var err error
		if n.digest, err = artifact.ParseDigest(digest); err != nil || n.digest.IsZero() {
			return n, refuse(reason.PathRefused, "the image's digest cannot be read", text, imageForm)
		}
	}
	n.repo, rest, _ = strings.Cut(rest, "/")
	i := strings.LastIndexByte(rest, ':')
	tagged := i > strings.LastIndexByte(rest, '/')
	if tagged {
		rest, n.tag = rest[:i], rest[i+1:]
	}
	n.name = rest
	if tagged && (!tagName.MatchString(n.tag) || artifact.IsSignatureTag(n.tag)) || !tagged && !pinned || strings.ContainsAny(n.name, ":@") {
		return n, refuse(reason.PathRefused, "the image cannot be named so", text, imageForm)
	}
	if _, err := artifact.NewRef("", n.repo, n.name+"/x"); err != nil {
		return n, refuse(reason.PathRefused, "the image cannot be named safely", err.Error(), imageForm)
	}
	return n, nil
}

func checkImage(req Request) error {
	n, err := parseImage(req.Image)
	switch {
	case err != nil:
		return err
	case n.repo == req.Target:
		return refuse(reason.PathRefused, "an image cannot be promoted into its own repository", req.Image, "a target other than "+n.repo)
	case req.TargetTag != "" && (!tagName.MatchString(req.TargetTag) || artifact.IsSignatureTag(req.TargetTag)):
		return refuse(reason.PathRefused, "the target tag cannot be used", req.TargetTag, "letters, digits, '_', '.' and '-'; not the name of a signature")
	}
	return nil
}

// selectImage is step 1 for an image: the manifest of its tag.
func (r *run) selectImage(ctx context.Context) error {
	n, err := parseImage(r.req.Image)
	if err != nil {
		return err
	}
	for _, key := range []string{n.repo, r.req.Target} {
		if err := r.storesImages(ctx, key); refused(err) {
			return err
		} else if err != nil {
			r.undecided(ctx, "asking about repository "+key, err)
			return nil
		}
	}
	if n.tag == "" {
		if n.tag, err = r.tagOf(ctx, n); err != nil {
			return r.unnamed(ctx, n, err)
		}
	}
	if err := r.addImage(ctx, n); err != nil {
		return r.unnamed(ctx, n, err)
	}
	return nil
}

// storesImages refuses a repository that keeps no images, or only shows those of others.
func (r *run) storesImages(ctx context.Context, key string) error {
	repo, err := r.client.Repository(ctx, key)
	if errors.Is(err, artifact.ErrGone) {
		return refuse(reason.PathRefused, "there is no such repository", key, "a local repository of images")
	}
	if err != nil {
		return err
	}
	if repo.Package != "" && artifact.KindOf(repo, artifact.Ref{Repo: key, Path: "x"}) != artifact.KindImage {
		return refuse(reason.PathRefused, "an image is promoted between repositories of images", key+" keeps packages of the type "+repo.Package, "repositories of the type docker or oci")
	}
	return r.storesFiles(ctx, key)
}

// tagOf finds the tag of a digest: Artifactory promotes tags.
func (r *run) tagOf(ctx context.Context, n imageName) (string, error) {
	entries, err := r.client.Folder(ctx, n.repo, n.name)
	if err != nil {
		return "", err
	}
	entries = slices.DeleteFunc(entries, func(e artifactory.Entry) bool {
		return !e.Folder || !tagName.MatchString(e.Name) || artifact.IsSignatureTag(e.Name)
	})
	if len(entries) > maxTags {
		return "", refuse(reason.PathRefused, "the image has too many tags to look for a digest", fmt.Sprintf("%d tags", len(entries)), "the tag, in front of the digest: "+imageForm)
	}
	fits := make([]bool, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, e := range entries {
		group.Go(func() error {
			info, err := r.manifestAt(ctx, artifact.Ref{Instance: r.req.Instance, Repo: n.repo, Path: n.name + "/" + e.Name + "/" + manifestFiles[0]})
			fits[i] = err == nil && info.SHA256 == n.digest
			return ignoreGone(err)
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	var tags []string
	for i, e := range entries {
		if fits[i] {
			tags = append(tags, e.Name)
		}
	}
	switch {
	case len(tags) == 0:
		return "", artifact.ErrGone
	case len(tags) > 1:
		return "", refuse(reason.PathRefused, "several tags have this digest", strings.Join(tags[:min(5, len(tags))], ", "), "one of them in front of the digest: "+imageForm)
	}
	return tags[0], nil
}

// manifestAt looks at the manifest of a tag, of whichever sort it is. Any of its files names the tag.
func (r *run) manifestAt(ctx context.Context, ref artifact.Ref) (info artifact.Info, err error) {
	for _, name := range manifestFiles {
		info, err = r.client.Info(ctx, ref.Beside(name))
		if !errors.Is(err, artifact.ErrGone) {
			return info, err
		}
	}
	return artifact.Info{}, err
}

// addImage adds the tag's manifest. Where it is not, an earlier promotion may have moved it.
func (r *run) addImage(ctx context.Context, n imageName) error {
	source := artifact.Ref{Instance: r.req.Instance, Repo: n.repo, Path: n.name + "/" + n.tag + "/" + manifestFiles[0]}
	info, err := r.manifestAt(ctx, source)
	if err == nil {
		source = info.Ref
	} else if !errors.Is(err, artifact.ErrGone) {
		return err
	}
	if errors.Is(err, artifact.ErrGone) && r.req.Move {
		for _, name := range manifestFiles {
			from := source.Beside(name)
			known, ok, err := r.Ledger.Promoted(ctx, from, r.atTag(from, n))
			if err != nil {
				return err
			}
			if ok && known.Move && (known.State == ledger.ItemCopied || known.State == ledger.ItemDone) && (n.digest.IsZero() || n.digest == known.Subject) {
				if err := r.addKnown(known); err != nil {
					return err
				}
				r.index[from].target, r.index[from].image = known.Target, &image{}
				return nil
			}
		}
	}
	if err := r.add(source); err != nil {
		return err
	}
	it := r.index[source]
	it.target, it.want, it.image = r.atTag(source, n), n.digest, &image{}
	return nil
}

// atTag is where the image is to stand at the target.
func (r *run) atTag(source artifact.Ref, n imageName) artifact.Ref {
	tag := n.tag
	if r.req.TargetTag != "" {
		tag = r.req.TargetTag
	}
	return artifact.Ref{Instance: source.Instance, Repo: r.req.Target, Path: path.Join(n.name, tag, source.Name())}
}

// unnamed turns a failure to find the image into a refusal, or notes that it could not be learnt.
func (r *run) unnamed(ctx context.Context, n imageName, err error) error {
	switch {
	case refused(err):
		return err
	case errors.Is(err, artifact.ErrGone):
		return refuse(reason.NothingSelected, "no tag has this digest", "no tag of "+n.repo+"/"+n.name+" with sha256:"+n.digest.String(), "an image that is there; Artifactory promotes tags")
	case errors.Is(err, artifactory.ErrPath), errors.Is(err, artifactory.ErrNotFile):
		return refuse(reason.PathRefused, "the image cannot be named safely", err.Error(), imageForm)
	}
	r.undecided(ctx, "looking for "+r.req.Image, err)
	return nil
}

func (r *run) otherImage(it *item) reason.Reason { return otherTag(it.digest, it.want) }

func otherTag(is, want artifact.Digest) reason.Reason {
	return reason.Reason{
		Code: reason.ArtifactChanged, Message: "the tag does not have the digest that was named, or was pushed anew while it was being looked at", Found: "sha256:" + is.String(),
		Expected: "sha256:" + want.String(), Fix: "find out who pushed it; promote the digest that you mean", Who: "the caller",
	}
}
