package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// gravest orders the problems of evidence: what is told first when several files are at fault.
var gravest = []reason.Code{
	reason.SignatureWrongBytes, reason.SignatureSwapped, reason.SignatureInvalid, reason.CertificateUntrusted, reason.LogProofInvalid, reason.LogUnknown,
	reason.TimestampInvalid, reason.CertificateExpired, reason.KeyDistrusted, reason.KeyRetired, reason.KeyNotYet, reason.TrustLevelLow,
	reason.SignatureUndated, reason.SignatureStale, reason.KeyDevelopment, reason.SignatureWrongKey,
}

// problemText describes a problem when the evidence has no detail of its own.
var problemText = map[reason.Code]string{
	reason.SignatureWrongBytes: "made for other bytes",
	reason.SignatureInvalid:    "does not verify",
	reason.SignatureSwapped:    "the signature of another artifact",
	reason.SignatureWrongKey:   "made with a key that is not accepted here",
	reason.Undecided:           "could not be read",

	reason.CertificateUntrusted: "its certificate is not trusted",
	reason.CertificateExpired:   "time-stamped outside its certificate's life",
	reason.LogUnknown:           "it stands in a log that nobody knows here",
	reason.LogProofInvalid:      "its proof of being in the log does not hold",
	reason.TimestampInvalid:     "its time-stamp does not hold",
}

