package signing

import (
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// distrusts are the keys that are distrusted, by their SPKI.
type distrusts map[artifact.Digest]ledger.Distrust

// trusted leaves out the signatures that do not count any more.
func (d distrusts) trusted(kept []ledger.Signature) []ledger.Signature {
	return slices.DeleteFunc(slices.Clone(kept), func(s ledger.Signature) bool { return d[s.KeySPKI].Refuses(s.MadeAt) })
}

// first is the first key of some orders that is distrusted.
func (d distrusts) first(s *Service, orders []policy.Order) (ledger.Distrust, bool) {
	for _, o := range orders {
		if k, ok := s.Keys.Key(o.Key); ok {
			if no, is := d[k.SPKI]; is {
				return no, true
			}
		}
	}
	return ledger.Distrust{}, false
}

// distrustError: policy granted a key that is distrusted.
type distrustError struct{ distrust ledger.Distrust }

func (e *distrustError) Error() string {
	return fmt.Sprintf("the key %s is distrusted", e.distrust.KeyName)
}

func (e *distrustError) reason(d policy.Decision) reason.Reason {
	no := e.distrust
	found := no.KeyName + ", distrusted from " + no.From.UTC().Format("2006-01-02 15:04 UTC") + " on"
	if no.By != "" {
		found += ", by the word of " + no.By
	}
	if no.Why != "" {
		found += ": " + no.Why
	}
	return reason.Reason{
		Code: reason.KeyDistrusted, Message: fmt.Sprintf("the key %s is distrusted, so nothing is signed with it", no.KeyName), Found: found,
		Expected: "a key that is trusted", Would: "with another key", Fix: "let another key sign; if the key was distrusted by mistake: hallmark keys distrust " + no.KeyName + " --lift",
		Who: "security officers", Rule: d.Rule,
	}
}
