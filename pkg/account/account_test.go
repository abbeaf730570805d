package account_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Where everybody tells the same there is nothing to find.
func TestNothingToFind(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.put("unsigned.tgz", "x")
	r.put("foreign.sig", "by somebody else")
	r.put("other.sigstore.json", "{}")
	for i := range 5 {
		r.sign(fmt.Sprintf("app/%d.tgz", i), fmt.Sprint("content ", i))
	}
	require.Empty(t, r.compare(repo, docker))
}

// What is under way is left out.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	r.sealed(r.begin("a", "a", origin), []byte("sig"))
	r.put("a", "a")
	require.Empty(t, r.compareAt(time.Now().Add(-time.Hour)))
	require.Equal(t, []reason.Code{reason.LogUseMissing, reason.LogIntentMissing}, r.compareAt(time.Now().Add(time.Minute)))
}

// The logs of all replicas are compared together. One that is not there is told of, until somebody says that it is looked at
// elsewhere.
func TestLogsOfOtherReplicas(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	config := audit.Config{Dir: filepath.Join(t.TempDir(), "two"), Origin: "two.example"}
	signs := sealtest.NewKey(t, "P-256", "log-two")
	two, err := audit.Open(t.Context(), config, signs, r.memory, audit.Options{})
	require.NoError(t, err)
	require.NoError(t, audittest.Start(t.Context(), two, "two", r.key))
	in := r.begin("two.tgz", "two", "two.example")
	told := announced(in)
	told.Replica = "two"
	_, rekord, err := audittest.Use(t.Context(), two, r.key, told, []byte("two"))
	require.NoError(t, err)
	require.NoError(t, two.Close())
	r.sealed(in, rekord.Signature)
	r.put("two.tgz", "two")
	r.put("two.tgz.sig", string(rekord.Signature))

	until, both := time.Now().Add(time.Minute), []string{origin, "two.example"}
	b := r.books(until, account.Config{Known: both}, repo)
	require.Len(t, b.All, 1)
	require.Equal(t, reason.LedgerLogUnread, b.All[0].Code)
	require.Contains(t, b.All[0].Found, "1 signatures and 1 intents, not verified")
	require.Equal(t, 1, b.Alarms())
	b = r.books(until, account.Config{Known: both, Logs: []string{"two.example"}}, repo)
	require.Len(t, b.All, 1)
	require.Equal(t, reason.LedgerLogUnread, b.All[0].Code)
	require.Zero(t, b.Alarms())

	b = account.New(r.view, account.Config{Known: both})
	r.follow(b, config.Dir, "two.example", signs)
	r.follow(b, r.config.Dir, origin, r.log)
	require.NoError(t, b.Ledger(t.Context(), until))
	require.NoError(t, b.Repository(t.Context(), r.client, repo, nil))
	require.Empty(t, b.All)

	r.forge(`DELETE FROM signature WHERE intent_id = $1`, in.ID)
	b = account.New(r.view, account.Config{Known: both})
	r.follow(b, r.config.Dir, origin, r.log)
	r.follow(b, config.Dir, "two.example", signs)
	require.NoError(t, b.Ledger(t.Context(), until))
	require.Len(t, b.All, 1)
	require.Equal(t, reason.LedgerUseMissing, b.All[0].Code)
	require.Contains(t, b.All[0].Found, "two.tgz, in the log two.example alone")
}
