package ledgertest

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // names the driver "pgx"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// server is one PostgreSQL server for all tests of a process.
type server struct {
	once sync.Once
	err  error
	port int
	next atomic.Int64
	hold io.Closer // the end of the pipe that keeps the server alive
}

// shared is the one server of this test process, as long as the process.
var shared server

func postgres(tb testing.TB) *server {
	tb.Helper()
	shared.once.Do(func() { shared.err = shared.start() })
	require.NoError(tb, shared.err)
	return &shared
}

// database makes an empty one and drops it when the test ends.
func (s *server) database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.next.Add(1))
	s.exec(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() { s.exec(tb, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.url(name)
}

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://hallmark@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

func (s *server) exec(tb testing.TB, query string) {
	tb.Helper()
	db, err := sql.Open("pgx", s.url("postgres"))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, db.Close()) }()
	_, err = db.ExecContext(context.Background(), query)
	require.NoError(tb, err)
}

// start runs the server so that it ends with this process, however that ends.
func (s *server) start() error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hallmark-postgres-")
	if err != nil {
		return err
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "hallmark", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8") // #nosec G204 -- found above
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s.run(bin, dir, data, as)
}

func (s *server) run(bin, dir, data string, as *syscall.SysProcAttr) error {
	// The shell waits on a pipe whose other end only this process holds; when it breaks, it stops the server and cleans up.
	const script = `"$1" -D "$2" -h 127.0.0.1 -p "$3" -k "" -c max_connections="$5" >"$4/log" 2>&1 & pid=$!
		cat >/dev/null; kill -INT $pid; wait $pid; rm -rf "$4"`
	cmd := exec.Command("sh", "-c", script, "sh", filepath.Join(bin, "postgres"), data, strconv.Itoa(s.port), dir, strconv.Itoa(maxConnections())) // #nosec G204 -- found above
	cmd.Dir, cmd.SysProcAttr = dir, as
	as.Setpgid = true // an interrupt from the terminal must not take the server from under a test that cleans up
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.hold = hold
	if err := cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		db, err := sql.Open("pgx", s.url("postgres"))
		if err != nil {
			return err
		}
		err = errors.Join(db.PingContext(context.Background()), db.Close())
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("PostgreSQL does not answer: %w: %s", err, log)
		}
		time.Sleep(20 * time.Millisecond) // the server gives no sign when it is ready
	}
}

// ledgersPerTest is how many ledgers one test has open at once at most: two replicas, one whose process was just killed
// and whose connections the server still has to notice, and one of the test's own.
const ledgersPerTest = 4

// maxConnections is enough for every test that may run at once, each with its ledgers' pools used up and a connection
// that makes or drops a database. The floor is for tests that keep a ledger while their subtests run: those are not
// counted among the ones that run.
func maxConnections() int {
	return max(200, parallel()*(ledgersPerTest*ledger.PostgresConnections+1))
}

// parallel is how many tests of this process run at once: the flag -parallel, which is the number of processors when it
// is not given.
func parallel() int {
	if f := flag.Lookup("test.parallel"); f != nil {
		if n, err := strconv.Atoi(f.Value.String()); err == nil && n > 0 {
			return n
		}
	}
	return runtime.GOMAXPROCS(0)
}

// binaries finds the newest installed server.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errors.New("tests need a PostgreSQL server: apt-get install postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	return filepath.Dir(found[0]), nil
}

// unprivileged gives the directory to a user who may run PostgreSQL, which refuses root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("tests need the user that PostgreSQL's package makes: apt-get install postgresql: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}
