package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// outputFlag adds -o text|json.
func outputFlag(cmd *cobra.Command) *string {
	return formatFlag(cmd, "text or json", "text", "json")
}

// annotatedFlag adds -o text|json|github.
func annotatedFlag(cmd *cobra.Command) *string {
	return formatFlag(cmd, "text, json, or github (annotations of GitHub Actions)", "text", "json", formatGitHub)
}

func formatFlag(cmd *cobra.Command, words string, formats ...cobra.Completion) *string {
	out := cmd.Flags().StringP("output", "o", "text", "output format: "+words)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return out
}

// show prints v as JSON, or calls text for people.
func show(w io.Writer, format string, v any, text func(io.Writer)) error {
	switch format {
	case "json":
		return encode(w, v)
	case "text":
		text(w)
		return nil
	default:
		return fmt.Errorf("output format %q is unknown: text or json", format)
	}
}

// encode prints v as JSON for people to read.
func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints aligned columns.
func table(w io.Writer, head []string, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, strings.Join(head, "\t"))
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	_ = tw.Flush()
}
