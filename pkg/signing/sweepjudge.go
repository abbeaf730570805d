package signing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What a sweep can find about a file.
const (
	foundSigned      = "signed"           // as policy wants, verified with the pinned keys
	foundUncovered   = "uncovered"        // no policy wants anything
	foundSignature   = "signature-file"   // beside its artifact
	foundUnsigned    = "unsigned"         // a signature that policy wants is not there
	foundWrong       = "wrongly-signed"   // a signature file is there that does not verify over these bytes
	foundOverwritten = "overwritten"      // it was signed, then replaced
	foundLying       = "lying-property"   // properties say signed, for these bytes or others, and that is not so
	foundBare        = "bare"             // signed, without the certificate, log entry or time-stamp that a signature made now would have
	foundUnmarked    = "unmarked"         // signed, and the properties do not say so
	foundRefused     = "refused"          // policy refuses it
	foundOrphan      = "orphan"           // a signature file without its artifact
	foundWaiting     = "waiting"          // something is to be done, and the work for it waits or runs already
	foundUnnamed     = "unspeakable-path" // its path cannot be named safely
)

// findings lists them: the values of a metric's label.
var findings = []string{
	foundSigned, foundUncovered, foundSignature, foundUnsigned, foundWrong, foundOverwritten, foundLying, foundBare, foundUnmarked, foundRefused,
	foundOrphan, foundWaiting, foundUnnamed,
}

// lateness is how much earlier than its file an event may have been stamped, because two clocks are involved.
const lateness = 5 * time.Minute

// finding is what the sweep says about one file.
type finding struct {
	item    artifactory.Item
	name    string
	reasons []reason.Reason
	repair  bool // work would change it
	lost    bool // its event never arrived
	waiting bool
	ordered bool
}

// tellable reports whether people want to read about it.
func (f *finding) tellable() bool {
	return !slices.Contains([]string{foundSigned, foundUncovered, foundSignature}, f.name)
}

// seen is what is known about the artifacts of a page without asking for each.
type seen struct {
	known map[string]ledger.Known
	kept  map[artifact.Digest][]ledger.Signature
	marks map[string]mark

	distrusted distrusts
}

// mark is what an artifact's properties say. They are never evidence; here they are what is being checked.
type mark struct {
	state  string
	sha256 []string
}

// judge says what there is to say about each file of the page that is held.
func (p *pass) judge(ctx context.Context) ([]*finding, error) {
	known, err := p.gather(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]*finding, 0, len(p.held.Items))
	for _, item := range p.held.Items {
		if err := p.keep(ctx); err != nil {
			return nil, err
		}
		f := &finding{item: item}
		switch kind := artifact.KindOf(p.repo, item.Ref); {
		case kind == artifact.KindImage:
			err = p.image(ctx, f, known)
		case kind == artifact.KindBundle:
			err = p.bundle(ctx, f, known)
		case kind != artifact.KindFile:
			f.name = foundUncovered
		case isSignature(item):
			err = p.signatureFile(ctx, f)
		default:
			err = p.artifact(ctx, f, artifact.Subject{Kind: artifact.KindFile, Info: item.Info}, known)
		}
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", item.Ref, err)
		}
		found = append(found, f)
	}
	return found, nil
}

func (p *pass) gather(ctx context.Context) (seen, error) {
	var paths []string
	var digests []artifact.Digest
	for _, item := range p.held.Items {
		if !isSignature(item) {
			paths, digests = append(paths, item.Ref.Path), append(digests, item.SHA256)
		}
	}
	f := seen{marks: make(map[string]mark)}
	if len(paths) == 0 {
		return f, nil
	}
	var err error
	if f.known, err = p.Service.Ledger.Known(ctx, p.run.Instance, p.run.Repo, paths); err != nil {
		return f, err
	}
	if f.kept, err = p.Service.Ledger.SignaturesOf(ctx, digests); err != nil {
		return f, err
	}
	if f.distrusted, err = p.Service.Ledger.Distrusted(ctx); err != nil {
		return f, err
	}
	first, last := p.held.Items[0].Updated, p.held.Items[len(p.held.Items)-1].Updated
	err = p.client.Marked(ctx, p.run.Repo, propState, first, last, func(path string, props map[string][]string) {
		if _, here := p.held.files[path]; here {
			f.marks[path] = mark{state: strings.Join(props[propState], ","), sha256: props[propSHA256]}
		}
	})
	return f, err
}

