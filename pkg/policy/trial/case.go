package trial

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Case is one question to a policy set, with the answer that is expected.
type Case struct {
	Name string
	Pos  strictyaml.Pos

	gate     bool
	request  policy.Request // at a gate only the subject, the facts and the moment count
	target   artifact.Ref   // of a case about a gate
	artifact artifact.Ref   // zero: the target
	evidence []policy.Evidence
	want     want
}

// want is what a case expects. Reasons are sorted.
type want struct {
	outcome string
	orders  []policy.Order
	reasons []string
	warns   []string
	rule    text // optional
}

// someDigest stands for any that is known.
var someDigest = artifact.Attachment{Content: []byte("hallmark policy test")}.SHA256()

// reader turns what is written into cases and gathers what is wrong with it.
type reader struct {
	l    Language
	errs []error
}

func (f *File) cases(l Language) ([]*Case, error) {
	r := &reader{l: l}
	var out []*Case
	for _, s := range f.Signing {
		out = append(out, r.signing(s))
	}
	for _, g := range f.Gates {
		out = append(out, r.gate(g))
	}
	return out, errors.Join(r.errs...)
}

func (r *reader) fail(at strictyaml.Pos, format string, args ...any) {
	r.errs = append(r.errs, at.Errorf(format, args...))
}

func (r *reader) signing(s Signing) *Case {
	c := &Case{Name: s.Name.Value, Pos: s.Pos}
	c.request.Subject.Ref = r.ref(s.Instance, s.Artifact)
	c.request.Subject.Kind = artifact.Kind(cmp.Or(s.Kind.Value, string(artifact.KindFile)))
	if s.Digest.Value != "unknown" {
		c.request.Subject.SHA256 = someDigest
	}
	facts, size, at := r.given(s.Given, c.request.Subject.Ref, nil)
	facts.Signatures = r.evidence(s.Signatures, at)
	c.request.Facts, c.request.Subject.Size, c.request.At = facts, size, at
	c.request.Subject.Created, c.request.Subject.Modified = r.moment("created", s.Created), r.moment("modified", s.Modified)
	if c.request.Event = s.Event.Value; c.request.Event != "" {
		r.known("event", s.Event, r.l.Events)
	}
	if c.request.Subject.Kind == artifact.KindImage {
		c.request.Subject.Image, _ = artifact.ImageAt(c.request.Subject.Ref)
		c.request.Subject.Image.Platform = s.Platform.Value
		if s.PartOf.Value != "" {
			c.request.Whole = r.ref(s.Instance, s.PartOf)
		}
	} else if only := cmp.Or(s.Platform.Pos, s.PartOf.Pos, strictyaml.Pos{}); only != (strictyaml.Pos{}) {
		r.fail(only, "platform and partOf are for images; write kind: image, or remove it")
	}
	c.want = want{outcome: s.Expect.Outcome.Value, rule: s.Expect.Rule, reasons: r.reasons(s.Expect.Reasons), warns: r.reasons(s.Expect.Warnings)}
	for _, line := range s.Expect.Sign {
		r.known("key", line.Key, keyNames(r.l))
		for _, f := range line.Formats {
			r.known("format", f, r.l.Formats)
		}
		c.want.orders = append(c.want.orders, policy.Order{Key: line.Key.Value, Formats: r.inOrder(line.Formats)})
	}
	r.belongs(s.Expect.Pos, "sign", len(c.want.orders), c.want.outcome, "sign", "[{key: release-2026, formats: [sigstore]}]")
	r.belongs(s.Expect.Pos, "reasons", len(c.want.reasons), c.want.outcome, "deny", "["+string(reason.PolicyConflict)+"]")
	return c
}

func (r *reader) gate(g Gate) *Case {
	c := &Case{Name: g.Name.Value, Pos: g.Pos, gate: true, target: r.ref(g.Instance, g.Target)}
	if g.Artifact.Value != "" {
		c.artifact = r.ref(g.Instance, g.Artifact)
	}
	about := c.target
	if c.artifact.Repo != "" {
		about = c.artifact
	}
	facts, size, at := r.given(g.Given, about, nil)
	c.evidence = r.evidence(g.Evidence, at)
	facts.Signatures = c.evidence
	c.request = policy.Request{At: at, Facts: facts, Subject: artifact.Subject{
		Kind: artifact.Kind(cmp.Or(g.Kind.Value, string(artifact.KindFile))), Info: artifact.Info{Ref: about, SHA256: someDigest, Size: size, Created: r.moment("created", g.Created), Modified: r.moment("modified", g.Modified)},
	}}
	c.want = want{outcome: g.Expect.Outcome.Value, rule: g.Expect.Rule, reasons: r.reasons(g.Expect.Reasons), warns: r.reasons(g.Expect.Warnings)}
	r.belongs(g.Expect.Pos, "reasons", len(c.want.reasons), c.want.outcome, "refuse", "["+string(reason.SignatureMissing)+"]")
	return c
}

// belongs holds that a list is there with one outcome, and with no other.
func (r *reader) belongs(at strictyaml.Pos, field string, n int, outcome, with, example string) {
	switch {
	case outcome == with && n == 0:
		r.fail(at, "outcome: %s needs %s, so that the case fails when it happens otherwise; write for example %s: %s", with, field, field, example)
	case outcome != with && n > 0:
		r.fail(at, "%s goes with outcome: %s, found outcome: %s", field, with, outcome)
	}
}

func (r *reader) ref(instance, written text) artifact.Ref {
	name := r.l.instance()
	if instance.Value != "" {
		name = instance.Value
		r.known("instance", instance, r.l.Instances)
	}
	ref, err := artifact.ParseRef(name, written.Value)
	if err != nil {
		r.fail(written.Pos, "%v", err)
	}
	return ref
}

// known checks a word. An empty list leaves words unchecked, as it does in policies.
func (r *reader) known(what string, word text, known []string) {
	if len(known) > 0 && !slices.Contains(known, word.Value) {
		r.fail(word.Pos, "unknown %s %q; %s", what, word.Value, strictyaml.Hint(word.Value, known))
	}
}

func (r *reader) reasons(written []text) []string {
	var out []string
	for _, w := range written {
		r.known("reason code", w, codes)
		out = append(out, w.Value)
	}
	slices.Sort(out)
	return out
}

// inOrder sorts formats as policies do: by the vocabulary.
func (r *reader) inOrder(written []text) []string {
	var out []string
	for _, f := range r.l.Formats {
		if slices.ContainsFunc(written, func(w text) bool { return w.Value == f }) {
			out = append(out, f)
		}
	}
	return out
}

// codes are all reason codes, sorted.
var codes = func() []string {
	var out []string
	for code := range maps.Keys(reason.Codes) {
		out = append(out, string(code))
	}
	slices.Sort(out)
	return out
}()

func contains(list []string, s string) bool { return slices.Contains(list, s) }
