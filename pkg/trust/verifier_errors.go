package trust

import (
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Why a bundle is refused. What is there and does not hold is refused, never passed over.
var (
	// ErrMalformed says that it is no bundle, or holds what Hallmark's never hold.
	ErrMalformed = errors.New("malformed bundle")
	// ErrWrongKey says that its certificate is of another key than the pinned one.
	ErrWrongKey = errors.New("made with another key")
	// ErrWrongBytes says that it is about other bytes.
	ErrWrongBytes = errors.New("made for other bytes")
	// ErrSignature says that the signature does not verify under the pinned key.
	ErrSignature = errors.New("signature does not verify")
	// ErrLogUnknown says that it stands in a log that the trusted root does not list.
	ErrLogUnknown = errors.New("log is not in the trusted root")
	// ErrLogProof says that it does not prove that the signature stands in its log.
	ErrLogProof = errors.New("log proof does not hold")
	// ErrCertificate says that the certificate does not chain to the trusted root, or is none for signing, or that its
	// promise to be logged (SCT) is missing or false.
	ErrCertificate = errors.New("certificate is not trusted")
	// ErrStampedOutside says that the signature was time-stamped outside the life of a certificate of the chain.
	ErrStampedOutside = errors.New("time-stamped outside the certificate's life")
)

// ErrUnsupported says that the caller's key or digest is none that bundles are made with. It is not about the bundle.
var ErrUnsupported = errors.New("unsupported key or digest")

// Problem returns the reason code of an error of Verify or Stamp; "" for nil. What is not a statement about the bundle is
// Undecided, never a pass.
func Problem(err error) reason.Code {
	if err == nil {
		return ""
	}
	for _, p := range []struct {
		err  error
		code reason.Code
	}{
		{ErrTimeUnavailable, reason.TimeUnavailable}, {ErrMalformed, reason.SignatureInvalid}, {ErrSignature, reason.SignatureInvalid},
		{ErrWrongKey, reason.SignatureWrongKey}, {ErrWrongBytes, reason.SignatureWrongBytes}, {ErrLogUnknown, reason.LogUnknown}, {ErrLogProof, reason.LogProofInvalid},
		{ErrTimestamp, reason.TimestampInvalid}, {ErrStampedOutside, reason.CertificateExpired}, {ErrCertificate, reason.CertificateUntrusted},
	} {
		if errors.Is(err, p.err) {
			return p.code
		}
	}
	return reason.Undecided
}
