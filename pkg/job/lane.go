package job

import (
	"github.com/riverqueue/river"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Lane is a line of its own in the queue. Work of a lane never waits for work of a lane behind it, apart from what is
// already being done.
type Lane = ledger.Lane

// The lanes, by precedence.
const (
	Promotion Lane = "promotion" // something moves towards a release, or a person asked for it by name
	Upload    Lane = "upload"    // daily work, and what an event's empty lane means
	Backfill  Lane = "backfill"  // what was there before, in bulk
)

// rank is a lane's place in lanes: 0 goes first.
type rank int

const (
	daily  rank = 1
	lowest rank = 2
)

// lanes is the table of lanes in the order of their ranks, with the names of River's queues that they are. Uploads stand
// where all work stood before there were lanes, so that what an older release left behind is found, also while
// replicas of both releases run.
var lanes = [lowest + 1]struct {
	name  Lane
	queue string
}{
	{Promotion, "promotion"},
	{Upload, river.QueueDefault},
	{Backfill, "backfill"},
}

// Lanes lists the lanes, first what goes first.
func Lanes() []Lane {
	list := make([]Lane, len(lanes))
	for i, l := range lanes {
		list[i] = l.name
	}
	return list
}

// rankOf takes a lane it does not know, and none, for that of daily work; so does rankOfQueue with the name of a queue.
func rankOf(l Lane) rank {
	for i, lane := range lanes {
		if lane.name == l {
			return rank(i)
		}
	}
	return daily
}

func rankOfQueue(queue string) rank {
	for i, lane := range lanes {
		if lane.queue == queue {
			return rank(i)
		}
	}
	return daily
}
