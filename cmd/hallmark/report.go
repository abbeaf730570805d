package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// reportFlag adds --report. The command calls begin before it asks and save with the answer.
func reportFlag(cmd *cobra.Command) *report {
	r := new(report)
	cmd.Flags().StringVar(&r.file, "report", "", "also write the answer to this file as JSON; it stays empty when there is none")
	_ = cmd.MarkFlagFilename("report", "json")
	return r
}

// report is a file that pipelines keep: the answer in full, whatever was printed for people.
type report struct{ file string }

// begin empties the file, so that an older answer is never taken for this one's, and fails where it cannot be written.
func (r *report) begin() error {
	if r.file == "" {
		return nil
	}
	return r.write(nil)
}

func (r *report) save(v any) error {
	if r.file == "" {
		return nil
	}
	var content bytes.Buffer
	if err := encode(&content, v); err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return r.write(content.Bytes())
}

func (r *report) write(content []byte) error {
	if err := os.WriteFile(r.file, content, 0o644); err != nil { // #nosec G306 -- whoever runs the pipeline may read it
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
