package hsm_test

import (
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// digestInfo is the DER prefix of a SHA-256 DigestInfo (RFC 8017 section 9.2), which CKM_RSA_PKCS expects of its caller.
var digestInfo = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// callers is the concurrency that the benchmarks run at.
var callers = []int{1, 4, 8}

// way is one manner of signing.
type way struct {
	name string
	sign func(caller int) error
}

// bench prepares, on one token and one login:
//
//	raw         C_SignInit and C_Sign in a loop, one session per caller; nothing is checked
//	raw+verify  the same, each signature verified with the public key: the least that a careful caller does
//	hsm         Signer.Sign: permit, deadline, crypto11, DER, verification, metrics
func bench(b *testing.B, algorithm hsm.Algorithm) []way {
	b.Helper()
	tok := hsmtest.NewToken(b)
	key := tok.Generate(b, "release", "release", algorithm)
	ring := open(b, hsm.Options{}, tok.Config(), key)
	s := signer(b, ring, "release")
	pub := ring.Keys()[0]
	digest := sha256.Sum256([]byte("benchmark"))
	raw := newRaw(b, tok, pub.Algorithm)
	ways := []way{
		{"raw", func(caller int) error {
			_, err := raw.sign(caller, digest[:])
			return err
		}},
		{"raw+verify", func(caller int) error {
			sig, err := raw.sign(caller, digest[:])
			if err != nil {
				return err
			}
			if sig, err = raw.encode(sig); err != nil {
				return err
			}
			return pub.Verify(digest[:], sig)
		}},
		{"hsm", func(int) error {
			_, err := s.Sign(b.Context(), digest[:])
			return err
		}},
	}
	for _, w := range ways {
		for range 32 { // crypto11 opens its sessions one by one
			require.NoError(b, w.sign(0))
		}
	}
	return ways
}

// BenchmarkSign gives each way the machine for itself.
func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.RSA3072} {
		b.Run(string(algorithm), func(b *testing.B) {
			for _, w := range bench(b, algorithm) {
				for _, n := range callers {
					b.Run(fmt.Sprintf("%s/conc-%d", w.name, n), func(b *testing.B) {
						cpu := cpuTime(b)
						concurrently(b, b.N, n, w.sign)
						b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sig/s")
						b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/sig")
					})
				}
			}
		})
	}
}

// BenchmarkSignRatio takes turns between the ways in short bursts, so that a busy machine slows all of them alike, and
// reports Signer.Sign's throughput divided by the others'.
func BenchmarkSignRatio(b *testing.B) {
	const burst = 32
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.RSA3072} {
		b.Run(string(algorithm), func(b *testing.B) {
			ways := bench(b, algorithm)
			for _, n := range callers {
				b.Run(fmt.Sprintf("conc-%d", n), func(b *testing.B) { turns(b, ways, n, burst) })
			}
		})
	}
}

func turns(b *testing.B, ways []way, callers, burst int) {
	b.Helper()
	wall, cpu := make([]time.Duration, len(ways)), make([]time.Duration, len(ways))
	for range b.N {
		for i, w := range ways {
			c, start := cpuTime(b), time.Now()
			concurrently(b, burst, callers, w.sign)
			wall[i] += time.Since(start)
			cpu[i] += cpuTime(b) - c
		}
	}
	b.ReportMetric(0, "ns/op") // a turn is no unit of interest
	b.ReportMetric(float64(wall[0])/float64(wall[2]), "hsm/raw")
	b.ReportMetric(float64(wall[1])/float64(wall[2]), "hsm/raw+verify")
	for i, w := range ways {
		b.ReportMetric(float64(cpu[i].Nanoseconds())/1e3/float64(b.N*burst), w.name+"-cpu-us/sig")
	}
}

// BenchmarkVerify is the price of the check after each signature, in software.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.RSA3072} {
		b.Run(string(algorithm), func(b *testing.B) {
			tok := hsmtest.NewToken(b)
			ring := open(b, hsm.Options{}, tok.Config(), tok.Generate(b, "release", "release", algorithm))
			digest := sha256.Sum256([]byte("benchmark"))
			sig, err := signer(b, ring, "release").Sign(b.Context(), digest[:])
			require.NoError(b, err)
			pub := ring.Keys()[0]
			for b.Loop() {
				require.NoError(b, pub.Verify(digest[:], sig))
			}
		})
	}
}

// cpuTime is what this process has used, in user and kernel mode.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// concurrently does n calls, shared out among the callers one by one.
func concurrently(b *testing.B, n, callers int, do func(caller int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, callers)
	for caller := range callers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && errs[caller] == nil {
				errs[caller] = do(caller)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(b, err)
	}
}

// rawKey signs through the binding alone, on the login of an open Keyring.
type rawKey struct {
	module    *pkcs11.Ctx
	key       pkcs11.ObjectHandle
	sessions  [8]pkcs11.SessionHandle
	algorithm hsm.Algorithm
}

func newRaw(b *testing.B, tok *hsmtest.Token, algorithm hsm.Algorithm) *rawKey {
	b.Helper()
	r := &rawKey{module: pkcs11.New(tok.Module), algorithm: algorithm}
	require.NotNil(b, r.module)
	slot := slotOf(b, r.module, tok.Label)
	for i := range r.sessions {
		var err error
		r.sessions[i], err = r.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		require.NoError(b, err)
	}
	require.NoError(b, r.module.FindObjectsInit(r.sessions[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)}))
	found, _, err := r.module.FindObjects(r.sessions[0], 2)
	require.NoError(b, err)
	require.Len(b, found, 1)
	require.NoError(b, r.module.FindObjectsFinal(r.sessions[0]))
	r.key = found[0]
	return r
}

// sign returns what the token returned.
func (r *rawKey) sign(caller int, digest []byte) ([]byte, error) {
	mechanism, data := uint(pkcs11.CKM_ECDSA), digest
	if r.algorithm == hsm.RSA3072 {
		mechanism, data = pkcs11.CKM_RSA_PKCS, append(append([]byte{}, digestInfo...), digest...)
	}
	s := r.sessions[caller]
	if err := r.module.SignInit(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, r.key); err != nil {
		return nil, err
	}
	return r.module.Sign(s, data)
}

// encode gives a token's signature the form that Public.Verify takes.
func (r *rawKey) encode(sig []byte) ([]byte, error) {
	if r.algorithm == hsm.RSA3072 {
		return sig, nil
	}
	return ecdsaDER(sig)
}

// ecdsaDER turns r||s (PKCS#11 v2.40 section 2.3.1) into ASN.1 DER.
func ecdsaDER(sig []byte) ([]byte, error) {
	half := len(sig) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])})
}

// slotOf finds a token's slot in a module that is initialised.
func slotOf(tb testing.TB, module *pkcs11.Ctx, label string) uint {
	tb.Helper()
	slots, err := module.GetSlotList(true)
	require.NoError(tb, err)
	for _, id := range slots {
		if info, err := module.GetTokenInfo(id); err == nil && info.Label == label {
			return id
		}
	}
	require.Fail(tb, "no slot", label)
	return 0
}
