// Command sandbox shows the product on a laptop: a stand-in Artifactory, a SoftHSM token and the hallmark binary that
// lies beside this one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "sandbox",
		Short:         "Try Hallmark on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newDemo())
	return root
}

// besideMe is the path of another program in this one's directory.
func besideMe(name string) (string, error) {
	me, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(me), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding %s: %w (build both with: make build)", name, err)
	}
	return path, nil
}
