package ledgertest_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// However many tests run at once, the server has connections for two replicas, a killed one and a ledger of each.
func TestConnectionsForEveryParallelTest(t *testing.T) {
	t.Parallel()
	parallel, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	require.NoError(t, err)
	l := ledgertest.Open(t, ledger.Postgres)
	var shown string
	require.NoError(t, l.Reader().QueryRowContext(t.Context(), "SHOW max_connections").Scan(&shown))
	allowed, err := strconv.Atoi(shown)
	require.NoError(t, err)
	require.GreaterOrEqual(t, allowed, parallel*(4*ledger.PostgresConnections+1))
}

// One ledger opens no more than it says, and the operators' guide says the same.
func TestOneLedgersConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.Postgres)
	require.Same(t, l.SQL(), l.Reader(), "one pool")
	require.Equal(t, ledger.PostgresConnections, l.SQL().Stats().MaxOpenConnections)
	guide, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "operators.md"))
	require.NoError(t, err)
	require.Contains(t, string(guide), fmt.Sprintf("up to %d connections", ledger.PostgresConnections))
}
