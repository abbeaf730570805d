package main

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/webhook"
)

func newPolicyTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Hold the policies to the cases in their *_test.yaml files",
		Long: `Hold the policies of a directory to the cases that lie beside them in files named *_test.yaml:
what comes in, and what must come of it. No Artifactory and no HSM is asked.

Which keys there are is read from the configuration, if there is one, else from keys: and noMatch:
at the top of a file of cases. --config "" leaves a configuration out.

A signing policy that decides no case is listed as untested, and so is a line of a gate that
refuses none.

Exit status: 0 every case came as expected, 1 one did not, 2 could not test.`,
		Example: `  hallmark policy test
  hallmark policy test policies --run images
  hallmark policy test policies --config hallmark.yaml -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	language, output := languageFlags(cmd), outputFlag(cmd)
	only := cmd.Flags().String("run", "", "regular expression: only cases with such a name")
	cmd.ValidArgsFunction = dirArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, dir, err := language()
		if err != nil {
			return err
		}
		if len(args) > 0 {
			dir = args[0]
		}
		var match *regexp.Regexp
		if *only != "" {
			if match, err = regexp.Compile(*only); err != nil {
				return fmt.Errorf("reading --run: %w", err)
			}
		}
		t, err := trial.Read(dir, l)
		if err != nil {
			return err
		}
		report := t.Run(match)
		switch {
		case len(t.Cases) == 0:
			return fmt.Errorf("%s holds no case; write one into a file named *%s, see hallmark policy test --help and docs/policies.md", dir, trial.Suffix)
		case len(report.Cases) == 0:
			return fmt.Errorf("none of the %d cases in %s has a name that matches --run %q", len(t.Cases), dir, *only)
		}
		if err := show(cmd.OutOrStdout(), *output, report, report.Text); err != nil {
			return err
		}
		if !report.OK {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func newPolicyDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD_DIR NEW_DIR",
		Short: "Say what a change of policies would change",
		Long: `Compare two policy directories: which policies were added, removed and changed, and what would come
otherwise of the cases that lie beside either of them, and of every path of an inventory.

An inventory has a line repository/path for everything that may come. Each is taken as an artifact to
be signed by name, and as the target of a promotion with every set of signatures that one of the two
sides would just refuse; so an opening of a gate is found even where no case looks for it. The
same is done for the targets of cases.

Exit status: 0 nothing that a gate refused would be allowed, or --allow-newly-allowed says that this
is meant; 1 something would, or there are too many keys to tell; 2 could not compare.`,
		Example: `  hallmark policy diff /srv/policies policies
  hallmark policy diff /srv/policies policies --inventory paths.txt -o json
  hallmark policy diff /srv/policies policies --allow-newly-allowed`,
		Args: cobra.ExactArgs(2),
	}
	language, output := languageFlags(cmd), outputFlag(cmd)
	inventory := cmd.Flags().String("inventory", "", "file with a repository/path a line; - for standard input")
	_ = cmd.MarkFlagFilename("inventory")
	meant := cmd.Flags().Bool("allow-newly-allowed", false, "exit with 0 although a gate would allow what it refused")
	cmd.ValidArgsFunction = dirArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		l, _, err := language()
		if err != nil {
			return err
		}
		before, after, err := trial.ReadPair(args[0], args[1], l)
		if err != nil {
			return err
		}
		comparison := trial.Compare(before, after)
		if *inventory != "" {
			if err := withFile(cmd, *inventory, "the inventory", func(list io.Reader) error { return comparison.Inventory(*inventory, list) }); err != nil {
				return err
			}
		}
		diff := comparison.Diff()
		if err := show(cmd.OutOrStdout(), *output, diff, diff.Text); err != nil {
			return err
		}
		if (diff.NewlyAllowed > 0 || diff.Incomplete) && !*meant {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

// dirArgs completes up to n names of directories.
func dirArgs(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
}

// languageFlags adds --config, and returns what tells which words cases may use, and the policy directory. Without a
// configuration, which is so when the flag was not given and the file is not there, files of cases bring their own.
func languageFlags(cmd *cobra.Command) func() (trial.Language, string, error) {
	file := configFlag(cmd)
	return func() (trial.Language, string, error) {
		_, err := os.Stat(*file)
		named := cmd.Flags().Changed("config") || os.Getenv("HALLMARK_CONFIG") != ""
		if *file == "" || (!named && os.IsNotExist(err)) {
			v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds(), Events: webhook.Events()}
			return trial.Language{Vocabulary: v}, "policies", nil
		}
		c, err := loadConfig(*file)
		if err != nil {
			return trial.Language{}, "", err
		}
		l := trial.Language{Configured: true, Vocabulary: c.vocabulary(), NoMatch: c.Policies.Value.NoMatch}
		return l, c.Policies.Value.Dir, nil
	}
}
