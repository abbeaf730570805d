package promotion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Build asks for the files of a build: those that its build-info names by their digests and that carry its name and
// number as properties. When everything stands at the target, the promotion is written into the build's history.
type Build struct {
	Name    string `json:"name"`
	Number  string `json:"number"`
	Project string `json:"project,omitempty"` // key; "" for none
	Source  string `json:"source,omitempty"`  // repository; needed where the build's files lie in several
	Status  string `json:"status,omitempty"`  // in the history; default DefaultStatus
	Comment string `json:"comment,omitempty"` // in the history, behind where the build went
}

// DefaultStatus is what a build's history calls a promotion.
const DefaultStatus = "released"

// maxMark bounds what is written into a build's history, in bytes each.
const maxMark = 512

var builds = way{
	kind:   KindBuild,
	asked:  func(req Request) bool { return req.Build != nil },
	check:  checkBuild,
	name:   func(req Request) string { return req.Build.String() },
	sel:    (*run).selectBuild,
	other:  (*run).otherBuilt,
	judged: (*run).stayed,
	finish: (*run).markBuild,
}

// String is name/number, and in front the project if there is one.
func (b *Build) String() string {
	s := b.Name + "/" + b.Number
	if b.Project != "" {
		s = b.Project + ":" + s
	}
	return s
}

func checkBuild(req Request) error {
	b := req.Build
	switch {
	case b.Name == "" || b.Number == "":
		return refuse(reason.PathRefused, "a build is named by its name and number", fmt.Sprintf("%.100q and %.100q", b.Name, b.Number), "both")
	case b.Source == req.Target:
		return refuse(reason.PathRefused, "a build cannot be promoted into its own repository", b.Source, "a target other than "+b.Source)
	case len(b.Status) > maxMark || len(b.Comment) > maxMark || strings.ContainsFunc(b.Status+b.Comment, unicode.IsControl):
		return refuse(reason.PathRefused, "the status or comment cannot be written into a build's history", "more than 512 bytes, or control characters", "one line of text")
	}
	return nil
}

// selectBuild is step 1 for a build.
func (r *run) selectBuild(ctx context.Context) error {
	ref, err := r.client.BuildRef(ctx, r.req.Build.Project, r.req.Build.Name, r.req.Build.Number)
	if err == nil {
		r.build, err = r.client.Build(ctx, ref)
	}
	if err != nil {
		return r.unreadable(ctx, err)
	}
	c := newContents(r.build.Artifacts)
	repos := []string{""} // all
	if source := r.req.Build.Source; source != "" {
		repos = []string{source, r.req.Target}
	}
	for _, repo := range repos {
		err := r.client.BuiltMarked(ctx, r.build, repo, func(info artifact.Info) error { return c.take(r.req, info) })
		if err != nil {
			return r.unreadable(ctx, err)
		}
	}
	return r.choose(ctx, c)
}

// unreadable turns a failure to read the build into a refusal, or notes that it could not be learnt.
func (r *run) unreadable(ctx context.Context, err error) error {
	name := r.req.Build.String()
	switch {
	case errors.Is(err, artifact.ErrGone):
		return refuse(reason.NothingSelected, "there is no such build", "no build "+name+" that the promotion identity may read", "the name and number of a published build, and its project if it has one")
	case errors.Is(err, artifactory.ErrPath):
		return refuse(reason.PathRefused, "the build, or a file of it, cannot be named safely", err.Error(), "names that mean the same to every server and proxy on the way")
	case errors.Is(err, artifactory.ErrTooLarge), errors.Is(err, errTooMany), errors.Is(err, artifact.ErrUnsearched):
		return refuse(reason.PathRefused, "this is too much for one promotion", err.Error(), fmt.Sprintf("a build of at most %d files, with few others that carry its properties; or name the repository with --source", MaxArtifacts))
	}
	r.undecided(ctx, "reading build "+name, err)
	return nil
}

// choose makes items of what was found, and reasons of what was not, or should not be there.
func (r *run) choose(ctx context.Context, c *contents) error {
	if len(c.lots) == 0 && len(c.blank) == 0 {
		r.reasons = append(r.reasons, reason.Reason{
			Code: reason.NothingSelected, Message: "the build has no artifacts", Found: "no artifacts in the build-info of " + r.req.Build.String(),
			Expected: "a build that published artifacts", Fix: "upload with build name and number, and publish the build-info afterwards", Who: "the build's owner",
		})
	}
	var missing, several []string
	missing = append(missing, c.blank...)
	for _, l := range c.lots {
		if len(l.repos) > 1 {
			several = append(several, l.tell())
			continue
		}
		n, err := r.chooseLot(ctx, l)
		switch {
		case errors.Is(err, errTooMany):
			return refuse(reason.PathRefused, "this is too much for one promotion", errTooMany.Error(), fmt.Sprintf("a build of at most %d files", MaxArtifacts))
		case err != nil:
			r.undecided(ctx, "reading the ledger", err)
			return nil
		case n < len(l.names): // not every name
			missing = append(missing, l.tell())
		}
	}
	r.told(reason.BuildIncomplete, "not every artifact of the build is there", missing, reason.Reason{
		Expected: "a file with each digest and name of the build-info, and with the build's properties", Fix: "find out who deleted or replaced it; run the build again", Who: "the build's owner",
	})
	r.told(reason.BuildIncomplete, "artifacts of the build lie in several repositories", several, reason.Reason{
		Expected: "each artifact in one repository besides the target", Fix: "name the repository with --source", Who: "the caller",
	})
	r.told(reason.BuildForeign, "files carry the build's properties and are not in its build-info", c.strangers(r.req.Build.Source), reason.Reason{
		Expected: "only the bytes that the build-info names, under the names that it gives them", Fix: "find out who put them there or replaced them; delete them, or take the properties build.name and build.number from them",
		Who: "the build's owner",
	})
	return nil
}

