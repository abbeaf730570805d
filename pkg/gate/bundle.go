package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	// maxContents is how many artifacts of a release bundle are judged for one verdict.
	maxContents = 500
	// toldContents is how many refused ones its reason names.
	toldContents = 3
)

// contentsError: a release bundle's contents could not all be judged for one verdict.
type contentsError struct {
	found string
	err   error
}

func (e *contentsError) Error() string { return "judging a release bundle's contents: " + e.found }
func (e *contentsError) Unwrap() error { return e.err }

// load judges what a release bundle would bring to the target: the contents of the target's type of packages, each where
// it came from, as if it were asked about alone. Those of another type go elsewhere. A layer is what its name says, and
// counts only with a manifest; a manifest without a tag needs no signature where an index of the bundle that may go lists it.
type load struct {
	gate   *Gate
	client *artifactory.Client
	set    *policy.Set
	req    Request

	mu      sync.Mutex
	judged  int
	refused []refusedContent
	vouched map[artifact.Digest]bool // manifests that indexes list
}

type refusedContent struct {
	ref artifact.Ref
	why reason.Reason
}

// contents are the reasons why a bundle's contents may not enter the target; none means that they may.
func (g *Gate) contents(ctx context.Context, client *artifactory.Client, set *policy.Set, req Request, record artifact.Ref) ([]reason.Reason, error) {
	b, err := client.Bundle(ctx, record)
	if errors.Is(err, artifactory.ErrTooLarge) {
		return nil, &contentsError{"more artifacts than are read of a release bundle", err}
	}
	if err != nil {
		return nil, err
	}
	l := load{gate: g, client: client, set: set, req: req, vouched: map[artifact.Digest]bool{}}
	alone, manifests, err := l.sort(ctx, b.Contents)
	if err != nil {
		return nil, err
	}
	n := len(alone) + len(manifests) + len(l.refused)
	switch {
	case n > maxContents:
		return nil, &contentsError{found: fmt.Sprintf("%d artifacts to judge; one verdict judges at most %d", n, maxContents)}
	case n == 0:
		return []reason.Reason{{
			Code: reason.BundleRefused, Message: "the release bundle holds nothing that could enter " + req.Target.Repo, Found: fmt.Sprintf("%d artifacts, none of the repository's type of packages", len(b.Contents)),
			Expected: "artifacts of that type", Fix: "ask with the repository that the bundle's artifacts are to enter", Who: "the caller",
		}}, nil
	}
	for _, some := range [][]artifact.Bundled{alone, manifests} { // the indexes are among the first
		if err := l.judge(ctx, some); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				err = &contentsError{fmt.Sprintf("%d of %d artifacts judged within %s", l.judged, n, Timeout), err}
			}
			return nil, err
		}
	}
	return l.reasons(n), nil
}

// sort finds what is judged alone, and the manifests without a tag.
func (l *load) sort(ctx context.Context, contents []artifact.Bundled) (alone, manifests []artifact.Bundled, err error) {
	into, err := l.client.Repository(ctx, l.req.Target.Repo)
	if err != nil && !errors.Is(err, artifact.ErrGone) {
		return nil, nil, err
	}
	for _, c := range contents {
		from, err := l.client.Repository(ctx, c.Ref.Repo)
		if err != nil && !errors.Is(err, artifact.ErrGone) {
			return nil, nil, err
		}
		at, manifest := artifact.ImageAt(c.Ref)
		picture := artifact.KindOf(from, c.Ref) == artifact.KindImage
		switch {
		case from.Package != "" && into.Package != "" && from.Package != into.Package:
		case picture && !manifest && c.Ref.Name() == "sha256__"+c.SHA256.String():
		case c.SHA256.IsZero(), picture && !manifest:
			l.refuse(c, reason.Reason{
				Code: reason.PartOfImage, Message: "nothing vouches for its bytes", Fix: "make a release bundle without it", Who: "the bundle's owner",
			})
		case picture && at.Tag == "":
			manifests = append(manifests, c)
		default:
			alone = append(alone, c)
		}
	}
	return alone, manifests, nil
}

func (l *load) judge(ctx context.Context, some []artifact.Bundled) error {
	some = slices.DeleteFunc(some, func(c artifact.Bundled) bool { return l.vouched[c.SHA256] })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, c := range some {
		group.Go(func() error { return l.one(ctx, c) })
	}
	return group.Wait()
}

// one judges one of the contents.
func (l *load) one(ctx context.Context, c artifact.Bundled) error {
	req := Request{Artifact: c.Ref, Target: artifact.Ref{Instance: l.req.Target.Instance, Repo: l.req.Target.Repo, Path: c.Ref.Path}, Caller: l.req.Caller, inside: true}
	var v Verdict
	ref, err := l.gate.subject(ctx, c.Ref)
	if err == nil {
		err = l.gate.judge(ctx, l.set, req, ref, &v)
	}
	if err == nil && len(v.Reasons) == 0 {
		err = stands(ctx, l.client, c.Ref, c.SHA256)
	}
	if err == nil && len(v.Reasons) == 0 && !seal.IsAttachment(c.Ref.Name()) {
		err = l.vouch(ctx, c)
	}
	if why, known := refusal(req, err); known {
		v.Reasons, err = []reason.Reason{why}, nil
	}
	if err != nil {
		return err
	}
	if len(v.Reasons) > 0 {
		l.refuse(c, v.Reasons[0])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judged++
	return nil
}

// vouch notes the manifests that an index lists.
func (l *load) vouch(ctx context.Context, c artifact.Bundled) error {
	at, manifest := artifact.ImageAt(c.Ref)
	if !manifest || at.Tag == "" {
		return nil
	}
	m, err := artifact.Resolve(ctx, l.client, c.Ref)
	if err != nil || m.Kind != artifact.KindImage {
		return err
	}
	if is := m.Whole().SHA256; is != c.SHA256 {
		return &changedError{ref: c.Ref, was: c.SHA256, is: is}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range m.Subjects {
		l.vouched[s.SHA256] = true
	}
	return nil
}

func (l *load) refuse(c artifact.Bundled, why reason.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, refusedContent{c.Ref, why})
}

// reasons is one for all that was refused, naming the first of it.
func (l *load) reasons(n int) []reason.Reason {
	if len(l.refused) == 0 {
		return nil
	}
	told := make([]string, 0, toldContents+1)
	for i, r := range l.refused {
		if i == toldContents {
			told = append(told, fmt.Sprintf("and %d more", len(l.refused)-i))
			break
		}
		told = append(told, r.ref.String()+" ("+r.why.String()+")")
	}
	first := l.refused[0]
	return []reason.Reason{{
		Code: reason.BundleRefused, Message: fmt.Sprintf("%d of the %d artifacts that the release bundle would bring may not enter %s", len(l.refused), n, l.req.Target.Repo), Found: strings.Join(told, "; "),
		Expected: "every artifact of the bundle may enter by itself", Fix: first.why.Fix + "; then make the release bundle anew if its bytes changed", Who: first.why.Who, Rule: first.why.Rule,
	}}
}

// dryRun is the command that judges a release bundle in its own time.
func dryRun(record artifact.Ref, target string) string {
	parts := strings.Split(record.Path, "/")
	project := ""
	if p := strings.TrimSuffix(strings.TrimSuffix(record.Repo, "release-bundles-v2"), "-"); p != "" && p != record.Repo {
		project = " --project " + p
	}
	return "hallmark promote --bundle " + strings.Join(parts[:len(parts)-1], "/") + project + " --environment ENVIRONMENT --target " + target
}
