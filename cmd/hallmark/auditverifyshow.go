package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

func auditText(w io.Writer, logs []*oneLog, a *auditReport) {
	for _, l := range logs {
		logText(w, l.reader.String(), l.report)
	}
	if a.Recent > 0 {
		fmt.Fprintf(w, "%d signatures were too young to be compared: the next time they are\n", a.Recent)
	}
}

func logText(w io.Writer, where string, a *audit.Report) {
	verdict := "OK"
	if a.Alarms() > 0 {
		verdict = "ALARM"
	}
	name := a.Origin
	if name == "" {
		name = "the log"
	}
	fmt.Fprintf(w, "%s  %s (%s)\n", verdict, name, where)
	if a.Origin != "" {
		fmt.Fprintf(w, "  entries   %d\n  root      %x\n", a.Size, a.Root)
		for _, kind := range slices.Sorted(maps.Keys(a.Leaves)) {
			fmt.Fprintf(w, "  %8d  %s\n", a.Leaves[kind], kind)
		}
		fmt.Fprintf(w, "  uses      %d with signatures, %d given up, %d under way\n", a.Sealed, a.Abandoned, a.Open)
		if !a.Last.IsZero() {
			fmt.Fprintf(w, "  from      %s to %s\n", a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339))
		}
	}
	if a.Alarms() > 0 {
		fmt.Fprintf(w, "  alarms    %d\n", a.Alarms())
	}
	for _, f := range a.All {
		fmt.Fprint(w, f.Text())
	}
	for _, code := range slices.Sorted(maps.Keys(a.Counts)) {
		if n := a.Counts[code]; n > audit.MaxFindings {
			fmt.Fprintf(w, "and %d more %s\n", n-audit.MaxFindings, code)
		}
	}
}
