package promotion

import "sync"

// Phase is what a promotion is doing.
type Phase string

// The phases, in their order. A dry run ends with judging; only a move deletes.
const (
	PhaseWaiting     Phase = "waiting"     // for another promotion into the same repository
	PhaseSelecting   Phase = "selecting"   // finding out which artifacts are meant
	PhaseJudging     Phase = "judging"     // asking the gate, and looking at the target
	PhaseCarrying    Phase = "carrying"    // bringing them to the target
	PhaseWithdrawing Phase = "withdrawing" // taking away what Artifactory left of a release bundle that it did not promote
	PhaseDeleting    Phase = "deleting"    // deleting the sources
)

// Progress tells how far a promotion has come.
type Progress struct {
	ID    int64 `json:"id,omitempty"` // of the record; 0 as long as nothing was begun
	Phase Phase `json:"phase"`
	Done  int   `json:"done"` // artifacts that this phase is through with; those that failed are none of them
	Of    int   `json:"of"`   // artifacts in all; 0 while that is not known
}

// meter counts for one promotion, whose artifacts are worked on by several goroutines.
type meter struct {
	tell func(Progress) // nil for nobody

	mu  sync.Mutex
	now Progress
}

// change tells what comes of a change; one at a time, so that what is told last is the newest.
func (m *meter) change(how func(*Progress)) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	how(&m.now)
	m.tell(m.now)
}

// phase begins a phase.
func (m *meter) phase(phase Phase, of int) {
	m.change(func(p *Progress) { p.Phase, p.Done, p.Of = phase, 0, of })
}

// step counts one more artifact.
func (m *meter) step() { m.change(func(p *Progress) { p.Done++ }) }

// recorded names the record.
func (m *meter) recorded(id int64) { m.change(func(p *Progress) { p.ID = id }) }
