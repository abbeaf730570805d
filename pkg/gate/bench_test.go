package gate_test

import (
	"bytes"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// BenchmarkCheck is one verdict on one file, the request for each look and the ledger's commit included: cold, when nothing
// was verified before, and warm, when the same bytes were. The file has 16 MiB; only for a P-384 key is it read.
func BenchmarkCheck(b *testing.B) {
	for _, algorithm := range []string{"P-256", "P-384", "RSA-4096"} {
		r := newRig(b, oneSignature, "release-a:"+algorithm)
		body := string(bytes.Repeat([]byte("16 bytes of it. "), 1<<20))
		r.put(path, body)
		r.put("app/1.0/"+seal.FileName("a.tgz", "sigstore", "release-a", true), r.made(r.keys["release-a"], "sigstore", body))
		ask := func(b *testing.B) {
			v := r.check(path)
			require.True(b, v.Allow, "%+v", v)
		}
		b.Run(algorithm+"/cold", func(b *testing.B) {
			forget := func() { require.NoError(b, r.gate.Init(prometheus.NewRegistry())) }
			forget()
			looks := r.looks(func() { ask(b) })
			b.ReportAllocs()
			for b.Loop() {
				forget()
				ask(b)
			}
			b.ReportMetric(looks, "requests/op")
		})
		b.Run(algorithm+"/warm", func(b *testing.B) {
			ask(b)
			looks := r.looks(func() { ask(b) })
			b.ReportAllocs()
			for b.Loop() {
				ask(b)
			}
			b.ReportMetric(looks, "requests/op")
		})
	}
}

// looks is how many requests something makes.
func (r *rig) looks(do func()) float64 {
	r.art.ForgetRequests()
	do()
	return float64(len(r.art.Requests()))
}
