package verify_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// BenchmarkSignature is the cost of one check; pkg/seal's BenchmarkVerify is that of the other verifier.
func BenchmarkSignature(b *testing.B) {
	for _, algorithm := range sealtest.Algorithms {
		key, d := sealtest.NewKey(b, algorithm, "bench"), sealtest.Digests(b, "artifact")
		for _, name := range seal.Formats() {
			content := sealtest.Seal(b, name, key, d, nil)
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, verify.Signature(name, key.Public(), verify.Digests(d), content))
				}
			})
		}
	}
}

// BenchmarkOffline is one file of 10 KiB against its bundle and a trusted root that was read before: hash, signature,
// certificates with the promise in them, inclusion proof, checkpoint and time-stamp. One core, and all of them.
func BenchmarkOffline(b *testing.B) {
	r, key := verifytest.New(b), sealtest.NewKey(b, "P-256", "release")
	file := bytes.Repeat([]byte("0123456789abcdef"), 640)
	for name, order := range map[string]verifytest.Order{"certificate": {}, "key": {Bare: true}} {
		order.Key, order.Content, order.More = key, file, 1000
		content, t, format := r.Bundle(order), believing(b, r), "sigstore"
		if order.Bare {
			t, format = pinning(b, r, key), "sigstore-key"
		}
		check := func() error {
			d, err := t.Hash(bytes.NewReader(file), content)
			if err == nil {
				_, err = verify.Artifact(t, format, d, content)
			}
			return err
		}
		require.NoError(b, check())
		b.Run(name+"/one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := check(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
		})
		b.Run(name+"/all-cores", func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := check(); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
