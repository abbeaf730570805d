// Command bench measures the product against what one would otherwise do, side by side in one run: a bare loop of the
// same calls without decision, ledger or queue, and a shell script with curl and cosign. It prints Markdown tables for
// docs/performance.md. Figures depend on the machine; goals are stated next to them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// parts are the measurements, in the order of the report.
var parts = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"files", measureFiles},
	{"trust", measureTrust},
	{"large", measureLarge},
	{"burst", measureBurst},
	{"sweep", measureSweep},
	{"build", measureBuild},
	{"images", measureImages},
	{"gate", measureGate},
	{"replay", measureReplay},
}

type bench struct {
	bin     string // directory of hallmark and cosign
	dir     string // scratch
	files   int
	scripts int
	size    int64
	events  int
	items   int
	built   int
	images  int
	judged  int

	decisions int
}

func newRoot() *cobra.Command {
	b := &bench{}
	cmd := &cobra.Command{
		Use:          "bench [part...]",
		Short:        "Measure: files, trust, large, burst, sweep, build, images, gate, replay (default: all)",
		SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().StringVar(&b.bin, "bin", "bin", "directory with the hallmark and cosign binaries")
	cmd.Flags().IntVar(&b.files, "files", 2000, "files of 10 KiB to sign")
	cmd.Flags().IntVar(&b.scripts, "script-files", 60, "files that the shell script signs")
	cmd.Flags().Int64Var(&b.size, "large", 1<<30, "bytes of a large artifact")
	cmd.Flags().IntVar(&b.events, "events", 10000, "webhooks of a burst")
	cmd.Flags().IntVar(&b.items, "items", 200_000, "files in a repository that is swept")
	cmd.Flags().IntVar(&b.built, "built", 5000, "artifacts of a build that is promoted")
	cmd.Flags().IntVar(&b.images, "images", 20, "images of 20 platforms that are pushed and promoted")
	cmd.Flags().IntVar(&b.judged, "judged", 1000, "files that the gate judges, one by one and as a build")
	cmd.Flags().IntVar(&b.decisions, "decisions", 1_000_000, "decisions in a ledger that is replayed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if b.bin, err = filepath.Abs(b.bin); err != nil {
			return err
		}
		if b.dir, err = os.MkdirTemp("", "hallmark-bench-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(b.dir) }()
		fmt.Printf("%d cores, %s, %s\n", runtime.NumCPU(), runtime.Version(), strings.TrimSpace(cpuModel()))
		for _, p := range parts {
			if len(args) > 0 && !slices.Contains(args, p.name) {
				continue
			}
			if err := p.run(cmd.Context(), b); err != nil {
				return fmt.Errorf("measuring %s: %w", p.name, err)
			}
		}
		return nil
	}
	return cmd
}

// world starts a sandbox for one measurement.
func (b *bench) world(ctx context.Context, name string, c sandbox.Config) (*sandbox.Sandbox, error) {
	c.Dir, c.Hallmark = filepath.Join(b.dir, name), filepath.Join(b.bin, "hallmark")
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	return sandbox.Start(ctx, c)
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(name, "\t :")
		}
	}
	return ""
}
