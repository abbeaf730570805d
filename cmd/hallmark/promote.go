package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

func newPromote() *cobra.Command {
	cmd := &cobra.Command{
		Use: `promote REPO/PATH... --target REPO
  hallmark promote --build NAME/NUMBER --target REPO
  hallmark promote --image REPO/NAME:TAG --target REPO
  hallmark promote --bundle NAME/VERSION --environment ENV --target REPO[,REPO...]`,
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

With --wait signatures that are being made, such as right after an upload, are waited for.

What failed half way is completed by the same command. On a terminal a bar shows how far it
is; a promotion goes on when this command is interrupted: see promote list and promote show.

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
  hallmark promote list
  hallmark promote show 17`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	connect, instance := clientFlags(cmd)
	patient(cmd)
	output, kept := annotatedFlag(cmd), reportFlag(cmd)
	named := promotionFlags(cmd)
	targets := cmd.Flags().StringSlice("target", nil, "repository that the artifacts enter, with their paths; several of a release bundle")
	move := cmd.Flags().Bool("move", false, "delete the sources when everything stands at the target")
	wait := waitFlag(cmd)
	confirm := cmd.Flags().Bool("confirm", false, "do it; without this nothing is changed")
	_ = cmd.MarkFlagRequired("target")
	_ = cmd.RegisterFlagCompletionFunc("target", cobra.NoFileCompletions)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := named.request(cmd, args)
		if err != nil {
			return err
		}
		if err := checkWait(cmd, *wait); err != nil {
			return err
		}
		req.Instance, req.Move, req.Confirm, req.Wait = *instance, *move, *confirm, waitText(*wait)
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
		if err := kept.begin(); err != nil {
			return err
		}
		done := waiting(cmd.ErrOrStderr(), *wait)
		bar, last := newProgress(cmd.ErrOrStderr()), promotion.Progress{}
		r, err := client.Promote(cmd.Context(), req, func(p promotion.Progress) {
			last = p
			bar.draw(promotionLine(p))
		})
		bar.clear()
		done()
		if err != nil {
			return promotionError(err, *confirm, last.ID)
		}
		if err := errors.Join(
			kept.save(r),
			showAnnotated(cmd.OutOrStdout(), *output, r, func(w io.Writer) { promotionText(w, r) }, promotionAnnotations(r)),
		); err != nil {
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
	cmd.AddCommand(newPromoteShow(), newPromoteList())
	return cmd
}

// patient gives a command as much time as a promotion may take.
func patient(cmd *cobra.Command) {
	f := cmd.Flags().Lookup("timeout")
	f.DefValue = (promotion.Timeout + time.Minute).String()
	_ = f.Value.Set(f.DefValue)
}

// promotionError tells what is known when no report came back; id is that of the record, 0 when none was heard of.
func promotionError(err error, confirm bool, id int64) error {
	if problem := (*api.Problem)(nil); !confirm || errors.As(err, &problem) {
		return err
	}
	look := "hallmark promote list shows whether it was begun"
	if id != 0 {
		look = fmt.Sprintf("hallmark promote show %d tells how far it came", id)
	}
	return fmt.Errorf("%w\nthe answer got lost and the promotion may be going on; %s; the same command without --confirm shows what is left, with it completes the rest", err, look)
}
