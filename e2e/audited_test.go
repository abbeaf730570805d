package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// auditReport is what hallmark audit verify says of a log.
type auditReport struct {
	OK       bool
	Size     uint64
	Sealed   int
	Open     int
	Findings []struct {
		Code  string
		Index *uint64
	}
}

func (r auditReport) codes() (codes []string) {
	for _, f := range r.Findings {
		codes = append(codes, f.Code)
	}
	return codes
}

// audited has the world's log replayed by who has its trusted root, with the ledger beside it, and expects that exit status.
// The log is read where the configuration has it, unless further arguments name another place.
func audited(t *testing.T, s *sandbox.Sandbox, root string, code int, args ...string) (report auditReport) {
	t.Helper()
	r := hallmark(t, s, append([]string{"audit", "verify", "--config", s.Path("hallmark.yaml"), "--ledger", "--trusted-root", root, "-o", "json"}, args...)...)
	require.Equal(t, code, r.code, r.out+r.err)
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Equal(t, code == 0, report.OK)
	return report
}

// rootOf is the trusted root in an export of trust.
func rootOf(trust string) string { return filepath.Join(trust, "trusted_root.json") }
