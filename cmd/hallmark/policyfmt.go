package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// policyFmt is the answer of hallmark policy fmt.
type policyFmt struct {
	OK       bool        `json:"ok"`
	Files    []formatted `json:"files"`
	Problems []problem   `json:"problems"` // of files that were left as they are
}

// formatted is one file. Changed says that it was not in its form; without --check it is now.
type formatted struct {
	File    string `json:"file"`
	Changed bool   `json:"changed"`
}

func newPolicyFmt() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fmt [FILE...]",
		Short: "Bring policy files into one form",
		Long: `Bring policy files into one form: keys in the order of the reference, two spaces a level.
Comments stay, blank lines within a policy do not, and the meaning never changes: a file for
which that cannot be had is left as it is, with the reason. Without files, all of the policy
directory. Each file is replaced at once or not at all.

Exit status: 0 all well, 1 a file has mistakes or, with --check, is not in its form, 2 could
not do it.`,
		Example: `  hallmark policy fmt --config hallmark.yaml
  hallmark policy fmt policies/release.yaml policies/gate.yaml
  hallmark policy fmt --check --config hallmark.yaml -o json`,
		ValidArgsFunction: cobra.FixedCompletions([]string{"yaml"}, cobra.ShellCompDirectiveFilterFileExt),
	}
	configure, output := policyFlags(cmd), outputFlag(cmd)
	check := cmd.Flags().Bool("check", false, "change nothing; exit with 1 when a file is not in its form")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if len(files) == 0 {
			c, err := configure()
			if err != nil {
				return err
			}
			if files, err = policy.Files(c.Policies.Value.Dir); err != nil {
				return err
			}
		}
		answer := policyFmt{OK: true, Files: []formatted{}, Problems: []problem{}}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("reading a policy file: %w", err)
			}
			out, err := policy.Format(file, text)
			if err != nil {
				answer.OK, answer.Problems = false, append(answer.Problems, problems(err)...)
				continue
			}
			changed := !bytes.Equal(out, text)
			answer.Files = append(answer.Files, formatted{file, changed})
			switch {
			case changed && *check:
				answer.OK = false
			case changed:
				if err := replaceFile(file, out); err != nil {
					return fmt.Errorf("writing %s: %w", file, err)
				}
			}
		}
		if err := show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { answer.text(w, *check) }); err != nil {
			return err
		}
		if !answer.OK {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

// text names the files that are not, or were not, in their form.
func (a policyFmt) text(w io.Writer, check bool) {
	word := "formatted"
	if check {
		word = "NOT IN ITS FORM"
	}
	for _, f := range a.Files {
		if f.Changed {
			fmt.Fprintf(w, "%s  %s\n", word, f.File)
		}
	}
	for _, p := range a.Problems {
		fmt.Fprintf(w, "REFUSED  %s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	}
}
