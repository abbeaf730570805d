package main

import "github.com/spf13/cobra"

// pluginName is what jf calls us: the name of the directory below its plugins, and of the program in it.
const pluginName = "hallmark"

// newPluginSignature is the hidden command by which the JFrog CLI asks its plugins for a line in its help. It then runs
// "jf hallmark …" as "hallmark …", with the same arguments, streams and environment.
func newPluginSignature() *cobra.Command {
	return &cobra.Command{
		Use:    "hidden-plugin-signature",
		Short:  "Tell the JFrog CLI what this plugin is called",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return encode(cmd.OutOrStdout(), struct {
				Name  string `json:"name"`
				Usage string `json:"usage"`
			}{pluginName, cmd.Root().Short})
		},
	}
}
