package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// secondOpinion lists commands with which other people's programs check the same, for every signature file that proves
// something. They run as they are printed, in a POSIX shell, without a network, and need no flag that switches a check off:
// what would need one is left to openssl.
func (c *verifier) secondOpinion(v verification) []string {
	var lines []string
	for _, s := range v.Signatures {
		if s.Problem != "" {
			continue
		}
		q := question{verifier: c, file: v.File, signature: s, shows: s.finding}
		q.hash, q.key = c.keyOf(s.finding)
		lines = append(lines, q.cosign()...)
		lines = append(lines, q.openssl()...)
	}
	if len(lines) > 0 {
		lines = append([]string{"T=$(mktemp -d)"}, lines...)
	}
	return lines
}

// question is about one signature of a file.
type question struct {
	*verifier
	file      string
	signature signatureFile
	shows     verify.Finding
	key       string // file of the pinned key; "" when a certificate alone speaks for it
	hash      string // that the key signs with
}

// has reports whether a part of the proof is there.
func (q question) has(part string) bool { return hasPart(q.shows, part) }

func hasPart(f verify.Finding, part string) bool {
	for _, p := range f.Parts {
		if p.Name == part {
			return true
		}
	}
	return false
}

// keyOf finds the file of the key that signed, and what it signs with.
func (c *verifier) keyOf(f verify.Finding) (hash, file string) {
	for i, k := range c.Keys {
		if h, spki, err := verify.Fingerprint(k.Public); err == nil && spki == f.SPKI {
			return h, c.keyFiles[i]
		}
	}
	return f.Hash, ""
}

// cosign takes bundles of files that stand in a log.
func (q question) cosign() []string {
	if !strings.HasPrefix(q.signature.Format, "sigstore") || q.root == "" || !q.has("log") {
		return nil
	}
	command := []string{"cosign", "verify-blob", "--bundle", q.signature.File, "--trusted-root", q.root}
	switch {
	case q.has("certificate"):
		if q.shows.Level < verify.LevelCertificate {
			return nil
		}
		command = append(command, "--certificate-identity", q.shows.Identity)
		if q.shows.Issuer != "" {
			command = append(command, "--certificate-oidc-issuer", q.shows.Issuer)
		} else {
			command = append(command, "--certificate-oidc-issuer-regexp", "^$")
		}
	default:
		command = append(command, "--key", q.key)
		if q.hash == "sha384" {
			command = append(command, "--signature-digest-algorithm", "sha384")
		}
	}
	return []string{shell(append(command, q.file)...)}
}

// openssl takes the bare signature, out of a bundle where it stands in one, and the certificate's chain and the time-stamp
// where the export of trust has what they need.
func (q question) openssl() []string {
	if q.signature.Format == "raw" {
		return []string{shell("openssl", "dgst", "-"+q.hash, "-verify", q.key, "-signature", q.signature.File, q.file)}
	}
	if !strings.HasPrefix(q.signature.Format, "sigstore") {
		return nil
	}
	pick := func(member, to string) string {
		return `tr -d '\n' <` + shell(q.signature.File) + ` | sed 's/.*"` + member + `": *"\([^"]*\)".*/\1/' | openssl base64 -d -A >"$T/` + to + `"`
	}
	lines := []string{pick("signature", "signature")}
	key := shell(q.key)
	if q.has("certificate") {
		key = `"$T/key.pem"`
		lines = append(lines, pick(`certificate": *{ *"rawBytes`, "leaf.der"), `openssl x509 -inform DER -in "$T/leaf.der" -out "$T/leaf.pem"`, `openssl x509 -in "$T/leaf.pem" -noout -pubkey >"$T/key.pem"`)
		if ca := q.exported(caFile); ca != "" && q.has("time") {
			lines = append(lines, "openssl verify -attime "+strconv.FormatInt(q.shows.At.Unix(), 10)+" -CAfile "+shell(ca)+` "$T/leaf.pem"`)
		}
	}
	lines = append(lines, "openssl dgst -"+q.hash+" -verify "+key+` -signature "$T/signature" `+shell(q.file))
	if tsa := q.exported(tsaFile); tsa != "" && q.has("time") {
		lines = append(lines, pick("signedTimestamp", "token.tsr"),
			"openssl ts -verify -attime "+strconv.FormatInt(q.shows.At.Unix(), 10)+` -data "$T/signature" -in "$T/token.tsr" -CAfile `+shell(tsa))
	}
	return lines
}

// exported is a file of the export of trust; "" when it is not there.
func (q question) exported(name string) string {
	if q.dir == "" {
		return ""
	}
	path := filepath.Join(q.dir, name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shell writes words as a POSIX shell takes them.
func shell(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; !plainWord.MatchString(w) {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
