package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// auditShown is the answer of hallmark audit show.
type auditShown struct {
	auditEntry
	Proven     uint64         `json:"proven"` // entries under the checkpoint whose root the entry's proof comes to
	Checkpoint string         `json:"checkpoint"`
	Problem    *audit.Finding `json:"problem,omitempty"`
}

func newAuditShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show N",
		Short: "Show an entry of a log, and prove that the log holds it",
		Long: `Show an entry of a log, by its number, and prove with the tree of the log that its signed checkpoint
counts this entry at this place. The first entry is number 0. A signature in it is verified.

Exit status: 0 the log holds it, 1 it does not, or the entry is not what it should be, 2 could not tell.`,
		Example: `  hallmark audit show 17 --log /var/lib/hallmark/log --trusted-root trusted_root.json
  hallmark audit show 17 --server https://hallmark.example --trusted-root trusted_root.json -o json`,
		Args: cobra.ExactArgs(1),
	}
	flags, output := addLogFlags(cmd), outputFlag(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.ParseUint(args[0], 10, 63)
		if err != nil {
			return fmt.Errorf("%q is no number of an entry", args[0])
		}
		r, keys, err := flags.open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		head, err := r.Head(cmd.Context(), keys)
		if err != nil {
			return err
		}
		e, err := r.Entry(cmd.Context(), head, n)
		shown := auditShown{Proven: head.Size, Checkpoint: string(head.Text)}
		switch {
		case errors.Is(err, audit.ErrNotIncluded):
			shown.Proven, shown.Index = 0, n
			shown.Problem = problemOf(n, reason.LogEntryChanged, "the entry at this place is not the one that the checkpoint was signed over, or the tree is damaged", err, "the entry that was logged")
		case err != nil:
			return err
		default:
			shown.auditEntry = describe(e)
			shown.Problem = problemIn(e)
		}
		if err := show(cmd.OutOrStdout(), *output, shown, func(w io.Writer) { shownText(w, shown) }); err != nil {
			return err
		}
		if shown.Problem != nil {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func problemOf(n uint64, code reason.Code, message string, err error, expected string) *audit.Finding {
	return &audit.Finding{Index: &n, Alarm: true, Reason: reason.Reason{
		Code: code, Message: message, Found: err.Error(), Expected: expected, Fix: "hallmark audit verify tells more", Who: "security officers",
	}}
}

// problemIn is what is wrong with an entry that the log does hold.
func problemIn(e audit.Entry) *audit.Finding {
	if e.Leaf == nil {
		return problemOf(e.Index, reason.LogLeafUnknown, "the entry is none of the kinds that this log has", e.Err, "an intent, an outcome, a signature, a certificate or a start")
	}
	if r, ok := e.Leaf.(audit.Rekord); ok {
		if err := r.Verify(); err != nil {
			return problemOf(e.Index, reason.LogSignatureInvalid, "the entry's signature does not verify with the key that it names", err, "a signature by that key")
		}
	}
	return nil
}

func shownText(w io.Writer, s auditShown) {
	if s.Kind != "" {
		fmt.Fprintf(w, "entry %d  %s\n  what      %s\n", s.Index, s.Kind, s.What)
		if !s.At.IsZero() {
			fmt.Fprintf(w, "  at        %s\n", s.At.Format(time.RFC3339Nano))
		}
		fmt.Fprintf(w, "  proven    by the log's checkpoint over %d entries\n", s.Proven)
	}
	if s.Problem != nil {
		fmt.Fprint(w, s.Problem.Text())
	}
	switch {
	case s.Entry != nil:
		var pretty bytes.Buffer
		if json.Indent(&pretty, s.Entry, "  ", "  ") == nil {
			fmt.Fprintf(w, "  %s\n", pretty.String())
		}
	case s.Raw != nil:
		fmt.Fprintf(w, "  %q\n", s.Raw)
	}
}
