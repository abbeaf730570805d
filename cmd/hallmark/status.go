package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status REPO/PATH",
		Short: "Tell what the service knows of an artifact",
		Long: `Tell what the service knows of an artifact: its state, the reasons of a refusal, the
signatures made, and what happened before. This is a record and no proof; proofs are
made by hallmark gate check and hallmark verify.

An image is named as REPO/NAME:TAG or REPO/NAME@sha256:DIGEST.`,
		Example: `  hallmark status libs-staging-local/app/1.4.2/app.tgz
  hallmark status libs-staging-local/app/1.4.2/app.tgz -o json
  hallmark status oci-staging-local/team/app:1.0`,
		Args: cobra.ExactArgs(1),
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		s, err := client.Status(cmd.Context(), *instance, args[0])
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, s, func(w io.Writer) { statusText(w, s) })
	}
	return cmd
}

func statusText(w io.Writer, s api.Status) {
	state := "unknown"
	if s.Current != nil {
		state = s.Current.State
	}
	if s.Pending {
		state += ", work is under way"
	}
	fmt.Fprintf(w, "%s  %s\n", strings.ToUpper(state), s.Artifact)
	if s.Asked != "" {
		fmt.Fprintf(w, "  asked as  %s\n", s.Asked)
	}
	if c := s.Current; c != nil {
		if c.State == string(ledger.Expanded) {
			fmt.Fprintf(w, "  parts     %d, each is worked on for itself\n", c.Parts)
		} else {
			fmt.Fprintf(w, "  digest    sha256:%s\n", c.SHA256)
		}
		fmt.Fprintf(w, "  at        %s\n", c.At.Format(time.RFC3339))
		if c.Rule != "" {
			fmt.Fprintf(w, "  rule      %s\n", c.Rule)
		}
		for _, f := range c.Files {
			fmt.Fprintf(w, "  file      %s\n", f)
		}
		for _, r := range c.Reasons {
			fmt.Fprint(w, r.Text())
		}
		if len(c.Warnings) > 0 {
			fmt.Fprintf(w, "  warnings  of a policy that only warns; signed nevertheless\n")
		}
		for _, r := range c.Warnings {
			fmt.Fprint(w, r.Text())
		}
	}
	if len(s.Signatures) > 0 {
		rows := make([][]string, len(s.Signatures))
		for i, sig := range s.Signatures {
			rows[i] = []string{"  " + sig.Key, sig.Format, sig.MadeAt.Format(time.RFC3339), "sha256:" + sig.SPKI.String()}
		}
		table(w, []string{"  KEY", "FORMAT", "MADE", "SPKI"}, rows)
	}
	if len(s.History) > 1 {
		rows := make([][]string, len(s.History))
		for i, h := range s.History {
			why := ""
			if len(h.Reasons) > 0 {
				why = h.Reasons[0].String()
			}
			rows[i] = []string{"  " + h.At.Format(time.RFC3339), h.State, why}
		}
		table(w, []string{"  WHEN", "STATE", "WHY"}, rows)
	}
}
