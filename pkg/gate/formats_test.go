package gate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A refusal speaks of formats that the artifact can have: a file is not told of those of images and release bundles.
func TestRefusalsNameFittingFormats(t *testing.T) {
	t.Parallel()
	v := newRig(t, oneSignature).check(path)
	require.Contains(t, v.Reasons[0].Expected, "format sigstore or raw")
	r := newRig(t, bundleGate)
	r.bundle(path)
	b := r.checkBundle(bundleRecord)
	require.Contains(t, b.Reasons[0].Expected, "format evidence")
	for _, other := range []string{"cosign", "evidence"} {
		require.NotContains(t, v.Reasons[0].Text(), other)
	}
	for _, other := range []string{"cosign", "sigstore", "raw"} {
		require.NotContains(t, b.Reasons[0].Expected, other)
	}
}
