package seal

import (
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Why a signature file is refused.
var (
	// ErrMalformed: the content is not a file of its format, or a kind of it that this product does not make.
	ErrMalformed = errors.New("malformed signature file")
	// ErrWrongKey: the file says that it was made with another key.
	ErrWrongKey = errors.New("made with another key")
	// ErrWrongBytes: the file says that it was made for other bytes.
	ErrWrongBytes = errors.New("made for other bytes")
	// ErrInvalid: the signature does not verify. A format that says nothing about itself has no other refusal.
	ErrInvalid = errors.New("signature does not verify")
)

// Problem returns the reason code of an error from Verify; "" for nil. What is not a statement about the file is
// Undecided, never a pass.
func Problem(err error) reason.Code {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrInvalid):
		return reason.SignatureInvalid
	case errors.Is(err, ErrWrongBytes):
		return reason.SignatureWrongBytes
	case errors.Is(err, ErrWrongKey):
		return reason.SignatureWrongKey
	default:
		return reason.Undecided
	}
}
