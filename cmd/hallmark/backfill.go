package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

func newBackfill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backfill REPO[/FOLDER]",
		Short: "Sign what was in a repository before Hallmark",
		Long: `Have everything in a repository signed that policy wants signed and that is not, however
old it is. The work goes behind all daily work and no faster than --rate.

The service does it, and goes on when this command is interrupted or the service is
started again; the same command then follows it. Look before with --dry-run.`,
		Example: `  hallmark backfill libs-release-local --dry-run
  hallmark backfill libs-release-local/org/acme --rate 20`,
		Args: cobra.ExactArgs(1),
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	req := api.SweepRequest{Backfill: true}
	cmd.Flags().Int64Var(&req.Rate, "rate", 50, "artifacts per second at most; 0 is no limit")
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "find and tell, sign nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		req.Instance = *instance
		req.Repository, req.Prefix, _ = strings.Cut(strings.Trim(args[0], "/"), "/")
		return follow(cmd, client, req, *output)
	}
	return cmd
}

// kindOf is what a request is called in the list of sweeps.
func kindOf(req api.SweepRequest) string {
	switch {
	case req.DryRun:
		return signing.SweepCheck
	case req.Backfill:
		return signing.SweepBackfill
	default:
		return signing.SweepManual
	}
}

func isConflict(err error) bool {
	p, ok := errors.AsType[*api.Problem](err)
	return ok && p.Status == http.StatusConflict
}
