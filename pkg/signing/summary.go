package signing

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// product names those who decide where nobody configured a name.
const product = "https://github.com/hallmark-signing/hallmark"

// maxInputs bounds the attestations that a summary names.
const maxInputs = 32

// summary is what a verification summary says of the grant: that policy let these bytes be signed, which policy in which
// set, when, where, and upon which signatures that stood there. It is made of what was decided, not looked up again.
func (r *run) summary(w *work) *seal.Summary {
	g, issuer := w.decision.Grant, strings.TrimSuffix(cmp.Or(r.Issuer, product), "/")
	s := &seal.Summary{
		Verifier: issuer, At: time.Now(), Resource: place(r.ref).String(), Policy: issuer + "/policies/" + url.PathEscape(g.Policy()), PolicyDigest: g.SetDigest(),
		Notes: map[string]string{"rule": g.Rule(), "event": r.event.Domain + "/" + r.event.Type},
	}
	if c := g.Configuration(); c != "" {
		s.Notes["configuration"] = c
	}
	if warned := warnings(w.decision.Warnings); warned != "" {
		s.Notes["warnings"] = warned
	}
	if r.asked == nil {
		return s
	}
	s.At = r.asked.At
	for _, e := range r.asked.Facts.Signatures {
		if e.Problem == "" && !e.SHA256.IsZero() && len(s.Inputs) < maxInputs {
			s.Inputs = append(s.Inputs, seal.Input{URI: r.standing(w.subject, e), SHA256: e.SHA256})
		}
	}
	return s
}

// warnings are the codes of what a policy that only warns would have refused: who reads that it passed reads that, too.
func warnings(all []reason.Reason) string {
	codes := make([]string, len(all))
	for i, one := range all {
		codes[i] = string(one.Code)
	}
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), ", ")
}

// place is where an artifact is, as a URI that says nothing about addresses.
func place(ref artifact.Ref) *url.URL {
	return &url.URL{Scheme: "artifactory", Host: ref.Instance, Path: "/" + ref.Repo + "/" + ref.Path}
}

// standing is where a signature of the subject is: a file beside it, or what the registry calls it.
func (r *run) standing(s artifact.Subject, e policy.Evidence) string {
	if s.Kind == artifact.KindFile {
		return place(r.ref.Beside(e.File)).String()
	}
	at := place(r.ref)
	at.Fragment = e.File
	return at.String()
}
