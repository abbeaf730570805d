package artifactory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// refusal is an answer that is not a success; its message goes to the client as it is.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string { return e.message }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

// unsupported is the answer to everything that Artifactory can do and the stand-in cannot.
func unsupported(format string, args ...any) error {
	return refuse(http.StatusNotImplemented, "stand-in: "+format, args...)
}

// asRefusal is the status of a refusal, 0 for any other error.
func asRefusal(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

type errorBody struct {
	Errors []errorEntry `json:"errors"`
}

type errorEntry struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// respondError writes Artifactory's error shape. An error that is no refusal is the stand-in's own: 500.
func respondError(w http.ResponseWriter, err error) {
	status, message := http.StatusInternalServerError, err.Error()
	var r *refusal
	if errors.As(err, &r) {
		status, message = r.status, r.message
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
	}
	respond(w, status, errorBody{Errors: []errorEntry{{status, message}}})
}

// respond writes v as JSON, with its length.
func respond(w http.ResponseWriter, status int, v any) {
	respondAs(w, status, "application/json", v)
}

func respondAs(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nothing to tell it
}