// artifact judges what may have to be signed.
func (p *pass) artifact(ctx context.Context, f *finding, subject artifact.Subject, known seen) error {
	item, k, m := f.item, known.known[f.item.Ref.Path], known.marks[f.item.Ref.Path]
	d, err := p.decide(ctx, f, subject, k)
	if err != nil {
		return p.unknown(f, k, err)
	}
	claims := m.state == "signed"
	switch {
	case len(d.Denied) > 0:
		f.name, f.reasons = foundRefused, d.Denied
		f.repair = k.State != ledger.Denied || k.Subject != item.SHA256 // so that status and properties say why
	case d.Grant == nil:
		return p.unclaimed(ctx, f, subject, claims)
	case p.client.Speakable(item.Ref) != nil: // work would fail again and again
		f.name, f.reasons = foundUnnamed, []reason.Reason{unspeakable(item, p.client.Speakable(item.Ref))}
		return nil
	default:
		state, err := p.inspect(ctx, subject, d.Grant.Orders(), known.kept[item.SHA256], known.distrusted, k.State == ledger.Signed && k.Subject == item.SHA256 || claims)
		if err != nil {
			return err
		}
		f.reasons = state.reasons
		kept := known.kept[item.SHA256]
		no, distrusted := known.distrusted.first(p.Service, d.Grant.Orders())
		switch {
		case distrusted && (!state.complete() || len(known.distrusted.trusted(kept)) < len(kept)): // work would be denied, once
			f.name, f.reasons = foundRefused, []reason.Reason{(&distrustError{no}).reason(d)}
			f.repair = k.State != ledger.Denied || k.Subject != item.SHA256
		case !state.complete() && k.State == ledger.Signed && k.Subject != item.SHA256:
			f.name, f.repair = foundOverwritten, true
		case len(state.wrong) > 0:
			f.name, f.repair = foundWrong, true
		case claims && !state.complete(), claims && !slices.Equal(m.sha256, []string{item.SHA256.String()}):
			f.name, f.repair = foundLying, true
			f.reasons = append(f.reasons, falseProperty(item, m))
		case !state.complete():
			f.name, f.repair = foundUnsigned, true
		case len(state.bare) > 0 && !distrusted:
			f.name, f.repair = foundBare, true
		case !claims && k.State == ledger.Signed && takesMarks(subject.Kind):
			f.name, f.repair = foundUnmarked, true
		default:
			f.name = foundSigned
		}
	}
	f.lost = p.lost(f, k)
	return nil
}

// lost reports whether the event about these bytes never arrived. A file that no event had announced by the time of an
// earlier sweep was counted then: it is counted again only when it still has to be repaired.
func (p *pass) lost(f *finding, k ledger.Known) bool {
	if p.run.Kind != SweepPeriodic && p.run.Kind != SweepManual || !f.repair && !f.item.Updated.After(p.run.SeenUntil) {
		return false
	}
	sha := f.item.SHA256.String()
	came := f.item.Updated.Add(-p.fast) // by our clock, which events are stamped with
	return !slices.ContainsFunc(k.Events, func(e ledger.Arrived) bool {
		return e.SHA256 == sha || e.SHA256 == "" && e.At.After(came.Add(-lateness))
	})
}

func unspeakable(item artifactory.Item, why error) reason.Reason {
	return reason.Reason{
		Code: reason.PathRefused, Message: "the artifact cannot be named safely in a request, so it is not signed", Found: why.Error(),
		Expected: "a path without ';' and \"!/\"", Fix: "upload it under another name; for ';' see artifactory[].pathSemicolon, then: hallmark sign " + item.Ref.String(),
		Who: "the uploader, or operators",
	}
}

func (p *pass) keyNames() (names []string) {
	for _, k := range p.Service.Keys.Keys() {
		names = append(names, k.Name)
	}
	return names
}
