package facts

import (
	"errors"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// errUntold means that the server answered and left out what was asked.
var errUntold = errors.New("the server does not tell this token")

// Unavailable means that a fact which a policy looks at could not be learnt.
type Unavailable struct {
	Fact policy.Needs
	Ref  artifact.Ref // of the artifact
	Need string       // what would let the token learn it; "" when it is not for lack of a right
	Err  error
}

func (e *Unavailable) Error() string { return "looking up " + e.Fact.String() + ": " + e.Err.Error() }
func (e *Unavailable) Unwrap() error { return e.Err }

// Reason is what users read. again is the command to run when the rest is done.
func (e *Unavailable) Reason(again string) reason.Reason {
	r := reason.Reason{
		Code: reason.FactsUnavailable, Message: "what a policy asks about the artifact could not be learnt, so the answer is no", Found: e.Error(),
		Expected: "Artifactory answers about: " + e.Fact.String(), Fix: "hallmark doctor, then: " + again, Who: "platform engineers",
	}
	if e.Need != "" {
		r.Expected = e.Need
		r.Fix, r.Who = "grant it to the service's token and check it with: hallmark doctor; or take the policies' demand away; then: "+again, "Artifactory administrators"
	}
	return r
}

// forbidden reports whether the server said that the token may not know.
func forbidden(err error) bool {
	st, ok := errors.AsType[*artifactory.StatusError](err)
	return ok && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized)
}
