package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func newWhy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why REPO/PATH",
		Short: "Tell what was decided about an artifact, and why",
		Long: `Tell from the ledger what was decided last about signing an artifact and, with --target, what the
gate of a repository answered last: by which policy, for whom, and with every reason of a refusal.

--as-of goes back in time: what had been decided last by then. It takes a moment
(2026-11-22T15:04:05Z), a date, which means its end (UTC), or how long ago (2h, 3d).

An image is named as REPO/NAME:TAG or REPO/NAME@sha256:DIGEST.

Exit status: 0 the decisions are told, whatever they are; 1 there is none, or none for the target;
2 could not ask.`,
		Example: `  hallmark why libs-staging-local/app/1.4.2/app.tgz
  hallmark why libs-staging-local/app/1.4.2/app.tgz --target libs-release-local
  hallmark why libs-staging-local/app/1.4.2/app.tgz --target libs-release-local --as-of 3d
  hallmark why oci-staging-local/team/app:1.0 --as-of 2026-11-22 -o json`,
		Args: cobra.ExactArgs(1),
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	target := cmd.Flags().String("target", "", "repository (or repository/path): tell what its gate answered, too")
	asOf := cmd.Flags().String("as-of", "", "moment, date or span ago: tell what had been decided by then (default: now)")
	_ = cmd.RegisterFlagCompletionFunc("as-of", cobra.FixedCompletions([]string{"1h", "1d", "7d"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := pastTime("--as-of", *asOf, time.Now(), endOfDay)
		if err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		w, err := client.Why(cmd.Context(), *instance, args[0], *target, at)
		if err != nil {
			return err
		}
		if err := show(cmd.OutOrStdout(), *output, w, func(out io.Writer) { whyText(out, w) }); err != nil {
			return err
		}
		if w.Signing == nil && w.Gate == nil || w.Gate == nil && *target != "" {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func whyText(w io.Writer, a api.Why) {
	if p := a.Signing; p != nil {
		fmt.Fprintf(w, "%s  %s\n", strings.ToUpper(p.Outcome), p.Artifact)
		pastText(w, *p)
	} else {
		fmt.Fprintf(w, "UNKNOWN  nothing was decided about signing %s%s\n", a.Artifact, by(a))
		adviceText(w, a, "hallmark policy explain "+a.Artifact)
	}
	if a.Target == "" {
		return
	}
	if p := a.Gate; p != nil {
		word, link := "REFUSED", "may not enter"
		if p.Outcome == "allowed" {
			word, link = "ALLOWED", "may enter"
		}
		fmt.Fprintf(w, "%s  %s %s %s\n", word, p.Artifact, link, p.Target)
		pastText(w, *p)
		return
	}
	fmt.Fprintf(w, "UNKNOWN  the gate was not asked about %s and %s%s\n", a.Artifact, a.Target, by(a))
	adviceText(w, a, "hallmark gate check "+a.Artifact+" --target "+a.Target)
}

func by(a api.Why) string {
	if a.AsOf == nil {
		return ""
	}
	return " by " + a.AsOf.Format(time.RFC3339)
}

// adviceText says what is on record at all, and what would answer now.
func adviceText(w io.Writer, a api.Why, now string) {
	switch {
	case a.Began == nil:
		fmt.Fprintln(w, "  on record  no decision yet, about anything")
	case a.AsOf != nil && a.AsOf.Before(*a.Began):
		fmt.Fprintf(w, "  on record  what was decided from %s on\n", a.Began.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "  now        %s\n", now)
}

func pastText(w io.Writer, p policy.Past) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-10s %s\n", name, value)
		}
	}
	line("at", p.At.Format(time.RFC3339))
	if !p.SHA256.IsZero() {
		line("digest", "sha256:"+p.SHA256.String())
	}
	line("rule", p.Rule)
	if !p.PolicySet.IsZero() {
		line("policy set", "sha256:"+p.PolicySet.String())
	}
	asked, err := p.Question()
	switch {
	case asked != nil && asked.Event != "" && p.Caller == "":
		line("because of", asked.Event)
	case p.Caller != "":
		line("asked by", p.Caller)
	}
	for _, f := range p.Files {
		line("file", f)
	}
	for _, r := range p.Reasons {
		fmt.Fprint(w, r.Text())
	}
	if len(p.Warnings) > 0 {
		fmt.Fprintln(w, "  WARNING    policies that only warn would refuse it")
	}
	for _, r := range p.Warnings {
		fmt.Fprint(w, r.Text())
	}
	if asked == nil && err == nil && (p.Kind == policy.PastGate || p.Policy != "") {
		line("facts", "not kept: it was recorded before they were, or nothing was looked at")
	}
}
