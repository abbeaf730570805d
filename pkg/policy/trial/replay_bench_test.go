package trial_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// BenchmarkReplay reads decisions and puts a candidate and the policies in force to them.
func BenchmarkReplay(b *testing.B) {
	past := makeHistory(b)
	lines := export(b, past)
	candidate := read(b, signed)
	inForce, err := trial.Read(dir(b, map[string]string{"p.yaml": strings.Replace(policies, "exclude: [tmp/**]", "exclude: [temp/**]", 1), "p_test.yaml": head + signed}), words)
	require.NoError(b, err)
	r := trial.NewReplay(inForce, candidate)
	b.ReportAllocs()
	b.SetBytes(int64(len(lines) / len(past)))
	for n := 0; n < b.N; n += len(past) {
		_, err := trial.ReadPast("past", bytes.NewReader(lines), r.Add)
		require.NoError(b, err)
	}
}
