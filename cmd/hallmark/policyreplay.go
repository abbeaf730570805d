package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// sinceHelp is how --since is explained.
const sinceHelp = "only decisions from then on: a moment (2026-11-22T15:04:05Z), a date, or how long ago (30d); default: all"

func newPolicyReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay --candidate DIR",
		Short: "Say how past decisions would have come out with other policies",
		Long: `Put policies to every question that was decided before: the service hands out the decisions in its
ledger with the facts they were made with, and this tells what would come otherwise, grouped by rule
and reasons. It compares with the policies in force (--in-force, by default those that the
configuration names), or where there are none, with what was decided. With --inventory or --repository
everything that stands in a repository is compared, too, as hallmark policy diff does.

A decision whose facts do not tell what the candidate asks is counted, with the fact that is missing;
nothing is guessed. Decisions from before facts were kept are counted the same way.

With --from the decisions are read from a file that hallmark policy export wrote, and no service is
asked.

Exit status: 0 nothing that a gate refused would be allowed, or --allow-newly-allowed says that this
is meant; 1 something would, or there are too many keys to tell; 2 could not replay.`,
		Example: `  hallmark policy replay --candidate policies --since 30d
  hallmark policy replay --candidate policies --in-force ../main/policies --from decisions.ndjson -o json
  hallmark policy replay --candidate policies --since 2026-11-01 --repository libs-release-local`,
		Args: cobra.NoArgs,
	}
	language, output := languageFlags(cmd), outputFlag(cmd)
	connect, instance := clientFlags(cmd)
	candidate := cmd.Flags().String("candidate", "", "directory of the policies to try")
	_ = cmd.MarkFlagRequired("candidate")
	inForce := cmd.Flags().String("in-force", "", "directory of the policies to compare with (default: those of the configuration, if there is one)")
	from := cmd.Flags().String("from", "", "file with decisions instead of a service; - for standard input")
	since := cmd.Flags().String("since", "", sinceHelp)
	inventory := cmd.Flags().String("inventory", "", "file with a repository/path a line to compare, too; - for standard input")
	repository := cmd.Flags().String("repository", "", "repository to compare, too; the service lists it, for a token with the role sweep")
	meant := cmd.Flags().Bool("allow-newly-allowed", false, "exit with 0 although a gate would allow what it refused")
	_ = cmd.MarkFlagDirname("candidate")
	_ = cmd.MarkFlagDirname("in-force")
	_ = cmd.MarkFlagFilename("from")
	_ = cmd.MarkFlagFilename("inventory")
	_ = cmd.RegisterFlagCompletionFunc("repository", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("since", cobra.FixedCompletions([]string{"1d", "7d", "30d", "90d"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.MarkFlagsMutuallyExclusive("inventory", "repository")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		after, err := sinceTime(*since)
		if err != nil {
			return err
		}
		l, configured, err := language()
		if err != nil {
			return err
		}
		if *inForce == "" && l.Configured {
			*inForce = configured
		}
		replay, err := newReplay(*inForce, *candidate, l)
		if err != nil {
			return err
		}
		var client *api.Client
		if *from == "" || *repository != "" {
			if client, err = connect(); err != nil {
				return err
			}
		}
		told := &replayProgress{progress: newProgress(cmd.ErrOrStderr())}
		defer told.clear()
		each := func(p policy.Past) error {
			if !p.At.After(after) {
				return nil
			}
			told.one(p)
			return replay.Add(p)
		}
		if *from != "" {
			err = readFrom(cmd, *from, each)
		} else {
			err = client.Decided(cmd.Context(), after, told.counted(), each)
		}
		if err != nil {
			return err
		}
		switch {
		case *inventory != "":
			err = withFile(cmd, *inventory, "the inventory", func(list io.Reader) error { return replay.Inventory(*inventory, list) })
		case *repository != "":
			err = replayRepository(cmd, client, *instance, *repository, replay)
		}
		if err != nil {
			return err
		}
		told.clear()
		result := replay.Result()
		if err := show(cmd.OutOrStdout(), *output, result, result.Text); err != nil {
			return err
		}
		if (result.NewlyAllowed > 0 || result.Incomplete) && !*meant {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func newPolicyExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write past decisions, one JSON a line, for hallmark policy replay --from",
		Long: `Write every decision in the service's ledger to standard output, oldest first, one JSON object a line,
with the facts it was made with. A pipeline without a token for the service can replay them:
hallmark policy replay --from FILE.

Names of users, groups and properties are among the facts: keep the file as you keep logs.`,
		Example: `  hallmark policy export --since 30d > decisions.ndjson
  hallmark policy replay --candidate policies --from decisions.ndjson`,
		Args: cobra.NoArgs,
	}
	connect, _ := clientFlags(cmd)
	since := cmd.Flags().String("since", "", sinceHelp)
	_ = cmd.RegisterFlagCompletionFunc("since", cobra.FixedCompletions([]string{"1d", "7d", "30d", "90d"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		after, err := sinceTime(*since)
		if err != nil {
			return err
		}
		client, err := connect()
		if err != nil {
			return err
		}
		told := &replayProgress{progress: newProgress(cmd.ErrOrStderr())}
		defer told.clear()
		out := bufio.NewWriter(cmd.OutOrStdout())
		lines := json.NewEncoder(out)
		lines.SetEscapeHTML(false)
		end := policy.PastEnd{Next: after}
		err = client.Decided(cmd.Context(), after, told.counted(), func(p policy.Past) error {
			told.one(p)
			end.Next = p.At
			return lines.Encode(policy.PastLine{Decision: &p})
		})
		if err != nil {
			return errors.Join(err, out.Flush()) // without an end nobody takes it for whole
		}
		return errors.Join(lines.Encode(policy.PastLine{End: &end}), out.Flush())
	}
	return cmd
}

// sinceTime is the moment after which decisions count; the moment itself is among them.
func sinceTime(text string) (time.Time, error) {
	t, err := pastTime("--since", text, time.Now(), startOfDay)
	if err != nil || t.IsZero() {
		return t, err
	}
	return t.Add(-time.Microsecond), nil
}

// newReplay reads the policies. A directory that is both sides is one.
func newReplay(inForce, candidate string, l trial.Language) (*trial.Replay, error) {
	if inForce == "" || filepath.Clean(inForce) == filepath.Clean(candidate) {
		t, err := trial.Read(candidate, l)
		if err != nil {
			return nil, err
		}
		return trial.NewReplay(nil, t), nil
	}
	before, after, err := trial.ReadPair(inForce, candidate, l)
	if err != nil {
		return nil, err
	}
	return trial.NewReplay(before, after), nil
}

func readFrom(cmd *cobra.Command, name string, each func(policy.Past) error) error {
	return withFile(cmd, name, "decisions", func(r io.Reader) error {
		_, err := trial.ReadPast(name, r, each)
		return err
	})
}

// withFile opens what a flag names, - for standard input.
func withFile(cmd *cobra.Command, name, what string, read func(io.Reader) error) error {
	if name == "-" {
		return read(cmd.InOrStdin())
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	defer func() { _ = file.Close() }()
	return read(file)
}

// replayRepository has the service list a repository.
func replayRepository(cmd *cobra.Command, client *api.Client, instance, repo string, replay *trial.Replay) error {
	lines, write := io.Pipe()
	go func() {
		write.CloseWithError(client.Inventory(cmd.Context(), instance, repo, func(path string) error {
			_, err := fmt.Fprintln(write, path)
			return err
		}))
	}()
	defer func() { _ = lines.Close() }()
	return replay.Inventory(repo, lines)
}

// replayProgress is the bar of a replay.
type replayProgress struct {
	*progress
	of, done int64
	drawn    time.Time
}

// counted is what is told how many decisions there are; nil where nobody would see it, because counting takes its time.
func (p *replayProgress) counted() func(int64) {
	if p.w == nil {
		return nil
	}
	return func(n int64) { p.of = n }
}

func (p *replayProgress) one(d policy.Past) {
	p.done++
	if p.w == nil || p.done%256 != 0 || time.Since(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = time.Now()
	p.draw(p.line(d))
}

func (p *replayProgress) line(d policy.Past) string {
	if p.of <= 0 {
		return fmt.Sprintf("%d decisions, up to %s", p.done, d.At.Format(time.DateOnly))
	}
	return fmt.Sprintf("%s %d of %d decisions, up to %s", bar(float64(p.done)/float64(p.of)), p.done, max(p.of, p.done), d.At.Format(time.DateOnly))
}
