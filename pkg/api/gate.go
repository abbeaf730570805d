package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

// GateRequest is the body of POST /v1/gate/check. Target is a repository, which keeps the artifact's path, or
// repository/path.
type GateRequest struct {
	Instance string `json:"instance,omitempty"`
	Artifact string `json:"artifact"`
	Target   string `json:"target"`
	Wait     string `json:"wait,omitempty"` // for a signature that is under way: a duration such as 30s, at most 1m0s
}

// gateCheck answers 200 with a gate.Verdict, whatever it says: a "no" is an answer, not an error, and only
// "allow": true lets anything pass. A caller must take every other answer for a no.
func (s *server) gateCheck(c *call) (any, error) {
	var req GateRequest
	if err := c.body(&req); err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "artifact", req.Instance, req.Artifact)
	if err != nil {
		return nil, err
	}
	target, err := parseTarget(ref, req.Target)
	if err != nil {
		return nil, err
	}
	wait, err := parseWait(req.Wait)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		c.lasting(wait + 2*gate.Timeout + nameTimeout)
	}
	verdict := s.deps.Gate(c.Context(), gate.Request{Artifact: ref, Target: target, Caller: c.caller, Wait: wait})
	c.note(slog.String("target", target.String()), slog.Bool("allow", verdict.Allow), slog.Bool("decided", verdict.Decided),
		slog.String("digest", verdict.SHA256.String()))
	for _, r := range verdict.Reasons {
		c.note(slog.String("reason", string(r.Code)))
	}
	return verdict, nil
}

// lasting gives a call more time than the server's limits, which are for requests that are answered at once. Where they
// cannot be set, they do not exist.
func (c *call) lasting(most time.Duration) {
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(most + time.Minute))
}

// parseWait reads how long an answer may be put off.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > gate.MaxWait {
		return 0, problem(http.StatusBadRequest, "wait is %.32q; it is a duration from 0s to %s, such as 30s", text, gate.MaxWait)
	}
	return wait, nil
}

func parseTarget(ref artifact.Ref, text string) (artifact.Ref, error) {
	if text == "" {
		return artifact.Ref{}, problem(http.StatusBadRequest, "target is missing; it is a repository or repository/path")
	}
	repo, path, whole := strings.Cut(text, "/")
	if !whole {
		path = ref.Path
	}
	target, err := artifact.NewRef(ref.Instance, repo, path)
	if err != nil {
		return artifact.Ref{}, refusedPath("target", err)
	}
	return target, nil
}
