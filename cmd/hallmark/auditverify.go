package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// auditReport is the answer of hallmark audit verify.
type auditReport struct {
	OK bool `json:"ok"`
	*audit.Report
}

func newAuditVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Replay a whole log: nothing changed, and every use of a key accounted for",
		Long: `Replay a whole log. Its checkpoint must be signed by the log's key, its entries must be those that
the checkpoint was signed over, and it must have grown from every checkpoint that was kept before
(--checkpoint; --update writes the new one there when there is no alarm). Then every use of a key is
accounted for: an intent before, a signature that verifies, an outcome that names both, keys that the
service announced, certificates that were logged.

With --ledger the signatures that the ledger keeps are compared, one by one, and with --repositories
those that stand in Artifactory: a key use without an entry, and an entry that came of nothing that
the ledger knows, is an alarm.

Keep checkpoints where whoever runs the service cannot write. The log alone cannot show that its end
was cut off, or that somebody else was shown another log.

Exit status: 0 no alarm, 1 an alarm, 2 could not be verified.`,
		Example: `  hallmark audit verify --log /var/lib/hallmark/log --trusted-root trusted_root.json
  hallmark audit verify --server https://hallmark.example --token-file auditor.token --trusted-root trusted_root.json --checkpoint kept.checkpoint --update
  hallmark audit verify --config hallmark.yaml --trusted-root trusted_root.json --repositories libs-staging-local,libs-release-local
  hallmark audit verify --log copy --trusted-root log.pem --origin log.example --as-of 2026-11-22 -o json`,
		Args: cobra.NoArgs,
	}
	flags, output := addLogFlags(cmd), outputFlag(cmd)
	keptFiles := cmd.Flags().StringArray("checkpoint", nil, "file with a checkpoint of before; may be repeated")
	update := cmd.Flags().Bool("update", false, "write the log's checkpoint to the file of --checkpoint when there is no alarm; the file need not exist yet")
	grace := cmd.Flags().Duration("grace", audit.Grace, "how long a use of a key may be under way")
	asOf := cmd.Flags().String("as-of", "", "moment by which uses of keys should have ended: when a copy was made (2026-11-22T15:04:05Z), a date, or how long ago (2h); default: now")
	with := addComparing(cmd, flags.config)
	_ = cmd.MarkFlagFilename("checkpoint")
	_ = cmd.RegisterFlagCompletionFunc("as-of", cobra.FixedCompletions([]string{"1h", "1d", "7d"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *update && len(*keptFiles) != 1 {
			return errors.New("--update needs one --checkpoint, whose file it writes")
		}
		at, err := pastTime("--as-of", *asOf, time.Now(), endOfDay)
		if err != nil {
			return err
		}
		r, keys, err := flags.open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		kept, err := keptHeads(*keptFiles, keys, *update)
		if err != nil {
			return err
		}
		others, err := with.open(cmd.Context())
		if err != nil {
			return err
		}
		defer others.close()
		report, err := verifyLog(cmd, r, keys, audit.Replay{Kept: kept, Grace: *grace, AsOf: at}, others)
		if err != nil {
			return err
		}
		answer := auditReport{report.Alarms() == 0, report}
		if answer.OK && *update {
			if err := putFile((*keptFiles)[0], []byte(report.Checkpoint), 0o600); err != nil {
				return fmt.Errorf("keeping the checkpoint: %w", err)
			}
		}
		if err := show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { auditText(w, r.String(), answer) }); err != nil {
			return err
		}
		if !answer.OK {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

// verifyLog reads the log's head, replays it and holds it against the others. A checkpoint that does not count is an alarm, too.
func verifyLog(cmd *cobra.Command, r *audit.Reader, keys []audit.Key, how audit.Replay, others *compared) (*audit.Report, error) {
	text, err := others.head(cmd.Context(), r, keys, &how)
	if errors.Is(err, audit.ErrCheckpoint) {
		report := &audit.Report{Leaves: map[string]uint64{}, Checkpoint: string(text)}
		report.Add(badCheckpoint(err))
		return report, nil
	}
	if err != nil {
		return nil, err
	}
	bar := newProgress(cmd.ErrOrStderr())
	defer bar.clear()
	how.Progress = logProgress(bar, how.Head.Size)
	others.follow(cmd.Context(), &how)
	report, err := r.Replay(cmd.Context(), how)
	if err != nil {
		return nil, err
	}
	return report, others.finish(cmd.Context(), r, how, report, bar)
}

func badCheckpoint(err error) audit.Finding {
	f := audit.Finding{Alarm: true, Reason: reason.Reason{
		Code: reason.LogCheckpointInvalid, Message: "the log's checkpoint does not count, so nothing that the log says does", Found: err.Error(),
		Expected: "a checkpoint signed by the log's key", Fix: "look whether this is the right log and the right trusted root; if both are, somebody else wrote the checkpoint", Who: "security officers",
	}}
	if errors.Is(err, audit.ErrOrigin) {
		f.Code, f.Fix = reason.LogOriginWrong, "look whether this is the right log and the right trusted root"
	}
	return f
}

// keptHeads reads checkpoints of before. One that the log's key has not signed proves nothing and is an error.
func keptHeads(files []string, keys []audit.Key, mayLack bool) (kept []audit.Kept, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if mayLack && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the kept checkpoint: %w", err)
		}
		h, err := audit.ParseHead(text, keys)
		if err != nil {
			return nil, fmt.Errorf("the kept checkpoint %s: %w", file, err)
		}
		kept = append(kept, audit.Kept{Where: file, Size: h.Size, Root: h.Root})
	}
	return kept, nil
}

func auditText(w io.Writer, where string, a auditReport) {
	verdict := "OK"
	if !a.OK {
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
	if !a.OK {
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