// told adds a reason that names the first few of what was found; none without any.
func (r *run) told(code reason.Code, message string, found []string, why reason.Reason) {
	const most = 5
	if len(found) == 0 {
		return
	}
	why.Code, why.Message = code, message
	why.Found = strings.Join(found[:min(most, len(found))], "; ")
	if n := len(found) - most; n > 0 {
		why.Found += fmt.Sprintf("; and %d more", n)
	}
	r.reasons = append(r.reasons, why)
}

// chooseLot adds the files with the bytes of one artifact, and answers how many of its names were found. Files that are at
// the target alone were moved there by an earlier promotion, or they do not count.
func (r *run) chooseLot(ctx context.Context, l *lot) (found int, err error) {
	here, names := map[string]bool{}, map[string]bool{}
	for _, info := range l.files {
		if info.SHA256.IsZero() {
			continue
		}
		here[info.Ref.Path] = true
		names[l.is(info.Ref)] = true
		if seal.IsAttachment(info.Ref.Name()) {
			r.along = append(r.along, info)
			continue
		}
		if err := r.add(info.Ref); err != nil {
			return 0, err
		}
		r.index[info.Ref].want = info.SHA256
	}
	for _, at := range l.arrived {
		if here[at.Ref.Path] {
			continue
		}
		if seal.IsAttachment(at.Ref.Name()) { // that of an artifact that was moved
			names[l.is(at.Ref)] = true
			r.along = append(r.along, at)
			continue
		}
		known, ok, err := r.Ledger.PromotedTo(ctx, at.Ref)
		if err != nil {
			return 0, err
		}
		if !ok || !known.Move || known.Subject != at.SHA256 || known.State != ledger.ItemCopied && known.State != ledger.ItemDone {
			continue
		}
		names[l.is(at.Ref)] = true
		if err := r.addKnown(known); err != nil {
			return 0, err
		}
	}
	return len(names), nil
}

// stayed refuses a build of which something would stay behind: an artifact that is called like a signature file goes only
// along with what it signs.
func (r *run) stayed() {
	if !r.allowed() {
		return
	}
	type bytes struct {
		ref    artifact.Ref
		digest artifact.Digest
	}
	goes := map[bytes]bool{}
	for _, it := range r.items {
		for _, f := range it.files {
			goes[bytes{it.source.Beside(f.name), f.digest}] = true
			goes[bytes{it.target.Beside(f.name), f.digest}] = true // the digest is zero when it is remembered
		}
	}
	var left []string
	for _, s := range r.along {
		if !goes[bytes{s.Ref, s.SHA256}] && !goes[bytes{s.Ref, artifact.Digest{}}] {
			left = append(left, s.Ref.String())
		}
	}
	r.told(reason.BuildIncomplete, "artifacts of the build would stay behind", left, reason.Reason{
		Expected: "signatures that count at the target, of artifacts of the build: nothing else with such a name goes along",
		Fix:      "publish the build without them, or under names that are not those of signature files", Who: "the build's owner",
	})
}

func (r *run) otherBuilt(it *item) reason.Reason {
	return reason.Reason{
		Code: reason.ArtifactChanged, Message: "the file was replaced while the build was being looked at", Found: it.digest.String(),
		Expected: it.want.String() + ", as in the build-info of " + r.req.Build.String(), Fix: "find out who replaced it, then repeat the promotion", Who: "the caller",
	}
}

// markBuild writes the promotion into the build's history. A repetition changes nothing.
func (r *run) markBuild(ctx context.Context) bool {
	b := r.req.Build
	comment := "into " + r.req.Target + " by hallmark" // a server that drops the repository is recognised by it
	if b.Comment != "" {
		comment += ": " + b.Comment
	}
	status := cmp.Or(b.Status, DefaultStatus)
	err := r.client.MarkPromoted(ctx, r.build, artifact.BuildPromotion{Status: status, Repo: r.req.Target}, comment)
	if err == nil {
		return true
	}
	r.Log.WarnContext(ctx, "a promoted build could not be marked", slog.Int64("promotion", r.id), slog.Any("error", err))
	why := reason.Reason{
		Code: reason.StoreUnavailable, Message: "everything stands at the target, but the build's history does not say so", Found: cmp.Or(answer(err), "an internal error; see the service's log"),
		Expected: "Artifactory marks build " + b.String() + " as " + status, Fix: "repeat the promotion; only the mark is missing", Who: "the caller",
	}
	st, _ := errors.AsType[*artifactory.StatusError](err)
	_, refused := errors.AsType[*artifactory.Refused](err)
	switch {
	case refused, st != nil && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized):
		why.Code, why.Who = reason.PromotionRefused, "Artifactory administrators"
		why.Fix = "grant the promotion identity Read and Deploy on the build, then " + why.Fix
	case errors.Is(err, artifact.ErrGone), errors.Is(err, artifactory.ErrOtherItem):
		why.Code, why.Found = reason.ArtifactChanged, err.Error()
		why.Fix, why.Who = "find out who deleted the build or published it again; repeat the promotion when it is what you want", "the build's owner"
	}
	r.reasons = append(r.reasons, why)
	return false
}
