package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// SignRequest is the body of POST /v1/sign.
type SignRequest struct {
	Instance string `json:"instance,omitempty"`
	Artifact string `json:"artifact"`
}

// SignAnswer is the body of the 202 that says: the wish is durable. What became of it stands in the status.
type SignAnswer struct {
	Instance string `json:"instance"`
	Artifact string `json:"artifact"`
	Accepted bool   `json:"accepted"`
}

// sign asks for one artifact by name. It grants nothing: policy decides later, as for any event.
func (s *server) sign(c *call) (any, error) {
	var req SignRequest
	if err := c.body(&req); err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "artifact", req.Instance, req.Artifact)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), writeTimeout)
	defer cancel()
	if err := s.deps.Sign(ctx, ref, c.caller); err != nil {
		if refused := (*reason.Refused)(nil); errors.As(err, &refused) {
			return nil, err
		}
		return nil, fmt.Errorf("storing the request to sign: %w: %w", errTryAgain, err)
	}
	return SignAnswer{Instance: ref.Instance, Artifact: ref.String(), Accepted: true}, nil
}
