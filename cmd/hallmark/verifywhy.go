package main

import (
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// remedies say what helps against each cause, and who can do it.
var remedies = map[reason.Code]struct{ fix, who string }{
	reason.CertificateUntrusted: {"ask the publisher for the current export of trust (hallmark trust export); unless that lists the authority or the identity, the signature is none of theirs", "the publisher"},
	reason.CertificateExpired:   {"have it signed again: hallmark sign REPOSITORY/PATH; and ask why it was signed at that time", "the publisher"},
	reason.LogUnknown:           {"ask the publisher for the current export of trust (hallmark trust export); unless that lists the log, the signature is none of theirs", "the publisher"},
	reason.LogProofInvalid:      {"fetch the signature file again; if that does not help, tell the publisher: this signature is not in their log", "the publisher"},
	reason.TimestampInvalid:     {"fetch the signature file again; if that does not help, have it signed again: hallmark sign REPOSITORY/PATH", "the publisher"},
	reason.KeyDistrusted:        {"do not use the file; fetch a release that is signed with another key", "the publisher"},
	reason.KeyRetired:           {"fetch it again: what is still published is signed again with a current key (hallmark sign REPOSITORY/PATH)", "the publisher"},
	reason.KeyNotYet:            {"ask the publisher for the current export of trust (hallmark trust export), and about the key's time", "the publisher"},
	reason.KeyDevelopment:       {"fetch the released file; --lane development accepts files that are not meant for release", "the publisher"},
}

// refusal explains why a signature file does not prove the file.
func (c *verifier) refusal(s signatureFile, sha256 string, err error) reason.Reason {
	r := reason.Reason{
		Code: s.Problem, Message: s.File + " does not prove this file", Found: err.Error(), Expected: "a signature over sha256:" + sha256 + " " + c.words(),
		Fix: "fetch the file and its signature again from the release repository", Who: "the publisher",
	}
	if remedy, ok := remedies[s.Problem]; ok {
		r.Fix, r.Who = remedy.fix, remedy.who
	}
	if s.Problem == reason.KeyDevelopment && c.Lane == policy.LaneDevelopment {
		r.Fix = "leave --lane out for what is released; --lane any takes keys of every lane"
	}
	return r
}

// tooLow explains that what is proven is not enough.
func (c *verifier) tooLow(v *verification) reason.Reason {
	r := reason.Reason{
		Code: reason.TrustLevelLow, Message: fmt.Sprintf("%s is trusted at level %d only", v.File, v.Level),
		Found: fmt.Sprintf("level %d%s", v.Level, c.lacks(v)), Expected: fmt.Sprintf("level %d", c.level),
		Fix: "have it signed with a certificate, a log entry and a time-stamp (trust: in hallmark.yaml), and fetch the signature file again", Who: "the publisher",
	}
	switch {
	case v.Level == verify.LevelHash && !c.nobody:
		r.Fix = "fetch the signature files from the repository that holds the file"
	case v.Level == verify.LevelHash:
		r.Fix = "name whom to believe with --trust DIR, which the publisher makes with hallmark trust export"
	case c.Root == nil:
		r.Fix = "give --trust DIR (hallmark trust export) or --trusted-root FILE: without it nothing is known of certificates, log and time"
	}
	return r
}

// lacks tells what keeps the best signature from the next level.
func (c *verifier) lacks(v *verification) string {
	if v.Level != verify.LevelKey || c.Root == nil || v.Proof == nil {
		return ""
	}
	has := map[string]bool{}
	for _, p := range v.Proof.Parts {
		has[p.Name] = true
	}
	for _, part := range []struct{ name, words string }{{"certificate", "the key is named, and there is no certificate"}, {"log", "there is no log entry"}, {"time", "there is no time-stamp"}} {
		if !has[part.name] {
			return ": " + part.words
		}
	}
	return ""
}
