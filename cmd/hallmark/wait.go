package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/gate"
)

// waitFlag adds --wait.
func waitFlag(cmd *cobra.Command) *time.Duration {
	return cmd.Flags().Duration("wait", 0, "how long to wait for a signature that is under way, at most "+gate.MaxWait.String())
}

// checkWait refuses a time that the service would refuse, and gives the answer as much time more.
func checkWait(cmd *cobra.Command, wait time.Duration) error {
	if wait < 0 || wait > gate.MaxWait {
		return fmt.Errorf("--wait is %s; it is from 0s to %s", wait, gate.MaxWait)
	}
	timeout := cmd.Flags().Lookup("timeout")
	if most, err := time.ParseDuration(timeout.Value.String()); err == nil && wait > 0 && !timeout.Changed {
		return timeout.Value.Set((most + wait).String())
	}
	return nil
}

// waitText is the time as requests have it.
func waitText(wait time.Duration) string {
	if wait == 0 {
		return ""
	}
	return wait.String()
}

// waiting tells, when the answer takes its time, what is waited for.
func waiting(w io.Writer, wait time.Duration) (done func()) {
	if wait == 0 {
		return func() {}
	}
	told := time.AfterFunc(time.Second, func() {
		fmt.Fprintf(w, "waiting up to %s for signatures that are under way\n", wait)
	})
	return func() { told.Stop() }
}
