package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// auditReport is the answer of hallmark audit verify.
type auditReport struct {
	OK bool `json:"ok"`
	*audit.Report
	Others []*audit.Report `json:"others,omitempty"` // of --other-log
	Recent int             `json:"recent,omitempty"` // signatures that were too young to be compared
}

func (a *auditReport) alarms() int {
	n := a.Alarms()
	for _, o := range a.Others {
		n += o.Alarms()
	}
	return n
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

With --ledger every intent and every signature that the ledger keeps is held against the log, and with
--repositories every signature by a known key that stands in Artifactory, whatever the ledger says of
it: a key use without an entry, and an entry that came of nothing that the ledger knows, is an alarm.
Known are the keys of the log and those of the configuration: their public halves come from the log,
from --key, or from the tokens, on which nothing is signed.

Each replica has a log of its own: name those of the others with --other-log. What the ledger has of a
log that is not given is an alarm, unless --accept-log says that it is verified elsewhere; so are
signatures from without a log, unless --accept-unlogged names the set of them that somebody looked at.

Keep checkpoints where whoever runs the service cannot write. The log alone cannot show that its end
was cut off, or that somebody else was shown another log.

Exit status: 0 no alarm, 1 an alarm, 2 could not be verified.`,
		Example: `  hallmark audit verify --log /var/lib/hallmark/log --trusted-root trusted_root.json
  hallmark audit verify --server https://hallmark.example --token-file auditor.token --trusted-root trusted_root.json --checkpoint kept.checkpoint --update
  hallmark audit verify --config hallmark.yaml --trusted-root trusted_root.json --repositories libs-staging-local,libs-release-local
  hallmark audit verify --config hallmark.yaml --trusted-root trusted_root.json --ledger --other-log https://replica-2.hallmark.example --token-file auditor.token
  hallmark audit verify --log copy --trusted-root log.pem --origin log.example --as-of 2026-11-22 -o json`,
		Args: cobra.NoArgs,
	}
	flags, output := addLogFlags(cmd), outputFlag(cmd)
	keptFiles := cmd.Flags().StringArray("checkpoint", nil, "file with a checkpoint of before; may be repeated")
	update := cmd.Flags().Bool("update", false, "write the log's checkpoint to the file of --checkpoint when there is no alarm; the file need not exist yet")
	grace := cmd.Flags().Duration("grace", audit.Grace, "how long a use of a key may be under way")
	asOf := cmd.Flags().String("as-of", "", "moment by which uses of keys should have ended: when a copy was made (2026-11-22T15:04:05Z), a date, or how long ago (2h); default: now")
	others := cmd.Flags().StringArray("other-log", nil, "log of another replica: its directory, or the address of that replica's service; may be repeated")
	with := addComparing(cmd, flags.config)
	_ = cmd.MarkFlagFilename("checkpoint")
	_ = cmd.MarkFlagDirname("other-log")
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
		run := &verifying{grace: *grace, asOf: at, logs: []*oneLog{{reader: r, keys: keys}}, keys: keys}
		defer run.close()
		if all, err := flags.allKeys(); err == nil { // a key in PEM is that of one log
			run.keys = all
		}
		if err := run.add(flags, *others); err != nil {
			return err
		}
		if run.kept, err = keptHeads(*keptFiles, run.keys, *update); err != nil {
			return err
		}
		if run.with, err = with.open(cmd.Context(), run.keys); err != nil {
			return err
		}
		answer, err := run.verify(cmd)
		if err != nil {
			return err
		}
		if answer.OK && *update {
			if err := putFile((*keptFiles)[0], []byte(answer.Checkpoint), 0o600); err != nil {
				return fmt.Errorf("keeping the checkpoint: %w", err)
			}
		}
		if err := show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { auditText(w, run.logs, answer) }); err != nil {
			return err
		}
		if !answer.OK {
			return &refusedError{}
		}
		return nil
	}
	return cmd
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

// keptHead is a checkpoint of before, and whose.
type keptHead struct {
	origin string
	audit.Kept
}

// keptHeads reads checkpoints of before. One that the log's key has not signed proves nothing and is an error.
func keptHeads(files []string, keys []audit.Key, mayLack bool) (kept []keptHead, err error) {
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
		kept = append(kept, keptHead{h.Origin, audit.Kept{Where: file, Size: h.Size, Root: h.Root}})
	}
	return kept, nil
}
