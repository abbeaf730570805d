package signing

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Each failure of a step is a type that knows its reason: what users read in status, log and properties.

// pathError: the reference cannot be followed at all.
type pathError struct{ err error }

func (e *pathError) Error() string { return e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }
func (e *pathError) reason(*run) reason.Reason {
	return reason.Reason{
		Code: reason.PathRefused, Message: "the reference does not name an item that can be signed", Found: e.err.Error(),
		Expected: "a path that means the same file to every server and proxy on the way, on a configured instance",
		Fix:      "rename the artifact, or configure the instance", Who: "the uploader, or platform engineers",
	}
}

// storeError: Artifactory did not do what a step needed. refused is the code for a final no.
type storeError struct {
	op      string
	refused reason.Code
	err     error
}

func (e *storeError) Error() string { return e.op + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }
func (e *storeError) reason(r *run) reason.Reason {
	unverified, isUnverified := errors.AsType[*artifactory.NotVerified](e.err)
	switch {
	case isUnverified:
		return reason.Reason{
			Code: reason.EvidenceUnverified, Message: "the release bundle is signed, but Artifactory does not verify the evidence; it is tried again", Found: unverified.Error(),
			Expected: "a trusted key in Artifactory with the alias " + unverified.Alias + ", of a kind that it knows: RSA-2048, P-256 or Ed25519",
			Fix:      "hallmark keys show " + unverified.Alias + " --pem, uploaded under the alias " + unverified.Alias + " (docs/operators.md); then: hallmark sign " + r.ref.String(),
			Who:      "Artifactory administrators",
		}
	case errors.Is(e.err, artifactory.ErrNoEvidence):
		return noEvidence(r.ref, e.err)
	case errors.Is(e.err, artifactory.ErrDigest), errors.Is(e.err, artifactory.ErrStored), errors.Is(e.err, artifact.ErrBytes):
		return reason.Reason{
			Code: reason.DigestMismatch, Message: "the bytes that arrived are not those that are reported; nothing was marked as signed",
			Found: e.Error(), Expected: "bytes with the digest that was announced",
			Fix: "upload the artifact again; if it stays, run Artifactory's storage consistency check", Who: "platform engineers",
		}
	case errors.Is(e.err, artifactory.ErrTooMany):
		return reason.Reason{
			Code: reason.SignaturesTooMany, Message: "more is attached to the artifact than is read; it is tried again", Found: e.err.Error(),
			Expected: "a few signatures and attestations", Fix: "delete the referrers, or the evidence, that nobody needs", Who: "the artifact's owner",
		}
	case forbidden(e.err) && r.whole.Kind == artifact.KindImage:
		return reason.Reason{
			Code: e.refused, Message: "Artifactory refused " + e.op + "; it is tried again", Found: e.err.Error(),
			Expected: "the service's token may read, deploy and annotate in " + r.ref.Repo + ", its referrers API included, and delete where a second signature replaces a list or tag",
			Fix:      "grant the rights and check them with: hallmark doctor; where the referrers API is forbidden for good, sign with the format cosign-tag", Who: "Artifactory administrators",
		}
	case forbidden(e.err):
		return reason.Reason{
			Code: e.refused, Message: "Artifactory refused " + e.op + "; it is tried again", Found: e.err.Error(),
			Expected: "the service's token may read, deploy and annotate in " + r.ref.Repo + ", and delete where a signature file of older bytes stands in the way",
			Fix:      "grant the rights and check them with: hallmark doctor", Who: "Artifactory administrators",
		}
	case refused(e.err):
		return reason.Reason{
			Code: e.refused, Message: "Artifactory refused " + e.op + "; it is tried again", Found: e.err.Error(),
			Expected: "room and limits that allow it", Fix: "see what Artifactory says, then: hallmark sign " + r.ref.String(), Who: "Artifactory administrators",
		}
	}
	return reason.Reason{
		Code: reason.StoreUnavailable, Message: "Artifactory did not answer as it should; it is tried again", Found: e.Error(),
		Expected: "Artifactory answers", Fix: "hallmark doctor", Who: "platform engineers",
	}
}

func noEvidence(ref artifact.Ref, err error) reason.Reason {
	return reason.Reason{
		Code: reason.EvidenceUnavailable, Message: "there is nowhere to attach a release bundle's signature", Found: err.Error(),
		Expected: "the evidence service of an Enterprise+ subscription", Fix: "take the release bundles out of the policies, or get the subscription; then: hallmark sign " + ref.String(),
		Who: "Artifactory administrators",
	}
}

func forbidden(err error) bool {
	if no, ok := errors.AsType[*artifactory.Refused](err); ok {
		return no.Status == http.StatusForbidden
	}
	st, ok := errors.AsType[*artifactory.StatusError](err)
	return ok && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized)
}

func refused(err error) bool {
	_, ok := errors.AsType[*artifactory.Refused](err)
	return ok || errors.Is(err, artifactory.ErrProperty)
}

