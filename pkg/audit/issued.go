package audit

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// maxDrafts is how many certificates may be about to be issued: an honest service issues one at a time for each key.
const maxDrafts = 1 << 12

// draft notes what the service's keys are about to sign.
func (a *account) draft(index uint64, d Draft) {
	c, err := d.Parse()
	if err != nil { // it was read as a leaf
		return
	}
	a.announcedKey(index, "the draft of a certificate", sha256.Sum256(c.RawSubjectPublicKeyInfo))
	if len(a.drafts) >= maxDrafts {
		a.dropDrafts()
	}
	e := essence(c)
	a.drafted.add(e)
	a.drafts[e] = index
}

// certificate must come after its draft, when it was issued here.
func (a *account) certificate(index uint64, c Certificate) {
	a.certs.add(sha256.Sum256(c.DER))
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil || !issuedHere(cert) {
		return
	}
	a.announcedKey(index, "a certificate", sha256.Sum256(cert.RawSubjectPublicKeyInfo))
	e := essence(cert)
	delete(a.drafts, e)
	if !a.drafted.has(e) {
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogCertificateUndrafted, Message: "a certificate was issued, and nothing had announced it", Found: nameOf(cert),
			Expected: "its draft before it", Fix: "find out what used the issuing key in place of the service", Who: security,
		}))
	}
}

// dropDrafts tells of those that no certificate came of.
func (a *account) dropDrafts() {
	for _, index := range slices.Sorted(maps.Values(a.drafts)) {
		a.report.Add(Finding{Index: &index, Reason: reason.Reason{
			Code: reason.LogDraftDropped, Message: "a certificate was about to be issued, and is not in the log; no signature here can have been made with it",
			Found: "no certificate after the draft, as after a crash, or when a key did not sign", Expected: "nothing else: this needs nobody",
		}})
	}
	clear(a.drafts)
}

// nameOf is who a certificate says its key is.
func nameOf(c *x509.Certificate) string {
	for _, u := range c.URIs {
		return fmt.Sprintf("a certificate of %.200s, number %x", u, c.SerialNumber)
	}
	return fmt.Sprintf("a certificate of %.200s, number %x", c.Subject, c.SerialNumber)
}
