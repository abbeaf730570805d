package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

func newPromoteShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show the record of a promotion",
		Example: `  hallmark promote show 17 -o json`,
		Args:    cobra.ExactArgs(1),
	}
	connect, _ := clientFlags(cmd)
	cmd.ValidArgsFunction = completeRecords(connect)
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

func newPromoteList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the newest promotions",
		Long: `List the newest promotions that were confirmed and begun, newest first. One that stays
running was cut off with the service; the same promotion again completes it.`,
		Example: `  hallmark promote list
  hallmark promote list --limit 100 -o json`,
		Args: cobra.NoArgs,
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	limit := cmd.Flags().Int("limit", 20, "how many at most; 1 to 100")
	_ = cmd.RegisterFlagCompletionFunc("limit", cobra.NoFileCompletions)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 1 {
			return fmt.Errorf("--limit is %d, not a number from 1 to 100", *limit)
		}
		client, err := connect()
		if err != nil {
			return err
		}
		list, err := client.Promotions(cmd.Context(), *instance, *limit)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, list, func(w io.Writer) { recordsText(w, list) })
	}
	return cmd
}

// listTimeout is how long a shell waits for the numbers that it could complete.
const listTimeout = 2 * time.Second

// completeRecords completes the number of a record, as far as the service tells.
func completeRecords(connect func() (*api.Client, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		client, err := connect()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), listTimeout)
		defer cancel()
		list, err := client.Promotions(ctx, "", 0)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := make([]string, len(list))
		for i, p := range list {
			names[i] = cobra.CompletionWithDesc(strconv.FormatInt(p.ID, 10), p.State+", into "+p.Target+", "+p.StartedAt.Format(time.RFC3339))
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
