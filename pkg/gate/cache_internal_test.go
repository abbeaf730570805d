package gate

import (
	"crypto/sha256"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// However many files are judged, no more answers are kept than there is room for, and the newest are among them.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, err := newCache(prometheus.NewRegistry())
	require.NoError(t, err)
	ask := func(i int) question { return question{content: sha256.Sum256([]byte(strconv.Itoa(i)))} }
	for i := range 2 * remembered {
		c.keep(ask(i), policy.Evidence{Key: strconv.Itoa(i)})
	}
	require.Equal(t, remembered, c.answers.Len())
	e, ok := c.recall(ask(2*remembered - 1))
	require.True(t, ok)
	require.Equal(t, strconv.Itoa(2*remembered-1), e.Key)
	_, ok = c.recall(ask(0))
	require.False(t, ok)
}

// No two sets of pinned keys and trusted roots have one version.
func TestTrustVersion(t *testing.T) {
	t.Parallel()
	one, two := hsm.Public{Name: "a", SPKI: sha256.Sum256([]byte("1"))}, hsm.Public{Name: "b", SPKI: sha256.Sum256([]byte("2"))}
	seen := map[string]bool{}
	sets := [][]hsm.Public{
		nil, {one}, {two}, {one, two}, {two, one}, {one, one},
		{{Name: "b", SPKI: one.SPKI}}, {{Name: "a", SPKI: two.SPKI}}, {{Name: "", SPKI: one.SPKI}}, {{Name: "a1:b", SPKI: one.SPKI}},
	}
	root := Trusted{Verifier: &trust.Verifier{}, Root: one.SPKI}
	roots := []Trusted{{}, root, {Verifier: root.Verifier, Root: two.SPKI}, {Verifier: root.Verifier}}
	for _, set := range sets {
		for _, believed := range roots {
			seen[trustVersion(set, believed).String()] = true
		}
	}
	require.Len(t, seen, len(sets)*len(roots))
	require.Equal(t, trustVersion([]hsm.Public{one, two}, root), trustVersion([]hsm.Public{one, two}, root))
}
