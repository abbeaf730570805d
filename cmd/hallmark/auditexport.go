package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// auditLine is a line of an export: an entry or, at its end, the checkpoint that was signed over all of them.
type auditLine struct {
	Index      *uint64         `json:"index,omitempty"`
	Entry      json.RawMessage `json:"entry,omitempty"` // byte by byte as it was logged
	Raw        []byte          `json:"raw,omitempty"`   // instead of it: what is not one line of JSON
	Checkpoint string          `json:"checkpoint,omitempty"`
}

func newAuditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a whole log out, as lines of JSON or as a copy of its directory",
		Long: `Write a whole log out: a line of JSON for each entry, in order, and a last line with the checkpoint
that is signed over them. Where that line is missing the export is not whole, or the log is not as
it was signed.

With --dir the log is copied to a directory instead, which hallmark audit verify --log reads without
asking anybody.

Exit status: 0 all of it was written, 2 it was not.`,
		Example: `  hallmark audit export --log /var/lib/hallmark/log --trusted-root trusted_root.json > log.ndjson
  hallmark audit export --server https://hallmark.example --trusted-root trusted_root.json --dir copy`,
		Args: cobra.NoArgs,
	}
	flags := addLogFlags(cmd)
	dir := cmd.Flags().String("dir", "", "directory to copy the log to; it must not exist, or be empty")
	_ = cmd.MarkFlagDirname("dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, keys, err := flags.open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		head, err := r.Head(cmd.Context(), keys)
		if err != nil {
			return err
		}
		bar := newProgress(cmd.ErrOrStderr())
		defer bar.clear()
		progress := logProgress(bar, head.Size)
		if *dir != "" {
			if err := r.Copy(cmd.Context(), head, *dir, progress); err != nil {
				return err
			}
			bar.clear()
			fmt.Fprintf(cmd.OutOrStdout(), "copied  %s, %s\n", head.Origin, head)
			return nil
		}
		return exportLines(cmd, r, head, progress)
	}
	return cmd
}

func exportLines(cmd *cobra.Command, r *audit.Reader, head audit.Head, progress func(uint64)) error {
	w := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	err := r.Entries(cmd.Context(), head, progress, func(index uint64, raw []byte) error {
		return writeLine(lines, auditLine{Index: &index}, raw)
	})
	if err == nil {
		err = lines.Encode(auditLine{Checkpoint: string(head.Text)})
	}
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	return err
}

// writeLine writes an entry as it is, when that is JSON without the blanks that an encoder takes away.
func writeLine(lines *json.Encoder, line auditLine, raw []byte) error {
	var tight bytes.Buffer
	if err := json.Compact(&tight, raw); err == nil && bytes.Equal(tight.Bytes(), raw) {
		line.Entry = raw
	} else {
		line.Raw = raw
	}
	return lines.Encode(line)
}
