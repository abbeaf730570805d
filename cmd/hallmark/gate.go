package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

func newGate() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "gate",
		Short:   "Ask whether an artifact may be promoted",
		Example: `  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local`,
	}
	cmd.AddCommand(newGateCheck())
	return cmd
}

func newGateCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check REPO/PATH --target REPO",
		Short: "Ask whether an artifact may enter a target repository",
		Long: `Ask whether an artifact may enter a target repository. The service reads the artifact's
signature files afresh and verifies them with pinned keys; properties do not count.

An image is named as REPO/NAME:TAG or REPO/NAME@sha256:DIGEST.

With -o github every reason is an annotation of the GitHub Actions run; --report keeps the
whole verdict besides. policies/gates/ci has complete pipelines.

With --wait the answer is put off while the signature that is missing is being made, such as
right after an upload. It ends early when the artifact is not going to be signed.

Exit status: 0 allowed, 1 refused, 2 could not be decided (treat it as refused).`,
		Example: `  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local
  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local --wait 30s
  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local -o json
  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local -o github --report verdict.json
  hallmark gate check oci-staging-local/team/app:1.0 --target oci-release-local`,
		Args: cobra.ExactArgs(1),
	}
	connect, instance := clientFlags(cmd)
	output, kept := annotatedFlag(cmd), reportFlag(cmd)
	target := cmd.Flags().String("target", "", "repository (or repository/path) that the artifact would enter")
	wait := waitFlag(cmd)
	_ = cmd.MarkFlagRequired("target")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkWait(cmd, *wait); err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		if err := kept.begin(); err != nil {
			return err
		}
		done := waiting(cmd.ErrOrStderr(), *wait)
		v, err := client.Gate(cmd.Context(), api.GateRequest{Instance: *instance, Artifact: args[0], Target: *target, Wait: waitText(*wait)})
		done()
		if err != nil {
			return err
		}
		if err := errors.Join(
			kept.save(v),
			showAnnotated(cmd.OutOrStdout(), *output, v, func(w io.Writer) { verdictText(w, v) }, verdictAnnotations(v)),
		); err != nil {
			return err
		}
		switch {
		case !v.Decided:
			return errors.New("the gate could not decide; the answer is no")
		case !v.Allow:
			return &refusedError{}
		default:
			return nil
		}
	}
	return cmd
}

func verdictText(w io.Writer, v gate.Verdict) {
	word, link := "REFUSED", "may not enter"
	if v.Allow {
		word, link = "ALLOWED", "may enter"
	}
	fmt.Fprintf(w, "%s  %s %s %s\n", word, v.Artifact, link, v.Target)
	for _, r := range v.Reasons {
		fmt.Fprint(w, r.Text())
	}
	for _, s := range v.Signatures {
		if s.Problem == "" {
			made, worth := "", ""
			if !s.At.IsZero() {
				made = ", made " + s.At.UTC().Format("2006-01-02 15:04 UTC")
			}
			if !s.Stamped.IsZero() {
				made += " by its time-stamp"
			}
			if s.Level > 2 {
				made += fmt.Sprintf(", trust level %d as %s", s.Level, s.Identity)
			}
			if !s.Counts {
				worth = ", which does not count there"
			}
			fmt.Fprintf(w, "  verified  %s by key %s%s%s\n", s.File, s.Key, made, worth)
		}
	}
	if len(v.Warnings) > 0 {
		fmt.Fprintln(w, "WARNING  policies that only warn would refuse it")
	}
	for _, r := range v.Warnings {
		fmt.Fprint(w, r.Text())
	}
}
