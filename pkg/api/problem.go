package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Problem is a problem detail (RFC 9457) with the reasons of the refusal as an extension. It is an error, too: an
// endpoint returns it to refuse a request, and Client returns it as it was received.
type Problem struct {
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail,omitempty"`
	Reasons []reason.Reason `json:"reasons,omitempty"`
}

// Error is the problem on one line.
func (p *Problem) Error() string {
	s := fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail)
	for _, r := range p.Reasons {
		s += "; " + r.String()
	}
	return s
}

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// problemOf is the one place where an error becomes a status. The text of an error that was not made for the caller
// stays in the log.
func problemOf(err error) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	if refused := (*reason.Refused)(nil); errors.As(err, &refused) {
		p := problem(http.StatusUnprocessableEntity, "refused; the reasons say why")
		p.Reasons = refused.Reasons
		return p
	}
	switch {
	case errors.Is(err, errNoToken), errors.Is(err, errUnknownToken):
		return problem(http.StatusUnauthorized, "%v", err)
	case errors.Is(err, ledger.ErrUnknown):
		return problem(http.StatusNotFound, "nothing is known about this artifact; no event or request ever named it")
	case errors.Is(err, artifact.ErrGone):
		p := problem(http.StatusNotFound, "the artifact does not exist")
		p.Reasons = []reason.Reason{{Code: reason.ArtifactGone, Message: reason.Codes[reason.ArtifactGone]}}
		return p
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTryAgain):
		return problem(http.StatusServiceUnavailable, "the answer was not ready in time; try again")
	default:
		return problem(http.StatusInternalServerError, "the service failed; its log says why")
	}
}

func setHeader(h http.Header, media string) {
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// respond writes every answer of this package, but for the lines of a stream. Headers come first, and the body is complete before the status goes
// out.
func respond(w http.ResponseWriter, body any) {
	status, media := http.StatusOK, "application/json"
	switch b := body.(type) {
	case *Problem:
		status, media = b.Status, "application/problem+json"
	case SignAnswer:
		status = http.StatusAccepted
	}
	content, err := json.Marshal(body)
	if err != nil { // the types of this package encode; a test holds each of them to it
		status, content = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500}`)
		media = "application/problem+json"
	}
	h := w.Header()
	setHeader(h, media)
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="hallmark"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(content, '\n')) // nobody is left to tell when the caller has gone
}
