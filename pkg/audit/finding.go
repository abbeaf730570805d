package audit

import (
	"fmt"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Finding is something about the log that is not as it should be.
type Finding struct {
	reason.Reason
	Index *uint64 `json:"index,omitempty"` // of the entry it is about
	Alarm bool    `json:"alarm"`           // false for what is worth knowing and needs nobody
}

// Text is the finding as people read it.
func (f Finding) Text() string {
	text := f.Reason.Text()
	if f.Index == nil {
		return text
	}
	head, rest, _ := strings.Cut(text, "\n")
	return fmt.Sprintf("%s   entry %d\n%s", head, *f.Index, rest)
}

// MaxFindings is how many findings of one code a report tells; more are counted.
const MaxFindings = 100

// Findings collects what was found, in bounded memory. The zero value is empty and ready.
type Findings struct {
	All    []Finding           `json:"findings"`
	Counts map[reason.Code]int `json:"counts"` // of all findings, those that are not in All too
	alarms int
}

// Add keeps a finding, or counts it when there are many of its code.
func (f *Findings) Add(one Finding) {
	if f.Counts == nil {
		f.Counts = map[reason.Code]int{}
	}
	if f.Counts[one.Code]++; f.Counts[one.Code] <= MaxFindings {
		f.All = append(f.All, one)
	}
	if one.Alarm {
		f.alarms++
	}
}

// Alarms counts the findings that somebody has to look into.
func (f *Findings) Alarms() int { return f.alarms }

// about is an alarm about one entry.
func about(index uint64, r reason.Reason) Finding {
	return Finding{Reason: r, Index: &index, Alarm: true}
}

// whole is an alarm about the log.
func whole(r reason.Reason) Finding { return Finding{Reason: r, Alarm: true} }

// Join adds what was found elsewhere.
func (f *Findings) Join(more Findings) {
	for _, one := range more.All {
		f.Add(one)
	}
	for code, n := range more.Counts { // those that more only counts
		if rest := n - MaxFindings; rest > 0 {
			f.Counts[code] += rest
		}
	}
	f.alarms += more.alarms - countAlarms(more.All)
}

func countAlarms(all []Finding) (n int) {
	for _, one := range all {
		if one.Alarm {
			n++
		}
	}
	return n
}
