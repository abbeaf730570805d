package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// StatusError is an answer that is neither a success nor one that a method gives a meaning of its own.
type StatusError struct {
	Status     int           // HTTP status
	Message    string        // what the server said, one short line, without credentials
	RetryAfter time.Duration // how long the server asked to be left alone; 0 when it did not say
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("HTTP %d %s", e.Status, http.StatusText(e.Status))
	switch e.Status {
	case http.StatusUnauthorized:
		s += " (the access token is not accepted)"
	case http.StatusTooManyRequests:
		if e.RetryAfter > 0 {
			s += fmt.Sprintf(" (asked to wait %s)", e.RetryAfter.Round(time.Millisecond))
		}
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Refused means that the server understood a write and will not do it, now or on a repetition. Nothing was written.
type Refused struct {
	What    string // "storing", "setting properties", "copying", "deleting", "promoting" or "attaching evidence"
	Status  int    // HTTP status
	Message string // what the server said, one short line, without credentials
}

func (e *Refused) Error() string {
	s := fmt.Sprintf("%s was refused with HTTP %d %s", e.What, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Temporary reports whether the same call may succeed later without anybody changing anything: broken connections,
// silence, a deadline that passed, 408, 429 and most 5xx; ErrMemberDiffers. A call that its caller cancelled is not temporary.
func Temporary(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if st, ok := errors.AsType[*StatusError](err); ok {
		return st.Status == http.StatusRequestTimeout || retriable(st.Status)
	}
	return errors.Is(err, errNetwork) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrMemberDiffers)
}

// Down reports whether an error means that the instance itself failed: it could not be reached, fell silent, broke off, or
// answered 408, 429 or most of 5xx. Other errors may be temporary, too, but were not its fault.
func Down(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	st, ok := errors.AsType[*StatusError](err)
	return errors.Is(err, errNetwork) || ok && Temporary(st)
}

// RetryAfter is how long the server asked to be left alone; 0 when it did not say.
func RetryAfter(err error) time.Duration {
	if st, ok := errors.AsType[*StatusError](err); ok {
		return st.RetryAfter
	}
	return 0
}

func retriable(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	}
	return status == http.StatusTooManyRequests || status >= 500
}

func isStatus(err error, status int) bool {
	st, ok := errors.AsType[*StatusError](err)
	return ok && st.Status == status
}

// refusal turns a final no to a write into *Refused and leaves other errors alone.
func refusal(what string, err error) error {
	st, ok := errors.AsType[*StatusError](err)
	if !ok || st.Status == http.StatusUnauthorized || st.Status == http.StatusNotFound || Temporary(st) {
		return err
	}
	return &Refused{What: what, Status: st.Status, Message: st.Message}
}

// message is the gist of an error body: the first message of Artifactory's JSON forms (copies have their own), else the first
// line, without the given secrets.
func message(body []byte, secrets ...string) string {
	type text struct {
		Message string `json:"message"`
	}
	var doc struct {
		Errors   []text `json:"errors"`
		Messages []text `json:"messages"`
	}
	s := string(body)
	if json.Unmarshal(body, &doc) == nil {
		if all := append(doc.Errors, doc.Messages...); len(all) > 0 {
			s = all[0].Message
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if strings.HasPrefix(s, "<") { // a proxy's HTML page says nothing
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	const most = 240
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
