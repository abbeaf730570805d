package webhook

import (
	"encoding/json"
	"net/http"
)

// outcome says what became of a delivery. It is a label of metrics and a word in the log: the set is closed.
type outcome string

const (
	accepted        outcome = "accepted"         // durable; will be worked on
	notForUs        outcome = "not-for-us"       // a type that never means anything to sign
	unknownEvent    outcome = "unknown-event"    // a domain or type that this release does not know
	notCovered      outcome = "not-covered"      // no policy could match; JFrog's test button ends here
	ownAttachment   outcome = "own-attachment"   // a signature file: ours, or named like ours
	refusedPath     outcome = "refused-path"     // the item cannot be named safely
	malformed       outcome = "malformed"        // authentic, but not an event
	unauthenticated outcome = "unauthenticated"  // no proof of a known secret
	unknownInstance outcome = "unknown-instance" // not in the configuration
	noRoute         outcome = "no-route"         // not /webhook/{instance}
	wrongMethod     outcome = "wrong-method"     // not a POST
	tooLarge        outcome = "too-large"        // body over the limit
	incomplete      outcome = "incomplete"       // the body did not arrive whole
	unavailable     outcome = "unavailable"      // could not be made durable
)

// answers is the one place where an outcome becomes a status. JFrog tries again only after a transport failure or a
// 5xx, four more times, ten seconds apart; a 4xx is final. So everything authentic that needs no second try is a 2xx,
// a refused path among it: the sender cannot mend it, a 4xx would be dropped unseen and make the subscription look
// broken, while the counter and the log line are seen here. A 4xx is left for senders that are set up wrongly.
var answers = map[outcome]struct {
	status int
	say    string
}{
	accepted:        {http.StatusAccepted, "stored; the artifact will be looked at"},
	notForUs:        {http.StatusOK, "events of this type need no work"},
	unknownEvent:    {http.StatusOK, "this release does not know events of this domain and type"},
	notCovered:      {http.StatusOK, "no policy covers this repository and path"},
	ownAttachment:   {http.StatusOK, "signature files are not signed"},
	refusedPath:     {http.StatusOK, "the path cannot be named safely and will not be looked at"},
	malformed:       {http.StatusBadRequest, "the body is not an event"},
	unauthenticated: {http.StatusUnauthorized, authHeader + " does not prove a secret of this instance; compare the subscription's secret and its use_secret_for_signing with the configuration"},
	unknownInstance: {http.StatusNotFound, "no instance of this name is configured"},
	noRoute:         {http.StatusNotFound, "there is no such route; events go to /webhook/ and the instance's name"},
	wrongMethod:     {http.StatusMethodNotAllowed, "events are sent with POST"},
	tooLarge:        {http.StatusRequestEntityTooLarge, "the body is over the limit"},
	incomplete:      {http.StatusServiceUnavailable, "the body did not arrive whole; send it again"},
	unavailable:     {http.StatusServiceUnavailable, "the event could not be stored; send it again"},
}

// respond answers with the outcome's status, and its usual words unless there are better: a small JSON object, or problem details (RFC 9457) when it is an error.
func respond(w http.ResponseWriter, o outcome, detail string) {
	a := answers[o]
	if detail != "" {
		a.say = detail
	}
	media, body := "application/json", any(struct {
		Outcome outcome `json:"outcome"`
		Detail  string  `json:"detail"`
	}{o, a.say})
	if a.status >= http.StatusBadRequest {
		media, body = "application/problem+json", struct {
			Title   string  `json:"title"`
			Status  int     `json:"status"`
			Detail  string  `json:"detail"`
			Outcome outcome `json:"outcome"`
		}{http.StatusText(a.status), a.status, a.say, o}
	}
	content, err := json.Marshal(body)
	if err != nil { // strings and numbers always encode
		content = nil
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch a.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10") // JFrog's own pause
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(append(content, '\n')) // nobody is left to tell when the sender has gone
}
