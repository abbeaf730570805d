package webhook

import (
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/job"
)

// bundle2PromotionDomain is about release bundles of the second kind that go to another environment: what they hold
// is worked on where it arrived.
var bundle2PromotionDomain = domain{types: map[string]eventType{
	"release_bundle_v2_promotion_started":   {read: bundleAt, ignored: "the promotion runs already and an event cannot stop it"},
	"release_bundle_v2_promotion_failed":    {read: bundleAt, ignored: "nothing was promoted"},
	"release_bundle_v2_promotion_completed": {read: promotedBundleAt, lane: job.Promotion},
}}

// promotedBundle is a bundle whose contents now lie in further repositories; which, the payload does not say.
type promotedBundle struct{ bundle }

func (b promotedBundle) place() place {
	p := b.bundle.place()
	p.Parts = strings.HasSuffix("-"+b.Repo, "-"+bundleRepo) // not so in what the test button sends
	return p
}

func promotedBundleAt(data []byte) (hint, error) {
	b, err := bundleAt(data)
	if err != nil {
		return nil, err
	}
	return promotedBundle{b.(bundle)}, nil
}
