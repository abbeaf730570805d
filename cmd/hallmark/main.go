// Command hallmark signs what leaves an Artifactory staging repository, and answers the promotion gate.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set at build time: -ldflags "-X main.version=…".
var version = "development"

// Exit codes. Scripts rely on them; gate check is documented to use all three.
const (
	exitOK        = 0
	exitRefused   = 1 // the command worked and its answer is no
	exitUndecided = 2 // the command could not do its work
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the process's exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var refused *refusedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &refused):
		return exitRefused
	default:
		return failed(cmd, err, stdout, stderr)
	}
}

// refusedError ends a command whose answer is no and has been printed already.
type refusedError struct{}

func (*refusedError) Error() string { return "refused" }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hallmark",
		Short: "Sign what leaves an Artifactory staging repository",
		Long: `Hallmark signs what leaves an Artifactory staging repository, with keys that never
leave an HSM, and answers the promotion gate.

  operators          serve, doctor, keys, ca, trust, webhook, sweep, backfill
  release managers   policy, gate, promote, status, why, sign
  security officers  audit
  everyone           verify, fetch

Exit status: 0 done, and the answer is yes; 1 done, and the answer is no; 2 not done.`,
		Example: `  hallmark doctor --config hallmark.yaml
  hallmark serve --config hallmark.yaml
  hallmark gate check libs-staging-local/app/1.4.2/app.tgz --target libs-release-local
  hallmark verify app.tgz --trust acme-trust`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionText(),
	}
	root.AddCommand(newServe(), newDoctor(), newKeys(), newCA(), newTrust(), newPolicy(), newGate(), newPromote(), newSign(), newStatus(), newWhy(), newSweep(), newBackfill(), newVerify(), newFetch(), newAudit(), newWebhook(), newCompletion(), newPluginSignature())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	return version + " " + info.GoVersion
}
