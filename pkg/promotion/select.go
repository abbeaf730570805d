package promotion

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxPattern bounds a pattern in bytes.
const maxPattern = 512

var errTooMany = fmt.Errorf("more than %d files", MaxArtifacts)

// selection is one argument of a request.
type selection struct {
	repo    string
	folder  string // everything below it is looked at; "" is the repository's root
	matches func(path string) bool
	exact   string // the path of one file; then there is no folder to look at
}

// selectItems is step 1. Each file is an item once. Signature files are none: they go along with their artifact.
func (r *run) selectItems(ctx context.Context) error {
	for _, text := range r.req.Artifacts {
		sel, err := r.parse(ctx, text)
		if err != nil {
			return err
		}
		before := len(r.items)
		if sel.exact != "" {
			err = r.named(ctx, sel)
		} else {
			err = r.below(ctx, sel, sel.folder)
			if err == nil || errors.Is(err, artifact.ErrGone) {
				err = errors.Join(ignoreGone(err), r.halfMoved(ctx, sel))
			}
		}
		switch {
		case refused(err):
			return err
		case errors.Is(err, errTooMany):
			return refuse(reason.PathRefused, "this is too much for one promotion", errTooMany.Error(), "a narrower pattern, in several promotions")
		case err != nil:
			r.undecided(ctx, "listing "+text, err)
		case len(r.items) == before && !r.has(sel):
			r.reasons = append(r.reasons, reason.Reason{
				Code: reason.NothingSelected, Message: "no artifact is there to promote", Found: "nothing but signature files, or nothing at all, at " + text,
				Expected: "repository/path of a file, a folder with / at the end, or a pattern", Fix: "check the path", Who: "the caller",
			})
		}
	}
	return nil
}

// parse reads repository/path, repository/folder/ or a pattern. A file that is there under the very name of a pattern is
// that file.
func (r *run) parse(ctx context.Context, text string) (selection, error) {
	repo, rest, ok := strings.Cut(text, "/")
	if !ok {
		return selection{}, refuse(reason.PathRefused, "an artifact is named as repository/path", text, "repository/path, or repository/ for everything in it")
	}
	if repo == r.req.Target {
		return selection{}, refuse(reason.PathRefused, "an artifact cannot be promoted into its own repository", text, "a target other than "+repo)
	}
	if err := r.storesFiles(ctx, repo); err != nil {
		return selection{}, err
	}
	probe := strings.TrimSuffix(rest, "/")
	if probe == "" {
		probe = "x"
	}
	ref, err := artifact.NewRef(r.req.Instance, repo, probe)
	if err != nil {
		return selection{}, refuse(reason.PathRefused, "the path cannot be followed safely", err.Error(), "repository/path")
	}
	sel := selection{repo: repo}
	pattern := strings.ContainsAny(rest, "*?[{")
	if pattern && !strings.HasSuffix(rest, "/") {
		_, err := r.client.Info(ctx, ref)
		pattern = err != nil
	}
	switch {
	case pattern:
		if len(rest) > maxPattern || strings.Count(rest, "{") > 4 || !doublestar.ValidatePattern(probe) {
			return selection{}, refuse(reason.PathRefused, "the pattern cannot be used", text, "a pattern as in policies, such as libs-staging-local/app/1.4.*/**")
		}
		base, _ := doublestar.SplitPattern(probe)
		sel.folder, sel.matches = strings.TrimPrefix(base, "."), under(probe)
	case rest == "" || strings.HasSuffix(rest, "/"):
		sel.folder, sel.matches = strings.TrimSuffix(rest, "/"), func(string) bool { return true }
	default:
		sel.exact, sel.matches = rest, func(p string) bool { return p == rest }
	}
	return sel, nil
}

// storesFiles refuses a repository that only shows files of others: what is moved or copied is told by its own place.
func (r *run) storesFiles(ctx context.Context, key string) error {
	repo, err := r.client.Repository(ctx, key)
	if err != nil || repo.Class != artifact.Virtual && repo.Class != artifact.Remote {
		return nil // where it cannot be known, the listing and the gate say what is wrong
	}
	names := "the repository that holds the files"
	if holders, err := r.client.Holders(ctx, key); err == nil {
		names = strings.Join(holders, " or ")
	}
	return refuse(reason.VirtualRepository, "an artifact is promoted from where it is stored", key+" is a "+string(repo.Class)+" repository and only shows it", names)
}

