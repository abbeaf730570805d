package gate

import (
	"context"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Standing holds the signatures of what stands where a gate guards against what that gate demands of those who enter: with
// the same trust, the same dates and the same reasons as Check. Checks are not asked, for they are about the way in. The
// subject must be as Artifactory reports it now. It is no verdict: nothing is put on the books, and it takes as long as the
// artifact takes to be hashed.
//
// found are the signatures that were looked at, refused is empty when they suffice; an error says what could not be learnt.
func (g *Gate) Standing(ctx context.Context, demand policy.Demand, subject artifact.Subject) (found []policy.Evidence, refused []reason.Reason, err error) {
	demand = demand.For(subject.Ref).Of(subject.Kind)
	client, ok := g.Instances[subject.Ref.Instance]
	if !ok {
		return nil, nil, errNoInstance
	}
	in := g.newInspection(ctx, client, demand, subject)
	found, err = in.run(ctx)
	if why, known := refusal(Request{Artifact: subject.Ref, Target: subject.Ref}, err); known {
		return nil, []reason.Reason{why}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if refused = demand.Judge(found); len(refused) == 0 {
		return found, nil, nil
	}
	if named, err := in.trace(ctx, found); err != nil {
		return nil, nil, err
	} else if named {
		refused = demand.Judge(found)
	}
	return found, refused, nil
}
