package signing

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Each failure of a step is a type that knows its reason: what users read in status, log and properties.

// pathError: the reference cannot be followed at all.
type pathError struct{ err error }

func (e *pathError) Error() string { return e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }
func (e *pathError) reason(*run) reason.Reason {
	return reason.Reason{
		Code: reason.PathRefused, Message: "the reference does not name an item that can be signed", Found: e.err.Error(),
		Fix: "rename the artifact, or configure the instance", Who: "the uploader, or platform engineers",
	}
}

// storeError: Artifactory did not do what a step needed.
type storeError struct {
	op  string
	err error
}

func (e *storeError) Error() string { return e.op + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }
func (e *storeError) reason(r *run) reason.Reason {
	var refused *artifactory.Refused
	switch {
	case errors.Is(e.err, artifactory.ErrDigest), errors.Is(e.err, artifactory.ErrTruncated):
		return reason.Reason{
			Code: reason.DigestMismatch, Message: "the bytes that arrived are not those that Artifactory reports; nothing was signed",
			Found: e.err.Error(), Expected: "bytes with the digest that Artifactory's storage API reports",
			Fix: "upload the artifact again; if it stays, run Artifactory's storage consistency check", Who: "platform engineers",
		}
	case errors.As(e.err, &refused) && refused.Status == http.StatusForbidden:
		return reason.Reason{
			Code: reason.StoreRefused, Message: "Artifactory refused " + e.op,
			Found:    e.err.Error(),
			Expected: "the service's token may read, deploy and annotate in " + r.ref.Repo + ", and delete where a signature file of older bytes stands in the way",
			Fix:      "grant the rights and check them with: hallmark doctor", Who: "Artifactory administrators",
		}
	case errors.As(e.err, &refused):
		return reason.Reason{Code: reason.StoreRefused, Message: "Artifactory refused " + e.op, Found: e.err.Error(), Who: "Artifactory administrators"}
	default:
		return reason.Reason{
			Code: reason.StoreUnavailable, Message: "Artifactory did not answer as it should; it is tried again", Found: e.Error(),
			Fix: "hallmark doctor", Who: "platform engineers",
		}
	}
}

// markError: the files are stored but the properties are not, so the artifact is not marked as signed.
type markError struct{ err error }

func (e *markError) Error() string { return "writing the properties: " + e.err.Error() }
func (e *markError) Unwrap() error { return e.err }
func (e *markError) reason(r *run) reason.Reason {
	return reason.Reason{
		Code: reason.PropertyRefused, Message: "the artifact could not be marked; it is tried again", Found: e.err.Error(),
		Expected: "the service's token may annotate in " + r.ref.Repo, Fix: "grant the right and check it with: hallmark doctor",
		Who: "Artifactory administrators",
	}
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
		Fix: "hallmark doctor", Who: "platform engineers",
	}
}

// changedError: the artifact was replaced while its old bytes were being signed.
type changedError struct{ was, is artifact.Digest }

func (e *changedError) Error() string {
	return fmt.Sprintf("the artifact changed from %s to %s while it was being signed", e.was, e.is)
}
func (e *changedError) reason(*run) reason.Reason {
	return reason.Reason{
		Code: reason.ArtifactChanged, Message: "the artifact was replaced while it was being signed; its new bytes are decided afresh",
		Found: e.is.String(), Expected: e.was.String(),
	}
}