// under matches what a pattern names, and everything below a folder that it names.
func under(pattern string) func(string) bool {
	return func(p string) bool {
		for ; p != "." && p != "/"; p = path.Dir(p) {
			if doublestar.MatchUnvalidated(pattern, p) {
				return true
			}
		}
		return false
	}
}

// named adds one file that was named. Where it is not, an earlier promotion may know it.
func (r *run) named(ctx context.Context, sel selection) error {
	source := artifact.Ref{Instance: r.req.Instance, Repo: sel.repo, Path: sel.exact}
	if seal.IsAttachment(source.Name()) {
		return refuse(reason.SignatureFile, "a signature file is promoted with its artifact", source.String(), "the artifact that it belongs to")
	}
	_, err := r.client.Info(ctx, source)
	if !errors.Is(err, artifact.ErrGone) || !r.req.Move {
		return r.add(source) // the gate says what is wrong
	}
	known, ok, err := r.Ledger.Promoted(ctx, source, r.to(source))
	if err != nil {
		return err
	}
	if ok && known.Move && (known.State == ledger.ItemCopied || known.State == ledger.ItemDone) {
		return r.addKnown(known)
	}
	return r.add(source)
}

// below adds the files below a folder.
func (r *run) below(ctx context.Context, sel selection, folder string) error {
	entries, err := r.client.Folder(ctx, sel.repo, folder)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b artifactory.Entry) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range entries {
		ref, err := artifact.NewRef(r.req.Instance, sel.repo, path.Join(folder, e.Name))
		switch {
		case err != nil || path.Join(folder, e.Name) != strings.TrimPrefix(folder+"/"+e.Name, "/"):
			return fmt.Errorf("%w: %q in %s/%s", artifactory.ErrPath, e.Name, sel.repo, folder)
		case e.Folder:
			if err := r.below(ctx, sel, ref.Path); err != nil && !errors.Is(err, artifact.ErrGone) {
				return err
			}
		case sel.matches(ref.Path) && !seal.IsAttachment(ref.Name()):
			if err := r.add(ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// halfMoved adds what an earlier move has copied and not deleted yet, also where only signature files are left.
func (r *run) halfMoved(ctx context.Context, sel selection) error {
	if !r.req.Move {
		return nil
	}
	known, err := r.Ledger.HalfMoved(ctx, r.req.Instance, sel.repo, r.req.Target)
	if err != nil {
		return err
	}
	for _, k := range known {
		if !sel.matches(k.Source.Path) || !strings.HasPrefix("/"+k.Source.Path, path.Join("/", sel.folder)) {
			continue
		}
		if _, err := r.client.Info(ctx, k.Source); errors.Is(err, artifact.ErrGone) {
			if err := r.addKnown(k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) to(source artifact.Ref) artifact.Ref {
	return artifact.Ref{Instance: source.Instance, Repo: r.req.Target, Path: source.Path}
}

func (r *run) add(source artifact.Ref) error {
	if r.index[source] != nil {
		return nil
	}
	if len(r.items) == MaxArtifacts {
		return errTooMany
	}
	it := &item{source: source, target: r.to(source), state: ledger.ItemWaiting}
	r.items, r.index[source] = append(r.items, it), it
	r.meter.step()
	return nil
}

// collide refuses two artifacts that would enter at the same place.
func (r *run) collide() {
	taken := map[artifact.Ref]*item{}
	for _, it := range r.items {
		if other := taken[it.target]; other != nil {
			r.reasons = append(r.reasons, reason.Reason{
				Code: reason.TargetOccupied, Message: "two artifacts would enter at one place", Found: other.source.String() + " and " + it.source.String(),
				Expected: "one artifact for " + it.target.String(), Fix: "promote one of them", Who: "the caller",
			})
		}
		taken[it.target] = it
	}
}

// addKnown adds what an earlier promotion has brought to the target; its source file is gone.
func (r *run) addKnown(k ledger.PromotionItem) error {
	if err := r.add(k.Source); err != nil {
		return err
	}
	it := r.index[k.Source]
	it.known, it.digest, it.rule, it.files = true, k.Subject, k.Rule, nil
	for _, name := range k.Files {
		it.files = append(it.files, file{name: name, there: true})
	}
	return nil
}

// has reports whether an earlier argument has named what a selection means.
func (r *run) has(sel selection) bool {
	return slices.ContainsFunc(r.items, func(it *item) bool { return it.source.Repo == sel.repo && sel.matches(it.source.Path) })
}

func refused(err error) bool {
	_, ok := errors.AsType[*reason.Refused](err)
	return ok
}

func ignoreGone(err error) error {
	if errors.Is(err, artifact.ErrGone) {
		return nil
	}
	return err
}
