package signing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// When a key takes over, it signs what comes, and what the other has signed stays as it is: nothing is signed again.
func TestANewKeyTakesOver(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d, keys: map[string]hsm.Algorithm{"old": hsm.P256, "new": hsm.P256}, policy: strings.Replace(oneKey, "release-2026", "old", 1)})
		turns := `kind: SigningPolicy
name: turns
owner: o
match: {repositories: [` + repo + `]}
sign: [{keys: [old, new], formats: [sigstore, raw]}]
`
		begin := func(from time.Time) {
			r.from = map[string]time.Time{"new": from}
			r.setPolicy(policy.Skip, turns)
		}
		makers := func(text string) (names []string) {
			kept, err := r.ledger.Signatures(t.Context(), artifact.Attachment{Content: []byte(text)}.SHA256())
			require.NoError(t, err)
			for _, s := range kept {
				names = append(names, s.KeyName)
			}
			return names
		}

		begin(time.Now().Add(time.Hour))
		r.upload("a.tgz", "first")
		require.NoError(t, r.do("a.tgz"))
		require.Equal(t, []string{"old", "old"}, makers("first"))

		begin(time.Now().Add(-time.Hour))
		r.upload("b.tgz", "second")
		require.NoError(t, r.do("b.tgz"))
		require.Equal(t, []string{"new", "new"}, makers("second"))

		require.NoError(t, r.do("a.tgz"), "a replay")
		r.upload("copy/a.tgz", "first")
		require.NoError(t, r.do("copy/a.tgz"))
		require.Equal(t, ledger.Signed, r.outcome("copy/a.tgz").State)
		require.Equal(t, []string{"old", "old"}, makers("first"), "same bytes, same rule: one signature")
		require.Equal(t, 2, r.uses())

		s := r.sweeper(atHand)
		run := s.run(ledger.Sweep{})
		require.Zero(t, run.Repaired, "%+v", run)
		require.Equal(t, 2, r.uses())
	})
}
