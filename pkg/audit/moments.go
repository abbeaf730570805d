package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// At is when a leaf says that it was made; zero when its kind does not say.
func At(l Leaf) time.Time {
	switch l := l.(type) {
	case Start:
		return l.At
	case Intent:
		return l.At
	case Outcome:
		return l.At
	}
	return time.Time{}
}

// Newest is the newest time that any of the last leaves gives, a few hundred at least; zero when none does. They are in order of
// time but for those that were under way together, and for what the clock did.
func (l *Log) Newest(ctx context.Context) (newest time.Time, err error) {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return newest, err
	}
	from := size - min(size, 2*layout.EntryBundleWidth)
	err = l.Leaves(ctx, from, func(_ uint64, raw []byte) error {
		if leaf, err := ParseLeaf(raw); err == nil {
			newest = later(newest, At(leaf))
		}
		return nil
	})
	return newest, err
}

// Newest is Log.Newest, of what the head tells.
func (r *Reader) Newest(ctx context.Context, head Head) (newest time.Time, err error) {
	bundles := 0
	err = r.Back(ctx, head, func(entries []Entry) (bool, error) {
		for _, e := range entries {
			newest = later(newest, At(e.Leaf))
		}
		bundles++
		return bundles < 3, nil
	})
	return newest, err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Disorder is how far the time of an entry may lie before that of one that stands before it: those that are under way together
// come as they can.
const Disorder = 5 * time.Minute

// ordered reports a clock that went back; from there on the time counts that it went back to.
func (a *account) ordered(index uint64, t time.Time) {
	if back := a.clock.Sub(t); back > Disorder {
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogTimeBackwards, Message: "the time went back: the clock of the service was set",
			Found:    fmt.Sprintf("%s, %s before an entry that stands before it", t.Format(time.RFC3339), back.Round(time.Second)),
			Expected: "times that go on, but for " + Disorder.String(),
			Fix:      "find out which of the two times was wrong, and who set the clock; time-stamps of the built-in authority are dated by it", Who: security,
		}))
		a.clock = t
	}
	a.clock = later(a.clock, t)
}
