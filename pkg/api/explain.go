package api

import (
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Explanation is the answer of GET /v1/policy/explain?ref=repository/path. The parameter event ("domain/type") asks as
// if that event had come; without it, as if somebody had asked for the artifact by name.
type Explanation struct {
	Instance   string              `json:"instance"`
	Artifact   string              `json:"artifact"`
	Event      string              `json:"event,omitempty"`
	Decision   string              `json:"decision"` // sign, deny or skip
	Policy     string              `json:"policy,omitempty"`
	Rule       string              `json:"rule,omitempty"`
	Orders     []policy.Order      `json:"orders,omitempty"`
	Reasons    []reason.Reason     `json:"reasons,omitempty"`
	Skip       string              `json:"skip,omitempty"`
	Considered []policy.Considered `json:"considered"`
	PolicySet  *artifact.Digest    `json:"policySet,omitempty"`
}

func (s *server) explain(c *call) (any, error) {
	q, err := c.query("ref", "instance", "event")
	if err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "ref", q.Get("instance"), q.Get("ref"))
	if err != nil {
		return nil, err
	}
	d, err := s.deps.Explain(c.Context(), ref, q.Get("event"))
	if err != nil {
		return nil, err
	}
	return Explain(ref, q.Get("event"), d), nil
}

// Explain puts a decision into the words of the answer; the command line prints the same object.
func Explain(ref artifact.Ref, event string, d policy.Decision) Explanation {
	e := Explanation{
		Instance: ref.Instance, Artifact: ref.String(), Event: event, Policy: d.Policy, Rule: d.Rule,
		Reasons: d.Denied, Skip: d.Skip, Considered: d.Considered,
	}
	if e.Considered == nil {
		e.Considered = []policy.Considered{}
	}
	switch {
	case d.Grant != nil:
		set := d.Grant.SetDigest()
		e.Decision, e.Orders, e.PolicySet = "sign", d.Grant.Orders(), &set
	case len(d.Denied) > 0:
		e.Decision = "deny"
	default:
		e.Decision = "skip"
	}
	return e
}
