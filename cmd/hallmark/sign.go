package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

func newSign() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign REPO/PATH",
		Short: "Ask the service to look at an artifact again",
		Long: `Ask the service to look at an artifact as if it had just been uploaded. Policy decides as
always; this gives no right to a signature. The answer comes at once, the work follows:
see it with hallmark status.

An image is named as REPO/NAME:TAG or REPO/NAME@sha256:DIGEST.`,
		Example: `  hallmark sign libs-staging-local/app/1.4.2/app.tgz
  hallmark sign oci-staging-local/team/app:1.0`,
		Args: cobra.ExactArgs(1),
	}
	connect, instance := clientFlags(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		if err := client.Sign(cmd.Context(), api.SignRequest{Instance: *instance, Artifact: args[0]}); err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, api.SignAnswer{Accepted: true}, func(w io.Writer) {
			fmt.Fprintf(w, "accepted  %s; follow it with: hallmark status %s\n", args[0], args[0])
		})
	}
	return cmd
}
