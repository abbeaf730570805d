package hsmtest

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

//go:embed testdata/shim.c
var shimSource []byte

// Forever as a number of times.
const Forever = -1

// Shim stands between a test and its token's module and fails on demand. What it is told holds from the next call on.
type Shim struct {
	orders, counts, gate string
}

// Shim builds a failing module round the token's own and makes the token use it. It needs gcc.
func (tok *Token) Shim(tb testing.TB) *Shim {
	tb.Helper()
	dir := tb.TempDir()
	s := &Shim{orders: filepath.Join(dir, "orders"), counts: filepath.Join(dir, "counts"), gate: filepath.Join(dir, "gate")}
	source, module := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so")
	require.NoError(tb, os.WriteFile(source, shimSource, 0o600))
	require.NoError(tb, os.WriteFile(s.orders, nil, 0o600))
	require.NoError(tb, os.WriteFile(s.counts, make([]byte, 68*8), 0o600))
	require.NoError(tb, syscall.Mkfifo(s.gate, 0o600))
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	define := func(name, value string) string { return fmt.Sprintf("-D%s=%q", name, value) }
	out, err := exec.CommandContext(ctx, "gcc", "-shared", "-fPIC", "-O1", "-w", "-std=gnu11", "-o", module,
		define("MODULE", tok.Module), define("ORDERS", s.orders), define("COUNTS", s.counts), define("GATE", s.gate),
		source, "-ldl", "-lpthread").CombinedOutput()
	require.NoError(tb, err, "gcc (apt-get install gcc): %s", out)
	tok.Module = module
	return s
}

// Fail makes a function, such as "C_Sign", return a CKR value that many times.
func (s *Shim) Fail(tb testing.TB, function string, ckr uint, times int) {
	tb.Helper()
	s.order(tb, function, ckr, 0, times)
}

// Delay makes a function slow that many times.
func (s *Shim) Delay(tb testing.TB, function string, d time.Duration, times int) {
	tb.Helper()
	s.order(tb, function, 0, d, times)
}

// Corrupt flips one bit in that many signatures.
func (s *Shim) Corrupt(tb testing.TB, times int) {
	tb.Helper()
	s.order(tb, "corrupt", 0, 0, times)
}

// Extractable makes every key read as extractable that many times.
func (s *Shim) Extractable(tb testing.TB, times int) {
	tb.Helper()
	s.order(tb, "extractable", 0, 0, times)
}

// Sessions makes the token report a limit of read/write sessions.
func (s *Shim) Sessions(tb testing.TB, limit uint) {
	tb.Helper()
	s.order(tb, "sessions", limit, 0, Forever)
}

// Flags makes the token report further token flags (CKF_...).
func (s *Shim) Flags(tb testing.TB, flags uint) {
	tb.Helper()
	s.order(tb, "flags", flags, 0, Forever)
}

// Hang makes that many signatures wait for Release, and does not let them end before it.
func (s *Shim) Hang(tb testing.TB, times int) {
	tb.Helper()
	s.order(tb, "hang", 0, 0, times)
}

// Release lets every hanging signature go on. It waits until there is one.
func (s *Shim) Release(tb testing.TB) {
	tb.Helper()
	f, err := os.OpenFile(s.gate, os.O_WRONLY, 0) // a FIFO: opens when somebody reads
	require.NoError(tb, err)
	require.NoError(tb, f.Close())
}

// Clear withdraws every order.
func (s *Shim) Clear(tb testing.TB) {
	tb.Helper()
	s.locked(tb, func(f *os.File) { require.NoError(tb, f.Truncate(0)) })
}

// Calls is how often a function has been called: C_Initialize, C_Finalize, C_OpenSession, C_Login, C_SignInit, C_Sign
// or C_GenerateKeyPair.
func (s *Shim) Calls(tb testing.TB, function string) int {
	tb.Helper()
	// The place of a function in CK_FUNCTION_LIST.
	place, ok := map[string]int{
		"C_Initialize": 0, "C_Finalize": 1, "C_OpenSession": 12, "C_Login": 18, "C_SignInit": 42, "C_Sign": 43, "C_GenerateKeyPair": 59,
	}[function]
	require.True(tb, ok, "%s is not counted", function)
	data, err := os.ReadFile(s.counts)
	require.NoError(tb, err)
	return int(binary.NativeEndian.Uint64(data[8*place:]))
}

// order adds a line.
func (s *Shim) order(tb testing.TB, what string, number uint, delay time.Duration, times int) {
	tb.Helper()
	s.locked(tb, func(f *os.File) {
		_, err := f.Seek(0, io.SeekEnd)
		require.NoError(tb, err)
		_, err = fmt.Fprintf(f, "%s %x %d %d\n", what, number, delay.Milliseconds(), times)
		require.NoError(tb, err)
	})
}

// locked opens the orders while the module does not work through them.
func (s *Shim) locked(tb testing.TB, f func(*os.File)) {
	tb.Helper()
	file, err := os.OpenFile(s.orders, os.O_RDWR, 0)
	require.NoError(tb, err)
	require.NoError(tb, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	f(file)
	require.NoError(tb, file.Close())
}
