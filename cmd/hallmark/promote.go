package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

func newPromote() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "promote REPO/PATH... --target REPO",
		Short: "Promote artifacts, a build, an image or a release bundle that the gate lets through",
		Long: `Promote artifacts: the service asks its gate about each, and with --confirm lets
Artifactory copy them into the target repository, with the only identity that may write
there. Signature files go along. Without --confirm nothing is changed and the verdicts are
shown. Nothing is moved unless every verdict is yes, and nothing is ever overwritten.

A path that ends in / means everything below it; a pattern means every file that matches
and everything below every folder that matches (quote it).

With --build NAME/NUMBER every file of the build is promoted: those with the digests of its
build-info and with its properties. One that is missing, or does not belong, is a refusal.
At the end the promotion is written into the build's history.

With --image REPO/NAME:TAG the image is promoted with all its platforms and layers, and with
the signatures that count in the target.

With --bundle NAME/VERSION --environment ENV the release bundle v2 is promoted into the
targets, one repository for each type of packages that it holds, and signatures follow.

What failed half way is completed by the same command.

Exit status: 0 promoted (or, without --confirm, all may go), 1 refused and nothing was
changed, 2 not decided, or failed half way: the output says what stands where.`,
		Example: `  hallmark promote libs-staging-local/app/1.4.2/ --target libs-release-local
  hallmark promote libs-staging-local/app/1.4.2/ --target libs-release-local --confirm
  hallmark promote 'libs-staging-local/app/1.4.*/*.tgz' --target libs-release-local --move --confirm
  hallmark promote --build app/87 --target libs-release-local --confirm
  hallmark promote --build app/87 --project fw --source fw-staging-local --target fw-release-local
  hallmark promote --image oci-staging-local/team/app:1.0 --target oci-release-local --confirm
  hallmark promote --image oci-staging-local/team/app:1.0-rc3 --target oci-release-local --target-tag 1.0
  hallmark promote --bundle suite/2026.8 --environment PROD --target libs-release-local,oci-release-local --confirm
  hallmark promote show 17`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	connect, instance := clientFlags(cmd)
	patient(cmd)
	output := outputFlag(cmd)
	named := promotionFlags(cmd)
	targets := cmd.Flags().StringSlice("target", nil, "repository that the artifacts enter, with their paths; several of a release bundle")
	move := cmd.Flags().Bool("move", false, "delete the sources when everything stands at the target")
	confirm := cmd.Flags().Bool("confirm", false, "do it; without this nothing is changed")
	_ = cmd.MarkFlagRequired("target")
	_ = cmd.RegisterFlagCompletionFunc("target", cobra.NoFileCompletions)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := named.request(cmd, args)
		if err != nil {
			return err
		}
		req.Instance, req.Move, req.Confirm = *instance, *move, *confirm
		switch {
		case len(*targets) == 1:
			req.Target = (*targets)[0]
		case req.Bundle == nil:
			return fmt.Errorf("--target names %d repositories; only a release bundle has several", len(*targets))
		default:
			req.Targets = *targets
		}
		client, err := connect()
		if err != nil {
			return err
		}
		r, err := client.Promote(cmd.Context(), req)
		if err != nil {
			return promotionError(err, *confirm)
		}
		if err := show(cmd.OutOrStdout(), *output, r, func(w io.Writer) { promotionText(w, r) }); err != nil {
			return err
		}
		switch r.State {
		case promotion.StateAllowed, promotion.StateDone:
			return nil
		case promotion.StateRefused:
			return &refusedError{}
		case promotion.StateIncomplete:
			return errors.New("the promotion failed half way; the same command completes it")
		default:
			return errors.New("the gate could not decide; nothing was changed")
		}
	}
	cmd.AddCommand(newPromoteShow())
	return cmd
}

// patient gives a command as much time as a promotion may take.
func patient(cmd *cobra.Command) {
	f := cmd.Flags().Lookup("timeout")
	f.DefValue = (promotion.Timeout + time.Minute).String()
	_ = f.Value.Set(f.DefValue)
}

// promotionError tells what is known when no report came back.
func promotionError(err error, confirm bool) error {
	if problem := (*api.Problem)(nil); !confirm || errors.As(err, &problem) {
		return err
	}
	return fmt.Errorf("%w\nthe answer got lost and the promotion may be going on; the same command without --confirm shows what is left, with it completes the rest", err)
}

func newPromoteShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show the record of a promotion",
		Example: `  hallmark promote show 17 -o json`,
		Args:    cobra.ExactArgs(1),
	}
	connect, _ := clientFlags(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not the number of a promotion", args[0])
		}
		client, err := connect()
		if err != nil {
			return err
		}
		p, err := client.Promotion(cmd.Context(), id)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, p, func(w io.Writer) { recordText(w, p) })
	}
	return cmd
}
