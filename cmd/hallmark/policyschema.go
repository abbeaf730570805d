package main

import (
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func newPolicySchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files",
		Long: `Print the JSON Schema (draft 2020-12) of policy files, with which editors complete keys and mark
mistakes while one writes. It knows the form of policies; whether a key or a format exists,
and what a pattern means, is for hallmark policy check.

Editors with the YAML language server look for this line at the top of a file:
  # yaml-language-server: $schema=schema.json`,
		Example: `  hallmark policy schema > policies/schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(policy.Schema())
			return err
		},
	}
}