// refusal explains why one rule is not met. have are the keys that did sign.
func (d Demand) refusal(g *gateRule, r requirement, have []string, found []Evidence) reason.Reason {
	ref := d.subject()
	code := r.code(found, d.now())
	out := reason.Reason{
		Code:     code,
		Found:    r.found(found, d.now()),
		Expected: r.expected(),
		Would:    r.lacking(have),
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
	case reason.SignatureSwapped:
		out.Message = fmt.Sprintf("a signature file of %s belongs to another artifact: files were swapped, or copied under this name", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.CertificateUntrusted:
		out.Message = fmt.Sprintf("a signature of %s carries a certificate that is not trusted", ref.Name())
		out.Fix = d.anew(ref, r, have)
	case reason.CertificateExpired:
		out.Message = fmt.Sprintf("a signature of %s was time-stamped outside the life of its certificate", ref.Name())
		out.Fix = d.anew(ref, r, have)
	case reason.LogUnknown:
		out.Message = fmt.Sprintf("a signature of %s stands in a log that is not in the trusted root", ref.Name())
		out.Fix = "if it is the log of a replica of yours, start that on this ledger, or name a trusted_root.json that lists it under trust.former (hallmark doctor); else " + d.anew(ref, r, have)
	case reason.LogProofInvalid:
		out.Message = fmt.Sprintf("a signature of %s is not proven to stand in the log", ref.Name())
		out.Fix = d.anew(ref, r, have)
	case reason.TimestampInvalid:
		out.Message = fmt.Sprintf("a signature of %s carries a time-stamp that does not hold", ref.Name())
		out.Fix = d.anew(ref, r, have)
	case reason.KeyDistrusted:
		out.Message = fmt.Sprintf("%s is signed with a distrusted key, and not before it was distrusted as far as is known", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.KeyRetired:
		out.Message = fmt.Sprintf("%s is signed with a retired key, and not before it was retired as far as is known", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.KeyNotYet:
		out.Message = fmt.Sprintf("%s is signed with a key whose time had not begun", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.TrustLevelLow:
		out.Message = fmt.Sprintf("%s is signed with less trust than %s demands", ref.Name(), d.target.Repo)
		out.Fix = d.remedy(ref, r, have)
	case reason.SignatureUndated:
		out.Message = fmt.Sprintf("%s is signed, and the ledger has no believable record of when", ref.Name())
		out.Fix = d.remedy(ref, r, have)
	case reason.SignatureStale:
		out.Message = fmt.Sprintf("%s was signed longer ago than %s accepts", ref.Name(), d.target.Repo)
		out.Fix = d.remedy(ref, r, have)
	case reason.KeyDevelopment:
		out.Message = fmt.Sprintf("%s is signed with a development key, and %s accepts release keys only", ref.Name(), d.target.Repo)
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
func (r requirement) code(found []Evidence, at time.Time) reason.Code {
	problems := map[reason.Code]bool{}
	for _, e := range found {
		if code := r.counts(e, at); code != "" {
			problems[code] = true
		}
	}
	if len(r.signers(found, at)) > 0 {
		delete(problems, reason.SignatureWrongKey)
		delete(problems, reason.KeyDevelopment)
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
func (r requirement) found(found []Evidence, at time.Time) string {
	var parts []string
	if have := r.signers(found, at); len(have) > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d: signed by %s", len(have), r.count, strings.Join(have, ", ")))
	} else {
		parts = append(parts, "no signature by "+r.what())
	}
	for _, e := range found {
		if r.counts(e, at) != "" {
			parts = append(parts, e.text(r, at))
		}
	}
	return strings.Join(clip(parts), "; ")
}

func (e Evidence) text(r requirement, at time.Time) string {
	made := ""
	if !e.At.IsZero() {
		made = ", made " + minute(e.At)
	}
	by := e.File
	switch {
	case e.Key != "":
		by += " is by " + e.Key
	case e.Problem == "":
		by += " is by an unknown key"
	}
	switch code := r.counts(e, at); {
	case e.Problem != "" && e.Detail != "":
		return fmt.Sprintf("%s%s: %s", by, made, e.Detail)
	case e.Problem != "":
		return fmt.Sprintf("%s%s: %s", by, made, cmp.Or(problemText[e.Problem], string(e.Problem)))
	case e.Kept:
		return fmt.Sprintf("%s%s, in the ledger alone", by, made)
	case code == reason.KeyDistrusted && e.At.IsZero():
		return fmt.Sprintf("%s, made at a time that nothing trustworthy tells; the key is distrusted from %s on", by, minute(e.Distrusted))
	case code == reason.KeyDistrusted:
		return fmt.Sprintf("%s%s, which is distrusted from %s on", by, made, minute(e.Distrusted))
	case code == reason.KeyRetired:
		return fmt.Sprintf("%s%s, which is retired since %s", by, made, minute(r.words.key(e.Key).Retired))
	case code == reason.KeyNotYet:
		return fmt.Sprintf("%s%s, which is in use from %s on", by, made, minute(r.words.key(e.Key).From))
	case code == reason.TrustLevelLow:
		return fmt.Sprintf("%s%s, at trust level %d", by, made, e.level())
	case code == reason.SignatureUndated && !e.At.IsZero():
		return fmt.Sprintf("%s%s, which is still to come", by, made)
	case code == reason.SignatureUndated:
		return by + ", made at a time that is not on record"
	case code == reason.SignatureMissing:
		return fmt.Sprintf("%s%s, but in format %s, which does not count", by, made, e.Format)
	}
	return by + made
}

// remedy is the command that would make the rule pass, or the change of policy that is needed first.
func (d Demand) remedy(ref artifact.Ref, r requirement, have []string) string {
	sign := "hallmark sign " + ref.String()
	if d.artifact == (artifact.Ref{}) {
		return sign
	}
	c := d.set.consider(&question{subject: artifact.Subject{Info: artifact.Info{Ref: ref}, Kind: d.kind}, about: ref}, byNameOnly)
	switch {
	case len(c.denied) > 0 && c.rule != nil:
		return fmt.Sprintf("settle the conflict of signing policies that hallmark policy explain %s shows, then %s", ref, sign)
	case c.rule == nil:
		return fmt.Sprintf("no signing policy matches %s; add one that signs with %s, then %s", ref, r.what(), sign)
	}
	would := slices.Clone(have)
	orders, _ := d.set.vocabulary.orders(c.rule.lines, d.now())
	for _, o := range orders {
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
		c.rule.rule, linesText(c.rule.lines), r.others(would), too, formats, sign)
}

// anew is the remedy for a file that carries what is not true: it has to go before another takes its place.
func (d Demand) anew(ref artifact.Ref, r requirement, have []string) string {
	return "find out who put it there, or which trusted root is missing here (trust.former); delete the file, then " + d.remedy(ref, r, have)
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
