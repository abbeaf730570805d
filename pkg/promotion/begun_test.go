package promotion_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// Whatever ends the process while something is carried: the record does not say that nothing was changed.
func TestBegunIsOnRecordBeforeAnythingIsCarried(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]standin.Fault{
		"file":   {Method: http.MethodPost, Path: "/artifactory/api/copy/**/a.tgz.sig"},
		"bundle": {Method: http.MethodPost, Path: "/lifecycle/api/v2/promotion/records/**"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.bundled("a.tgz")
			var seen []ledger.ItemState
			call.Do = func(*http.Request) {
				record, err := r.ledger.Promotion(t.Context(), 1)
				if err == nil {
					seen = append(seen, record.Items[0].State)
				}
			}
			r.fail(call)
			req := bundleRequest(true, false)
			if name == "file" {
				req = r.request(staging + "/a.tgz")
				req.Confirm = true
			}
			require.Equal(t, promotion.StateDone, r.promote(req).State)
			require.Equal(t, []ledger.ItemState{ledger.ItemBegun}, seen)
		})
	}
}
