package account

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// maxOthers is how many logs that are not here are told apart.
const maxOthers = 100

// other is what the ledger says of a log that is not here.
type other struct{ signatures, intents int }

func (b *Books) other(origin string) *other {
	if len(b.others) >= maxOthers && b.others[origin] == nil {
		origin = "" // no log's
	}
	if b.others[origin] == nil {
		b.others[origin] = &other{}
	}
	return b.others[origin]
}

// judgeOthers tells of logs that nobody has given.
func (b *Books) judgeOthers() {
	for _, origin := range slices.Sorted(maps.Keys(b.others)) {
		o := b.others[origin]
		r := reason.Reason{
			Code: reason.LedgerLogUnread, Message: fmt.Sprintf("the ledger has signatures of the log %.200s, which was not looked at", origin),
			Found: fmt.Sprintf("%d signatures and %d intents, not verified", o.signatures, o.intents), Expected: "the log of each replica",
			Fix: "give that log, too, with --other-log; or verify it elsewhere with this ledger, and say here: --accept-log " + origin, Who: security,
		}
		accepted := slices.Contains(b.config.Logs, origin)
		if !slices.Contains(b.config.Known, origin) && !accepted {
			r.Code, r.Message = reason.LedgerLogUnknown, fmt.Sprintf("the ledger has signatures of the log %.200s, which the trusted root does not name", origin)
			r.Expected, r.Fix = "a log of the trusted root", "find out who wrote to the ledger, and what made these signatures; if it is a log of yours, the trusted root is too old"
			if origin == "" {
				r.Message = fmt.Sprintf("the ledger has signatures of more than %d logs that are not here", maxOthers)
			}
		}
		b.Add(audit.Finding{Alarm: !accepted, Reason: r})
	}
}

// unlogged takes a signature that no log can tell of.
func (b *Books) unlogged(r *row, id [32]byte) {
	put(&b.told, entry{id: id, state: unlogged})
	put(&b.files, fileOf(r.content, r.Format))
	if !b.first.IsZero() && !r.MadeAt.Before(b.first) {
		b.bare.Add(audit.Finding{Alarm: true, Reason: missing(r, "a signature that was made without the log, which was there already")})
	}
}

// judgeUnlogged tells of signatures from without a log. When they were made, and that they were, the ledger alone says: so what
// somebody has looked at is named by what it is, and one signature more is an alarm again.
func (b *Books) judgeUnlogged() {
	n, set := 0, sha256.New()
	for e := range all(&b.told) {
		if e.state == unlogged {
			n++
			set.Write(e.id[:])
		}
	}
	if n == 0 {
		return
	}
	name := artifact.Digest(set.Sum(nil))
	accepted := name == b.config.Unlogged
	if !accepted {
		b.Join(b.bare)
	}
	b.Add(audit.Finding{Alarm: !accepted, Reason: reason.Reason{
		Code: reason.LedgerUnlogged, Message: "the ledger has signatures that were made without a log; it alone tells of them",
		Found: fmt.Sprintf("%d signatures, the set sha256:%s", n, name), Expected: "none, or a set that somebody has looked at",
		Fix: "hold them against what was signed before there was a log; then say --accept-unlogged sha256:" + name.String() + ", which holds until there is another", Who: security,
	}})
}
