package trust_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// What a leaf costs beside the two signatures, which a token takes its time for: two drafts, and the linting.
func BenchmarkIssue(b *testing.B) {
	r := ordinaryCA(b)
	a, err := trust.NewAuthority(r.config())
	require.NoError(b, err)
	req := trust.Request{Public: ecKey(b, elliptic.P256()).Public(), Identity: issuerURL + "/keys/release-2026", Announce: unlogged}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Issue(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
