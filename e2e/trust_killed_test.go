package e2e

import (
	bigendian "encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// A service that is killed in the middle of a burst accounts for every use of the key, whatever it was doing: each intent has
// an outcome, each signature in ledger and repository its entry. Whoever takes an entry out of the log is found out, and the
// service does not go on with an older log.
func TestLogSurvivesKills(t *testing.T) {
	t.Parallel()
	const files = 24
	c := sandbox.Config{Trust: true, TrustLevel: 3, Workers: 4, Timing: standin.WebhookTiming{Pause: time.Second}}
	shim := counted(t, &c)
	shim.Delay(t, "C_Sign", 10*time.Millisecond, hsmtest.Forever) // so that a kill finds work half done
	s := start(t, c)
	root := rootOf(exported(t, s))
	paths := make([]string, files)
	for i := range paths {
		paths[i] = fmt.Sprintf("app/burst/%02d.bin", i)
		upload(t, s, paths[i], "content of "+paths[i])
	}
	signed := func() (n int) {
		for _, path := range paths {
			if state(s, path) == "signed" {
				n++
			}
		}
		return n
	}
	old := filepath.Join(t.TempDir(), "old")
	for i, at := range []int{3, 9, 15} {
		eventually(t, func() string { return fmt.Sprintf("%d of %d signed\n%s", signed(), at, serviceLog(t, s)) }, func() bool { return signed() >= at })
		require.NoError(t, s.Kill())
		if i == 0 {
			require.NoError(t, os.CopyFS(old, os.DirFS(s.Path("log"))))
		}
		require.NoError(t, s.Serve(t.Context()))
	}
	awaitSigned(t, s, paths...)
	require.NoError(t, s.Terminate())

	kept := filepath.Join(t.TempDir(), "kept.checkpoint")
	report := audited(t, s, root, 0, "--repositories", sandbox.Staging, "--grace", "1ms", "--checkpoint", kept, "--update")
	require.Equal(t, []int{files, 0}, []int{report.Sealed, report.Open})

	attacked := filepath.Join(t.TempDir(), "attacked")
	require.NoError(t, os.CopyFS(attacked, os.DirFS(s.Path("log"))))
	takeOut(t, attacked, 7)
	report = audited(t, s, root, 1, "--log", attacked)
	require.Contains(t, report.codes(), "log-entry-removed")
	require.EqualValues(t, 7, *report.Findings[0].Index)

	whole := s.Path("log") + ".whole"
	require.NoError(t, os.Rename(s.Path("log"), whole))
	require.NoError(t, os.CopyFS(s.Path("log"), os.DirFS(old)))
	report = audited(t, s, root, 1, "--checkpoint", kept)
	require.Contains(t, report.codes(), "log-rolled-back")
	require.ErrorContains(t, s.Serve(t.Context()), "the log is older than its last checkpoint")
	require.NoError(t, os.RemoveAll(s.Path("log")))
	require.NoError(t, os.Rename(whole, s.Path("log")))
	require.NoError(t, s.Serve(t.Context()))
	upload(t, s, "app/after.bin", "after")
	awaitSigned(t, s, "app/after.bin")
}

// takeOut removes an entry from the newest file of a log's first entries.
func takeOut(t *testing.T, dir string, index int) {
	t.Helper()
	bundle, most := filepath.Join(dir, "tile", "entries", "000"), 0
	parts, err := filepath.Glob(bundle + ".p/*")
	require.NoError(t, err)
	if _, err := os.Stat(bundle); err != nil {
		for _, p := range parts {
			if n, err := strconv.Atoi(filepath.Base(p)); err == nil && n > most {
				bundle, most = p, n
			}
		}
	}
	content, err := os.ReadFile(bundle)
	require.NoError(t, err)
	at := 0
	length := func() int { return 2 + int(bigendian.BigEndian.Uint16(content[at:])) } // of an entry with the two bytes that tell it
	for range index {
		at += length()
	}
	require.NoError(t, os.WriteFile(bundle, append(content[:at:at], content[at+length():]...), 0o600))
}