// keyError: a key could not be used, or what it made did not verify.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return fmt.Sprintf("using key %s: %v", e.key, e.err) }
func (e *keyError) Unwrap() error { return e.err }
func (e *keyError) reason(*run) reason.Reason {
	return reason.Reason{
		Code: reason.KeyUnavailable, Message: "the signing key cannot be used now; it is tried again", Found: e.Error(),
		Expected: "a token that answers and signs with the pinned key", Fix: "hallmark doctor", Who: "platform engineers",
	}
}

// attestError: there is no log, time or certificate to be had for a signature, so that none is made, or one that was made
// does not leave the process.
type attestError struct {
	key string
	err error
}

func (e *attestError) Error() string {
	return fmt.Sprintf("attesting the use of key %s: %v", e.key, e.err)
}
func (e *attestError) Unwrap() error { return e.err }
func (e *attestError) reason(*run) reason.Reason {
	why := reason.Reason{Found: e.Error(), Fix: "hallmark doctor", Who: "platform engineers"}
	switch {
	case errors.Is(e.err, trust.ErrClock):
		why.Code, why.Message = reason.TimeUnavailable, "the clock of the service is not believed, so nothing is signed; it is tried again"
		why.Expected = "a clock that goes on from where it was"
	case errors.Is(e.err, trust.ErrCertificateUnavailable) && !errors.Is(e.err, notary.ErrLog):
		why.Code, why.Message = reason.CertificateUnavailable, "no certificate can be issued for the signing key, so nothing is signed; it is tried again"
		why.Expected = "an issuing authority with a valid certificate, whose key and SCT key sign"
	case errors.Is(e.err, trust.ErrTimeUnavailable):
		why.Code, why.Message = reason.TimeUnavailable, "nobody gives a time-stamp that holds, so nothing is published; it is tried again"
		why.Expected = "a time-stamping authority that answers, and clocks that agree"
	default:
		why.Code, why.Message = reason.LogUnavailable, "the log of key use cannot be written, so nothing is signed or published; it is tried again"
		why.Expected = "a log that can be written, whose key signs checkpoints"
	}
	return why
}

// unattested reports whether a signature failed for what a notary does, and not for its key.
func unattested(err error) bool {
	return errors.Is(err, seal.ErrCertificate) || errors.Is(err, seal.ErrNotStamped) || errors.Is(err, seal.ErrNotLogged)
}

// keptError: a signature that the ledger has kept does not verify.
type keptError struct {
	key string
	err error
}

func (e *keptError) Error() string {
	return fmt.Sprintf("checking the kept signatures of key %s: %v", e.key, e.err)
}
func (e *keptError) Unwrap() error { return e.err }
func (e *keptError) reason(*run) reason.Reason {
	return reason.Reason{
		Code: reason.SignatureInvalid, Message: "a signature that was kept for these bytes does not verify any more; it was not published", Found: e.Error(),
		Expected: "what was stored when it was made", Fix: "restore the ledger's database; find out who changed it", Who: "platform engineers",
	}
}

// unstoredError: what Artifactory serves is not the signature that it took. It wraps nothing: that a signature is gone does
// not mean that the artifact is.
type unstoredError struct{ file, found string }

func (e *unstoredError) Error() string { return "checking what is stored: " + e.found }
func (e *unstoredError) reason(r *run) reason.Reason {
	return reason.Reason{
		Code: reason.SignatureUnstored, Message: "Artifactory took the signature and serves something else for it, so the artifact is not marked as signed; it is tried again",
		Found: e.found, Expected: "the signature that was stored, for everybody who reads it",
		Fix: "find out who else writes " + e.file + ", and whether a cache stands between; then: hallmark sign " + r.ref.String(), Who: "platform engineers",
	}
}

// changedError: the artifact was replaced while its old bytes were being signed.
type changedError struct{ was, is artifact.Digest }

func (e *changedError) Error() string {
	return fmt.Sprintf("the artifact changed from %s to %s while it was being signed", e.was, e.is)
}

// contentError: the file's bytes are a text that signatures of other things are made over.
type contentError struct{ what string }

func (e *contentError) Error() string { return "the file is " + e.what }
func (e *contentError) reason(r *run) reason.Reason {
	return reason.Reason{
		Code: reason.ContentRefused, Message: "the file is not signed, because its signature could be passed off as that of an image or a release bundle",
		Found: e.what, Expected: "content that no other kind of signature is made over", Fix: "find out who made " + r.ref.String() + " and why; pack it into an archive if it has to be delivered",
		Who: "security officers, with the uploader",
	}
}

// ownError: the event is about a signature file. Signing signatures would never end.
type ownError struct{ name string }

func (e *ownError) Error() string { return e.name + " is a signature file" }

// cacheError: the file is a copy that a remote repository keeps. Artifactory alone stores files there.
type cacheError struct{ repo string }

func (e *cacheError) Error() string { return e.repo + " is the cache of a remote repository" }

// recordedError: the ledger holds what there is to say, and the work has to come back.
type recordedError struct{ error }

func (e *recordedError) Unwrap() error { return e.error }
