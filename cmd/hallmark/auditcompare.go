package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// comparing is what a log is held against besides itself.
type comparing struct {
	config       *string
	ledger       *bool
	repositories *[]string
	instance     *string
	acceptLogs   *[]string
	unlogged     *string
	keyFiles     *[]string
}

func addComparing(cmd *cobra.Command, config *string) *comparing {
	c := &comparing{
		config:       config,
		ledger:       cmd.Flags().Bool("ledger", false, "compare with the ledger of the configuration, too; the service may be running"),
		repositories: cmd.Flags().StringSlice("repositories", nil, "compare with the signatures that stand in these repositories, too; implies --ledger"),
		instance:     cmd.Flags().String("instance", "", "Artifactory instance of the repositories, when the configuration has several"),
		acceptLogs:   cmd.Flags().StringSlice("accept-log", nil, "name of a log that is verified elsewhere: what the ledger has of it is told, and no alarm"),
		unlogged:     cmd.Flags().String("accept-unlogged", "", "the set (sha256:…) of signatures from without a log that somebody has looked at, as the alarm names it"),
		keyFiles:     cmd.Flags().StringArray("key", nil, "public key in PEM whose signatures are looked for in repositories, too; may be repeated"),
	}
	_ = cmd.RegisterFlagCompletionFunc("accept-log", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("accept-unlogged", cobra.NoFileCompletions)
	_ = cmd.MarkFlagFilename("key", "pem", "pub")
	_ = cmd.RegisterFlagCompletionFunc("repositories", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("instance", complete(c.config, (*Config).instanceNames))
	return c
}

// compared is a comparison under way; nil when none was asked for.
type compared struct {
	*comparing
	config *Config
	view   *ledger.View
	books  *account.Books
	client *artifactory.Client
}

func (c *comparing) open(ctx context.Context, logs []audit.Key) (_ *compared, err error) {
	if !*c.ledger && len(*c.repositories) == 0 {
		return nil, nil
	}
	config, err := readConfig(*c.config)
	if err != nil {
		return nil, err
	}
	books, err := c.known(config, logs)
	if err != nil {
		return nil, err
	}
	x := &compared{comparing: c, config: config}
	if x.view, err = ledger.OpenView(ctx, config.Database.Value); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			x.close()
		}
	}()
	if len(*c.repositories) > 0 {
		if x.client, err = config.client(*c.instance); err != nil {
			return nil, err
		}
	}
	x.books = account.New(x.view, books)
	return x, nil
}

// client reaches the instance of that name, or the only one.
func (c *Config) client(instance string) (*artifactory.Client, error) {
	all := values(c.Artifactory)
	i := slices.IndexFunc(all, func(a artifactory.Config) bool { return a.Name == instance })
	switch {
	case i < 0 && instance != "":
		return nil, fmt.Errorf("no instance %q in the configuration; it has: %s", instance, strings.Join(c.instanceNames(), ", "))
	case i < 0 && len(all) != 1:
		return nil, fmt.Errorf("the configuration has %d Artifactory instances: name one with --instance", len(all))
	}
	return artifactory.New(all[max(i, 0)], artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
}

func (x *compared) close() {
	if x == nil {
		return
	}
	_ = x.view.Close()
	if x.client != nil {
		x.client.Close()
	}
}

const (
	publishTries = 6
	publishPause = 500 * time.Millisecond
)

// head reads the log's head, and what the ledger remembers of it. The log publishes its checkpoint about once a second; the
// ledger remembers every one.
func (x *compared) head(ctx context.Context, r *audit.Reader, keys []audit.Key, how *audit.Replay) (text []byte, err error) {
	text, err = r.Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s: %w", r, err)
	}
	if how.Head, err = audit.ParseHead(text, keys); err != nil || x == nil {
		return text, err
	}
	size, root, err := x.view.LastCheckpoint(ctx, how.Head.Origin)
	if err != nil {
		return text, err
	}
	if size > 0 {
		how.Kept = append(how.Kept, audit.Kept{Where: "the ledger", Size: size, Root: root})
	}
	for range publishTries {
		if how.Head.Size >= size {
			break
		}
		select {
		case <-ctx.Done():
			return text, ctx.Err()
		case <-time.After(publishPause):
		}
		if how.Head, err = r.Head(ctx, keys); err != nil {
			return text, err
		}
	}
	return how.Head.Text, nil
}

// follow has the comparison follow the replay of a log; done takes what it came to.
func (x *compared) follow(r *audit.Reader, how *audit.Replay) (done func(*audit.Report)) {
	if x == nil {
		return func(*audit.Report) {}
	}
	log := x.books.Log(r, how.Head)
	how.Leaf = func(i uint64, l audit.Leaf) error { log.Leaf(i, l); return nil }
	how.Closed = func(c audit.Closed) error { log.Closed(c); return nil }
	return log.Done
}

// finish compares what is left to compare once all logs were replayed.
func (x *compared) finish(ctx context.Context, until time.Time, bar *progress) error {
	bar.draw("the ledger")
	if err := x.books.Ledger(ctx, until); err != nil || len(*x.repositories) == 0 {
		return err
	}
	x.books.Keys(x.learn(ctx))
	var errs []error
	for _, name := range *x.repositories {
		errs = append(errs, x.books.Repository(ctx, x.client, name, func(files int) { bar.draw(fmt.Sprintf("%s: %d files", name, files)) }))
	}
	return errors.Join(errs...)
}
