package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Why is the answer of GET /v1/why?ref=repository/path&target=repository&asOf=TIME: what was decided last, then, about
// signing an artifact and, with a target, about letting it in there. It is a record, no proof.
type Why struct {
	Instance string       `json:"instance"`
	Artifact string       `json:"artifact"` // repository/path
	Target   string       `json:"target,omitempty"`
	AsOf     *time.Time   `json:"asOf,omitempty"` // not set: now
	Signing  *policy.Past `json:"signing,omitempty"`
	Gate     *policy.Past `json:"gate,omitempty"`
	Began    *time.Time   `json:"began,omitempty"` // the oldest record of any decision; told when something is missing
}

func (s *server) why(c *call) (any, error) {
	q, err := c.query("ref", "instance", "target", "asOf")
	if err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "ref", q.Get("instance"), q.Get("ref"))
	if err != nil {
		return nil, err
	}
	asOf, err := moment("asOf", q.Get("asOf"))
	if err != nil {
		return nil, err
	}
	var target artifact.Ref
	if text := q.Get("target"); text != "" {
		if target, err = parseTarget(ref, text); err != nil {
			return nil, err
		}
		if !strings.Contains(text, "/") {
			target.Path = "" // whichever path it was to have there
		}
	}
	w, err := s.deps.Why(c.Context(), ref, target, asOf)
	if err != nil {
		return nil, err
	}
	w.Instance, w.Artifact, w.Target, w.AsOf = ref.Instance, ref.String(), q.Get("target"), when(asOf)
	return w, nil
}

// moment reads a time of a query; none is the zero time.
func moment(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, problem(http.StatusBadRequest, "%s is not a time; write it like 2026-11-22T15:04:05Z", name)
	}
	return t.UTC(), nil
}
