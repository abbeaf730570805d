package webhook

import "github.com/hallmark-signing/hallmark/pkg/job"

// bundle2PromotionDomain is about release bundles of the second kind that go to another environment. To act on a type,
// take away why it is ignored.
var bundle2PromotionDomain = domain{types: map[string]eventType{
	"release_bundle_v2_promotion_started":   {read: bundleAt, ignored: "the promotion runs already and an event cannot stop it"},
	"release_bundle_v2_promotion_failed":    {read: bundleAt, ignored: "nothing was promoted"},
	"release_bundle_v2_promotion_completed": {read: bundleAt, lane: job.Promotion, ignored: noBundles},
}}
