package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func factsUnknown(q *question, p *signingRule, lacks Needs) reason.Reason {
	return reason.Reason{
		Code: reason.Undecided, Message: "whether a signing policy matches is not known, so nothing is signed", Found: "not looked up: " + lacks.String(),
		Expected: "the facts that " + p.rule + " looks at", Fix: "ask again: " + again(q.subject.Ref), Who: "platform engineers", Rule: p.rule,
	}
}

func conflict(ref artifact.Ref, a, b *signingRule) reason.Reason {
	return reason.Reason{
		Code:     reason.PolicyConflict,
		Message:  fmt.Sprintf("two signing policies match %s and sign it differently, so it is not signed", ref),
		Found:    fmt.Sprintf("%s %s; %s %s", a.rule, a.outcome(), b.rule, b.outcome()),
		Expected: "one signing policy for an artifact, or several that sign it alike: with the same keys in the same order, the same checks and mode",
		Fix:      fmt.Sprintf("narrow match or add exclude in one of them, then hallmark policy explain %s", ref),
		Who:      owners([]string{a.owner, b.owner}),
		Rule:     a.rule + " and " + b.rule,
	}
}

func digestUnknown(ref artifact.Ref, p *signingRule) reason.Reason {
	return reason.Reason{
		Code:     reason.DigestUnknown,
		Message:  fmt.Sprintf("the SHA-256 of %s is not known, so there is nothing to grant", ref),
		Found:    "no SHA-256",
		Expected: "the SHA-256 that Artifactory reports for the file",
		Fix:      "run Artifactory's SHA-256 migration, or upload the file again",
		Who:      "Artifactory administrators",
		Rule:     p.rule,
	}
}

func (s *Set) noPolicy(ref artifact.Ref) reason.Reason {
	return reason.Reason{
		Code:     reason.NoPolicy,
		Message:  fmt.Sprintf("no signing policy matches %s and noMatch is deny", ref),
		Found:    fmt.Sprintf("%d signing policies, none matches; hallmark policy explain %s says why", len(s.signing), ref),
		Expected: "a signing policy that matches it",
		Fix:      fmt.Sprintf("let the match of a SigningPolicy in %s cover %s, or set noMatch: skip", s.dir, ref),
		Who:      cmp.Or(s.owners, owners(nil)),
	}
}

func (s *Set) formatUnfit(subject artifact.Subject, p *signingRule) reason.Reason {
	var fit []string
	for _, f := range s.vocabulary.counting() {
		if s.vocabulary.fits(f, subject.Kind) {
			fit = append(fit, f)
		}
	}
	return reason.Reason{
		Code:     reason.FormatUnfit,
		Message:  fmt.Sprintf("%s is of the kind %s, and the policy names no format for it", subject.Ref, subject.Kind),
		Found:    linesText(p.lines),
		Expected: "one of the formats " + strings.Join(fit, ", "),
		Fix:      fmt.Sprintf("add formats: [%s] to the sign list of %s", strings.Join(fit, ", "), p.rule),
		Who:      p.owner,
		Rule:     p.rule,
	}
}

// outOfTime refuses lines of which no key is in use.
func (s *Set) outOfTime(at time.Time, p *signingRule, shut []line) []reason.Reason {
	var out []reason.Reason
	for _, l := range shut {
		r := reason.Reason{
			Code: reason.KeyRetired, Message: fmt.Sprintf("the key %s is retired, so nothing is signed with it", l.names()), Found: s.vocabulary.shutText(l, at),
			Expected: "a key that is in use", Would: "with another key", Fix: fmt.Sprintf("name another key in %s", p.source()), Who: p.owner, Rule: p.rule,
		}
		if len(l.keys) > 1 {
			r.Message, r.Fix = "none of the keys that take turns is in use, so nothing is signed", fmt.Sprintf("add a key that is in use to the list in %s", p.source())
		}
		if next := s.vocabulary.next(l, at); !next.IsZero() {
			r.Code, r.Would = reason.KeyNotYet, "from "+minute(next)+" on, or with another key"
			if len(l.keys) == 1 {
				r.Message = fmt.Sprintf("the time of the key %s has not begun, so nothing is signed with it", l.names())
			}
		}
		out = append(out, r)
	}
	return out
}

// next is when the time of one of a line's keys begins; zero when that is not to come.
func (v Vocabulary) next(l line, at time.Time) time.Time {
	var next time.Time
	for _, name := range l.keys {
		if from := v.key(name).From; at.Before(from) && (next.IsZero() || from.Before(next)) {
			next = from
		}
	}
	return next
}
