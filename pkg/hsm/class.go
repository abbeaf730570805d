package hsm

import (
	"context"
	"errors"

	"github.com/miekg/pkcs11"
)

// What can go wrong with a key or its token. Every error of this package that has one of these causes wraps it.
var (
	ErrModule       = errors.New("PKCS#11 module cannot be used")
	ErrTokenMissing = errors.New("token not found")
	ErrPIN          = errors.New("PIN not accepted")
	ErrKeyMissing   = errors.New("key not found")
	ErrKeyTwice     = errors.New("more than one key with this label")
	ErrKeyUnfit     = errors.New("key cannot be used for signing")
	ErrSPKI         = errors.New("public key is not the pinned one")
	ErrUnknownKey   = errors.New("no such key in the configuration")
	ErrNotGranted   = errors.New("grant does not allow this key")
	ErrDigest       = errors.New("digest has the wrong length")
	ErrSelfCheck    = errors.New("signature from the token does not verify with the pinned public key")
	ErrBusy         = errors.New("no free session on the token")
	ErrTimeout      = errors.New("token did not answer in time")
	ErrDown         = errors.New("token is down")
	ErrClosed       = errors.New("keyring is closed")
	ErrLabelTaken   = errors.New("label is taken")
	ErrExtractable  = errors.New("token made a key that can leave it")
)

// class sorts what C_Sign and its companions return by what to do about it. The names are metric labels.
type class string

const (
	classSession class = "session" // the session is bad, another one may do: retry once
	classLogin   class = "login"   // login or handles are lost: connect again
	classDevice  class = "device"  // the token or its connection is gone: reinitialise the module
	classBusy    class = "busy"    // the token has no room now: back-pressure
	classPIN     class = "pin"     // people only: never log in again by ourselves
	classRequest class = "request" // the key or mechanism does not do this
	classTimeout class = "timeout" // no answer in time
	classCheck   class = "selfcheck"
	classCancel  class = "cancelled" // the caller gave up
	classOther   class = "other"
)

var classes = []class{
	classSession, classLogin, classDevice, classBusy, classPIN, classRequest, classTimeout, classCheck, classCancel, classOther,
}

// ckrClasses holds the return values (PKCS#11 v2.40 section 5.1) that are not "other".
var ckrClasses = map[pkcs11.Error]class{
	pkcs11.CKR_SESSION_HANDLE_INVALID:     classSession,
	pkcs11.CKR_SESSION_CLOSED:             classSession,
	pkcs11.CKR_OPERATION_ACTIVE:           classSession,
	pkcs11.CKR_OPERATION_NOT_INITIALIZED:  classSession,
	pkcs11.CKR_USER_NOT_LOGGED_IN:         classLogin,
	pkcs11.CKR_OBJECT_HANDLE_INVALID:      classLogin,
	pkcs11.CKR_KEY_HANDLE_INVALID:         classLogin,
	pkcs11.CKR_DEVICE_ERROR:               classDevice,
	pkcs11.CKR_DEVICE_REMOVED:             classDevice,
	pkcs11.CKR_TOKEN_NOT_PRESENT:          classDevice,
	pkcs11.CKR_TOKEN_NOT_RECOGNIZED:       classDevice,
	pkcs11.CKR_SLOT_ID_INVALID:            classDevice,
	pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED:   classDevice,
	pkcs11.CKR_GENERAL_ERROR:              classDevice,
	pkcs11.CKR_FUNCTION_FAILED:            classDevice,
	pkcs11.CKR_SESSION_COUNT:              classBusy,
	pkcs11.CKR_DEVICE_MEMORY:              classBusy,
	pkcs11.CKR_HOST_MEMORY:                classBusy,
	pkcs11.CKR_PIN_INCORRECT:              classPIN,
	pkcs11.CKR_PIN_INVALID:                classPIN,
	pkcs11.CKR_PIN_LEN_RANGE:              classPIN,
	pkcs11.CKR_PIN_EXPIRED:                classPIN,
	pkcs11.CKR_PIN_LOCKED:                 classPIN,
	pkcs11.CKR_USER_PIN_NOT_INITIALIZED:   classPIN,
	pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED: classRequest,
	pkcs11.CKR_KEY_TYPE_INCONSISTENT:      classRequest,
	pkcs11.CKR_KEY_SIZE_RANGE:             classRequest,
	pkcs11.CKR_MECHANISM_INVALID:          classRequest,
	pkcs11.CKR_MECHANISM_PARAM_INVALID:    classRequest,
	pkcs11.CKR_DATA_INVALID:               classRequest,
	pkcs11.CKR_DATA_LEN_RANGE:             classRequest,
}

// classify sorts an error; "" for nil.
func classify(err error) class {
	var ckr pkcs11.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrSelfCheck):
		return classCheck
	case errors.Is(err, ErrTimeout):
		return classTimeout
	case errors.As(err, &ckr):
		if c, ok := ckrClasses[ckr]; ok {
			return c
		}
	case errors.Is(err, ErrBusy):
		return classBusy
	case errors.Is(err, ErrDown), errors.Is(err, ErrClosed):
		return classDevice
	case errors.Is(err, ErrDigest):
		return classRequest
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return classCancel
	}
	return classOther
}
