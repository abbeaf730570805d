package seal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// notarizedFormats are those with room for material. Their golden files, with the trusted root that they verify by, were made
// by e2e/judges, which has others judge them.
var notarizedFormats = []string{"sigstore", "sigstore-key", "cosign", "cosign-key", "vsa"}

func notarized(t testing.TB, format string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "notarized", format+".json"))
	require.NoError(t, err, "go test ./e2e/judges -run TestGolden -update")
	return content
}

// replay is the notary that a golden file has its material from.
type replay struct{ *bundle.VerificationMaterial }

func (r replay) Certificate(context.Context) ([]byte, error) {
	return r.GetCertificate().GetRawBytes(), nil
}

func (replay) Signed([]byte) {}

func (r replay) Stamp(context.Context, []byte) ([]byte, error) {
	return r.TimestampVerificationData.GetRfc3161Timestamps()[0].GetSignedTimestamp(), nil
}

func (r replay) Record(_ context.Context, asked seal.Record) (*rekor.TransparencyLogEntry, error) {
	if (asked.Certificate == nil) != (r.GetCertificate() == nil) {
		return nil, errors.New("the golden file names its key otherwise")
	}
	return r.TlogEntries[0], nil
}

// What carries a certificate, an entry and a time-stamp has the same bytes for the same material, and verifies for ever.
func TestGoldenMaterial(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "golden"), digestsOf([]byte(goldenContent))
	pub := readPublic(t, filepath.Join("testdata", "golden.pub"))
	for _, f := range all(t) {
		kept, err := os.ReadDir(filepath.Join("testdata", "notarized"))
		require.NoError(t, err)
		require.Len(t, kept, len(notarizedFormats)+1)
		carries := false
		for _, name := range notarizedFormats {
			carries = carries || name == f.Name
		}
		require.Equal(t, f.Name != "raw" && f.Name != "evidence" && f.Name != "cosign-tag", carries, "%s: every format with room for material has a golden file with some", f.Name)
		if !carries {
			continue
		}
		golden := notarized(t, f.Name)
		b := &bundle.Bundle{}
		require.NoError(t, protojson.Unmarshal(golden, b))
		again, err := seal.SealAll(t.Context(), key, d, []seal.Format{f}, seal.Context{Notary: replay{b.GetVerificationMaterial()}, Summary: sealtest.Summary()})
		require.NoError(t, err, f.Name)
		require.Equal(t, string(golden), string(again[f.Name]))
		require.NoError(t, f.Verify(pub, d, golden))
		require.Error(t, f.Verify(pub, digestsOf([]byte("else")), golden))
	}
}
