package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

func newSweep() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sweep --repo REPO",
		Short: "Compare a repository with what should be signed there, and repair it",
		Long: `Compare a repository with what should be signed there: find artifacts that are not
signed, wrongly signed or overwritten, signature files without artifact, and properties
that lie. What policy wants signed is ordered to be signed; the rest is told.

The service does the work, and goes on when this command is interrupted. It sweeps by
itself, too; see sweep in the configuration. Without --since or --full a sweep begins
where the service's last one ended.

Exit status: 0 all is well or will be; 1 something is wrong that the sweep does not
repair, or with --dry-run anything at all; 2 not done.`,
		Example: `  hallmark sweep --repo libs-staging-local --since 6h
  hallmark sweep --repo libs-release-local --full --dry-run -o json`,
		Args: cobra.NoArgs,
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	req := api.SweepRequest{}
	cmd.Flags().StringVar(&req.Repository, "repo", "", "repository to compare")
	_ = cmd.MarkFlagRequired("repo")
	cmd.Flags().StringVar(&req.Prefix, "prefix", "", "only this folder of it")
	cmd.Flags().BoolVar(&req.Full, "full", false, "look at everything, however old")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "find and tell, repair nothing")
	since := cmd.Flags().String("since", "", "look at what was uploaded since: a time (2006-01-02T15:04:05Z) or how long ago (6h)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if req.Since, err = moment(*since, time.Now()); err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		req.Instance = *instance
		if repo, folder, ok := strings.Cut(strings.Trim(req.Repository, "/"), "/"); ok {
			return fmt.Errorf("--repo %q is no repository's name; for a folder of it: --repo %s --prefix %s", req.Repository, repo, strings.Trim(folder+"/"+req.Prefix, "/"))
		}
		return follow(cmd, client, req, *output)
	}
	return cmd
}

// moment reads a time or an age; empty is none.
func moment(s string, now time.Time) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		at := now.Add(-age)
		return &at, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, fmt.Errorf("--since %q is neither a time such as 2006-01-02T15:04:05Z nor an age such as 6h", s)
	}
	return &at, nil
}

// follow orders a sweep, or takes up the one that is under way, and tells what came of it.
func follow(cmd *cobra.Command, client *api.Client, req api.SweepRequest, output string) error {
	ctx := cmd.Context()
	run, err := orderSweep(ctx, client, req, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr())
	if bar.w == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "sweep %d of %s is ordered; what it found is told when it is done\n", run.ID, run.Repository)
	}
	for run.State != "done" {
		bar.show(run)
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted; the service goes on: %w", ctx.Err())
		case <-time.After(bar.pause()):
		}
		if run, err = client.SweepStatus(ctx, run.ID); err != nil {
			return err
		}
	}
	bar.clear()
	if err := show(cmd.OutOrStdout(), output, run, func(w io.Writer) { sweepText(w, run, req.DryRun) }); err != nil {
		return err
	}
	if run.Problem != "" {
		return fmt.Errorf("the sweep was given up: %s", run.Problem)
	}
	if left := unrepaired(run); left > 0 || req.DryRun && run.Repaired > 0 {
		return &refusedError{}
	}
	return nil
}

// orderSweep orders, or finds the same order of somebody before, such as this command when it was interrupted.
func orderSweep(ctx context.Context, client *api.Client, req api.SweepRequest, say io.Writer) (api.Sweep, error) {
	run, err := client.Sweep(ctx, req)
	if err == nil || !isConflict(err) {
		return run, err
	}
	all, listErr := client.Sweeps(ctx)
	if listErr != nil {
		return api.Sweep{}, listErr
	}
	i := slices.IndexFunc(all, func(s api.Sweep) bool {
		return s.State != "done" && s.Repository == req.Repository && s.Prefix == strings.Trim(req.Prefix, "/") && s.Kind == kindOf(req) &&
			(req.Instance == "" || s.Instance == req.Instance)
	})
	if i < 0 {
		return client.Sweep(ctx, req) // it ended meanwhile
	}
	fmt.Fprintf(say, "taking up number %d, which was ordered by %s at %s\n", all[i].ID, all[i].Caller, all[i].RequestedAt.Format(time.RFC3339))
	return all[i], nil
}

// fine are the findings that need nobody.
var fine = []string{"signed", "uncovered", "signature-file", "waiting"}

func unrepaired(s api.Sweep) int64 {
	left := -s.Repaired
	for finding, n := range s.Findings {
		if !slices.Contains(fine, finding) {
			left += n
		}
	}
	return left
}

func sweepText(w io.Writer, s api.Sweep, dry bool) {
	repaired := "ordered to be signed"
	if dry {
		repaired = "would be ordered to be signed"
	}
	took := time.Duration(0)
	if s.StartedAt != nil && s.FinishedAt != nil {
		took = s.FinishedAt.Sub(*s.StartedAt)
	}
	fmt.Fprintf(w, "%s  %d files in %s\n", s.Repository, s.Items, took.Round(time.Millisecond))
	for _, finding := range slices.Sorted(maps.Keys(s.Findings)) {
		fmt.Fprintf(w, "  %8d  %s\n", s.Findings[finding], finding)
	}
	fmt.Fprintf(w, "  %8d  %s\n", s.Repaired, repaired)
	if s.LostEvents > 0 {
		fmt.Fprintf(w, "  %8d  events never arrived\n", s.LostEvents)
	}
	for _, f := range s.Report {
		how := ""
		if f.Repaired {
			how = "  (ordered to be signed)"
		}
		fmt.Fprintf(w, "%s  %s%s\n", f.Finding, f.Path, how)
		for _, r := range f.Reasons {
			fmt.Fprint(w, r.Text())
		}
	}
	told := int64(len(s.Report))
	total := int64(0)
	for finding, n := range s.Findings {
		if !slices.Contains(fine[:3], finding) {
			total += n
		}
	}
	if total > told {
		fmt.Fprintf(w, "and %d more\n", total-told)
	}
}
