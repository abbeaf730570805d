package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// gravest orders the problems of evidence: what is told first when several files are at fault.
var gravest = []reason.Code{reason.SignatureWrongBytes, reason.SignatureInvalid, reason.SignatureWrongKey}

// problemText describes a problem when the evidence has no detail of its own.
var problemText = map[reason.Code]string{
	reason.SignatureWrongBytes: "made for other bytes",
	reason.SignatureInvalid:    "does not verify",
	reason.SignatureWrongKey:   "made with a key that is not accepted here",
	reason.Undecided:           "could not be read",
}

// refusal explains why one rule is not met. have are the keys that did sign.
func (d Demand) refusal(g *gateRule, r requirement, have []string, found []Evidence) reason.Reason {
	ref := d.artifact
	if ref == (artifact.Ref{}) {
		ref = d.target
	}
	code := r.code(have, found)
	out := reason.Reason{
		Code:     code,
		Found:    r.found(have, found),
		Expected: r.expected(),
		Who:      g.owner,
		Rule:     r.rule,
	}
	switch code {
	case reason.SignatureWrongBytes:
		out.Message = fmt.Sprintf("%s is not the file that was signed: its bytes changed afterwards, or the signature belongs to another file", ref.Name())
		out.Fix = fmt.Sprintf("if the new bytes are meant: %s; else upload the signed file again", d.remedy(ref, r, have))
	case reason.SignatureInvalid:
		out.Message = fmt.Sprintf("a signature file of %s is damaged or does not verify", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.SignatureWrongKey:
		out.Message = fmt.Sprintf("%s is signed, but not by a key that %s accepts", ref.Name(), d.target.Repo)
		out.Fix = d.remedy(ref, r, have)
	case reason.SignatureMissing:
		out.Message = fmt.Sprintf("%s lacks a signature that %s demands", ref.Name(), d.target.Repo)
		out.Fix = d.remedy(ref, r, have)
	default:
		out.Message = fmt.Sprintf("a signature file of %s could not be judged", ref.Name())
		out.Fix = "ask again; if it stays, " + d.remedy(ref, r, have)
	}
	return out
}

// code picks the reason code: the gravest problem that any file has, else signed by others only, else missing.
func (r requirement) code(have []string, found []Evidence) reason.Code {
	problems := map[reason.Code]bool{}
	for _, e := range found {
		switch {
		case e.Problem != "":
			problems[e.Problem] = true
		case !slices.Contains(r.keys, e.Key):
			problems[reason.SignatureWrongKey] = true
		}
	}
	if len(have) > 0 {
		delete(problems, reason.SignatureWrongKey)
	}
	delete(problems, reason.SignatureMissing)
	for _, c := range gravest {
		if problems[c] {
			return c
		}
	}
	for _, e := range found {
		if problems[e.Problem] {
			return e.Problem
		}
	}
	return reason.SignatureMissing
}

// found tells what is there instead.
func (r requirement) found(have []string, found []Evidence) string {
	var parts []string
	if len(have) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d: signed by %s", len(have), r.count, strings.Join(have, ", ")))
	} else {
		parts = append(parts, "no signature by "+r.what())
	}
	for _, e := range found {
		if e.Problem == "" && slices.Contains(have, e.Key) && slices.Contains(r.formats, e.Format) {
			continue
		}
		parts = append(parts, e.text(r))
	}
	return strings.Join(clip(parts), "; ")
}

func (e Evidence) text(r requirement) string {
	made := ""
	if !e.At.IsZero() {
		made = ", made " + e.At.UTC().Format("2006-01-02 15:04 UTC")
	}
	by := e.File
	switch {
	case e.Key != "":
		by += " is by " + e.Key
	case e.Problem == "":
		by += " is by an unknown key"
	}
	switch {
	case e.Problem != "" && e.Detail != "":
		return fmt.Sprintf("%s%s: %s", by, made, e.Detail)
	case e.Problem != "":
		return fmt.Sprintf("%s%s: %s", by, made, cmp.Or(problemText[e.Problem], string(e.Problem)))
	case !slices.Contains(r.keys, e.Key):
		return by + made
	}
	return fmt.Sprintf("%s%s, but in format %s, which does not count", by, made, e.Format)
}

// remedy is the command that would make the rule pass, or the change of policy that is needed first.
func (d Demand) remedy(ref artifact.Ref, r requirement, have []string) string {
	sign := "hallmark sign " + ref.String()
	if d.artifact == (artifact.Ref{}) {
		return sign
	}
	c := d.set.consider(ref, "")
	switch {
	case len(c.denied) > 0 && c.rule != nil:
		return fmt.Sprintf("settle the conflict of signing policies that hallmark policy explain %s shows, then %s", ref, sign)
	case c.rule == nil:
		return fmt.Sprintf("no signing policy matches %s; add one that signs with %s, then %s", ref, r.what(), sign)
	}
	would := slices.Clone(have)
	for _, o := range c.rule.orders {
		counts := slices.Contains(r.keys, o.Key) && slices.ContainsFunc(o.Formats, func(f string) bool { return slices.Contains(r.formats, f) })
		if counts && !slices.Contains(would, o.Key) {
			would = append(would, o.Key)
		}
	}
	if len(would) >= r.count {
		return sign
	}
	too, formats := "too", strings.Join(r.formats, " or ")
	if c.rule.lane != r.keyLane {
		too = "instead" // one rule never mixes lanes
	}
	return fmt.Sprintf("%s signs it with %s only; let %s sign it %s (format %s), then %s",
		c.rule.rule, ordersText(c.rule.orders), r.others(would), too, formats, sign)
}

// others names the keys that are still to sign when those of have did.
func (r requirement) others(have []string) string {
	if len(have) == 0 && r.count == 1 {
		return r.what()
	}
	var left []string
	for _, k := range r.keys {
		if !slices.Contains(have, k) {
			left = append(left, k)
		}
	}
	if lack := r.count - len(have); lack < len(left) {
		return fmt.Sprintf("%d of %s", lack, strings.Join(left, ", "))
	}
	return strings.Join(left, " and ")
}
