package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Everything that a key has to do with is listed by its name: where it was opened, certified, meant to sign, what it signed,
// and how that ended. What another key did meanwhile is not.
func TestAuditListOfAKey(t *testing.T) {
	t.Parallel()
	a, b := sealtest.NewKey(t, "P-256", "release-2026"), sealtest.NewKey(t, "P-256", "dev-2026")
	var opened []hsm.Public
	for _, k := range []*sealtest.Key{a, b} {
		p, err := hsm.NewPublic(k.Name(), policy.LaneRelease, k.Public())
		require.NoError(t, err)
		opened = append(opened, p)
	}
	realm := notarytest.NewWith(t, notarytest.Config{
		Keys: opened, Still: true, Ledger: ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), Replica: "one"}),
	})
	realm.Seal(a, sealtest.Digests(t, "one"), "sigstore", "sigstore-key")
	given, other := realm.Begin(a, artifact.Digest{1}, "sigstore"), realm.Begin(b, artifact.Digest{1}, "raw")
	require.NoError(t, realm.Ledger.Abandon(t.Context(), given.Intent.ID, "the token went away"))
	require.NoError(t, realm.Ledger.Abandon(t.Context(), other.Intent.ID, "the token went away"))
	realm.Notary.Ended(t.Context(), given.Use)
	realm.Notary.Ended(t.Context(), other.Use)
	realm.Seal(b, sealtest.Digests(t, "two"), "sigstore")
	realm.Seal(a, sealtest.Digests(t, "three"), "raw")
	realm.Close()

	root := filepath.Join(t.TempDir(), "trusted_root.json")
	require.NoError(t, os.WriteFile(root, realm.TrustedRoot(), 0o600))
	var out string
	list := func(title string, args ...string) {
		t.Helper()
		got := command(t, append([]string{"audit", "list", "--log", realm.Dir, "--trusted-root", root}, args...)...)
		require.Equal(t, exitOK, got.code, got.err)
		out += title + "\n" + got.out + "\n"
	}
	list("release-2026", "--key", "release-2026")
	list("dev-2026, certificates and outcomes", "--key", "dev-2026", "--kind", "certificate")
	list("", "--key", "dev-2026", "--kind", "outcome")
	list("the last signature of dev-2026", "--key", "dev-2026", "--kind", "signature", "--last", "1")
	list("by its public key", "--key", "sha256:"+opened[1].SPKI.String(), "--last", "3")
	list("a stranger", "--key", "stranger")
	out = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`).ReplaceAllString(out, "2026-11-22T12:00:00Z")
	for name, k := range map[string]hsm.Public{"RELEASE": opened[0], "DEV": opened[1]} {
		out = regexp.MustCompile(k.SPKI.String()).ReplaceAllString(out, name)
	}
	golden := filepath.Join("testdata", "auditkey.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out)
}

// However much in a log names keys that nobody introduces, a walk through it holds a bounded part.
func TestAuditWalkIsBounded(t *testing.T) {
	t.Parallel()
	w := auditWalk{filter: auditFilter{key: "release-2026"}, last: 10}
	for i := range 2 * maxOpen {
		_, err := w.back([]audit.Entry{{Index: uint64(3*maxOpen - i), Leaf: audit.Outcome{Intent: 1}}})
		require.NoError(t, err)
	}
	require.Len(t, w.found, maxOpen)
	more, err := w.back([]audit.Entry{{Index: 1, Leaf: audit.Intent{Key: "dev-2026"}}})
	require.NoError(t, err)
	require.True(t, more)
	require.Empty(t, w.found)
	require.Empty(t, w.listed())
}
