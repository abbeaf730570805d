package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func newPromote() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "promote REPO/PATH... --target REPO",
		Short: "Promote artifacts that the gate lets through",
		Long: `Promote artifacts: the service asks its gate about each, and with --confirm lets
Artifactory copy them into the target repository, with the only identity that may write
there. Signature files go along. Without --confirm nothing is changed and the verdicts are
shown. Nothing is moved unless every verdict is yes, and nothing is ever overwritten.

A path that ends in / means everything below it; a pattern means every file that matches
and everything below every folder that matches (quote it). What failed half way is
completed by the same command.

Exit status: 0 promoted (or, without --confirm, all may go), 1 refused and nothing was
changed, 2 not decided, or failed half way: the output says what stands where.`,
		Example: `  hallmark promote libs-staging-local/app/1.4.2/ --target libs-release-local
  hallmark promote libs-staging-local/app/1.4.2/ --target libs-release-local --confirm
  hallmark promote 'libs-staging-local/app/1.4.*/*.tgz' --target libs-release-local --move --confirm
  hallmark promote show 17`,
		Args: cobra.MinimumNArgs(1),
	}
	connect, instance := clientFlags(cmd)
	patient(cmd)
	output := outputFlag(cmd)
	target := cmd.Flags().String("target", "", "repository that the artifacts enter; they keep their paths")
	move := cmd.Flags().Bool("move", false, "delete the sources when everything stands at the target")
	confirm := cmd.Flags().Bool("confirm", false, "do it; without this nothing is changed")
	_ = cmd.MarkFlagRequired("target")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		r, err := client.Promote(cmd.Context(), api.PromotionRequest{
			Instance: *instance, Artifacts: args, Target: *target, Move: *move, Confirm: *confirm,
		})
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

func promotionText(w io.Writer, r promotion.Report) {
	doing := "copy"
	if r.Move {
		doing = "move"
	}
	head := map[promotion.State]string{
		promotion.StateAllowed:    "ALLOWED  every artifact may enter %s; nothing was changed, --confirm promotes (%s)\n",
		promotion.StateRefused:    "REFUSED  not every artifact may enter %s; nothing was changed (%s)\n",
		promotion.StateUndecided:  "UNDECIDED  not everything could be learnt about the way to %s; nothing was changed (%s)\n",
		promotion.StateDone:       "PROMOTED  everything stands in %s (%s)\n",
		promotion.StateIncomplete: "INCOMPLETE  the promotion into %s failed half way (%s)\n",
	}[r.State]
	fmt.Fprintf(w, head, r.Target, doing)
	if r.ID != 0 {
		fmt.Fprintf(w, "  record    hallmark promote show %d\n", r.ID)
	}
	rows := make([][]string, len(r.Items))
	for i, it := range r.Items {
		rows[i] = itemRow(it.State, it.Artifact, it.Files, it.Reasons)
	}
	itemTable(w, rows)
	for _, why := range r.Reasons {
		fmt.Fprint(w, why.Text())
	}
	for _, it := range r.Items {
		itemReasons(w, it.Artifact, it.Reasons)
		if len(it.Left) > 0 {
			fmt.Fprintf(w, "%s\n  stay behind, because they do not count at the target: %s\n", it.Artifact, strings.Join(it.Left, ", "))
		}
	}
}

func recordText(w io.Writer, p api.Promotion) {
	doing := "copied"
	if p.Move {
		doing = "moved"
	}
	fmt.Fprintf(w, "%s  promotion %d into %s, %s by %s\n", strings.ToUpper(p.State), p.ID, p.Target, doing, p.Caller)
	fmt.Fprintf(w, "  begun     %s\n", p.StartedAt.Format(time.RFC3339))
	if p.EndedAt != nil {
		fmt.Fprintf(w, "  ended     %s\n", p.EndedAt.Format(time.RFC3339))
	}
	rows := make([][]string, len(p.Items))
	for i, it := range p.Items {
		rows[i] = itemRow(it.State, it.Artifact, it.Files, it.Reasons)
	}
	itemTable(w, rows)
	for _, it := range p.Items {
		itemReasons(w, it.Artifact, it.Reasons)
	}
}

func itemRow(state, artifact string, files []string, why []reason.Reason) []string {
	told := strings.Join(files, ", ")
	if len(why) > 0 {
		told = why[0].String()
	}
	return []string{"  " + state, artifact, told}
}

func itemTable(w io.Writer, rows [][]string) {
	if len(rows) > 0 {
		table(w, []string{"  STATE", "ARTIFACT", "SIGNATURE FILES, OR WHY NOT"}, rows)
	}
}

func itemReasons(w io.Writer, artifact string, why []reason.Reason) {
	if len(why) == 0 {
		return
	}
	fmt.Fprintln(w, artifact)
	for _, r := range why {
		fmt.Fprint(w, r.Text())
	}
}
