package trust_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// testTSA is an authority behind HTTP that answers as it is told to.
type testTSA struct {
	*httptest.Server
	realm  *stampRealm
	asked  atomic.Int64
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request)]
}

func newTSA(t *testing.T) *testTSA {
	t.Helper()
	s := &testTSA{realm: newStampRealm(t, newKey(t, elliptic.P256()))}
	s.lie(t, nil)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// serve replaces the whole answer, lie what the token says.
func (s *testTSA) serve(answer func(w http.ResponseWriter, r *http.Request)) { s.answer.Store(&answer) }

type tokenDraft struct {
	timestamp.Timestamp
	cert   *x509.Certificate
	key    crypto.Signer
	digest crypto.Hash
}

func (s *testTSA) lie(t *testing.T, lie func(d *tokenDraft)) {
	t.Helper()
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
			http.Error(w, "not a query", http.StatusBadRequest)
			return
		}
		req, err := timestamp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d := &tokenDraft{Timestamp: timestamp.Timestamp{
			HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Nonce: req.Nonce, Time: time.Now().UTC(),
			Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, AddTSACertificate: req.Certificates, Accuracy: time.Second,
		}, cert: s.realm.chain[0], key: s.realm.key.Signer, digest: crypto.SHA256}
		if req.TSAPolicyOID != nil {
			d.Policy = req.TSAPolicyOID
		}
		if lie != nil {
			lie(d)
		}
		token, err := d.CreateResponseWithOpts(d.cert, d.key, d.digest)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		_, _ = w.Write(token)
	})
}

func (s *testTSA) entry() trust.TSA { return trust.TSA{URL: s.URL, Chain: s.realm.chain} }

func authorities(t *testing.T, o trust.AuthoritiesOptions, list ...trust.TSA) *trust.Authorities {
	t.Helper()
	a, err := trust.NewAuthorities(list, o)
	require.NoError(t, err)
	return a
}

// patient gives a busy machine time.
var patient = trust.AuthoritiesOptions{StampOptions: trust.StampOptions{Tolerance: time.Minute}, Timeout: 30 * time.Second}

func TestAuthorities(t *testing.T) {
	t.Parallel()
	first, second := newTSA(t), newTSA(t)
	var clock trust.Clock = authorities(t, patient, first.entry(), second.entry())
	signature := []byte("signature")
	token, at, err := clock.Stamp(t.Context(), signature)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	opensslAccepts(t, token, signature, first.realm.chain)
	opensslRefuses(t, token, []byte("another"), first.realm.chain)
	opensslRefuses(t, token, signature, second.realm.chain)
	require.EqualValues(t, 1, first.asked.Load())
	require.EqualValues(t, 0, second.asked.Load(), "the first is enough")
	one, err := timestamp.ParseResponse(token)
	require.NoError(t, err)
	token, _, err = clock.Stamp(t.Context(), signature)
	require.NoError(t, err)
	two, err := timestamp.ParseResponse(token)
	require.NoError(t, err)
	require.NotEqual(t, one.Nonce, two.Nonce)

	first.lie(t, func(d *tokenDraft) { d.AddTSACertificate = false })
	_, _, err = clock.Stamp(t.Context(), signature)
	require.NoError(t, err, "the certificate is known; it need not be sent")
}

// An authority that lies, or whose word verifiers would not take, is passed over for the next, and told apart from one that
// is down.
func TestAuthoritiesThatLie(t *testing.T) {
	t.Parallel()
	other := newStampRealm(t, newKey(t, elliptic.P256()))
	asked := asn1.ObjectIdentifier{1, 2, 3, 5}
	for name, c := range map[string]struct {
		lie  func(s *testTSA, d *tokenDraft)
		says string
	}{
		"imprint": {func(_ *testTSA, d *tokenDraft) { d.HashedMessage[0] ^= 1 }, "hashed messages don't match"},
		"SHA-512 imprint": {func(_ *testTSA, d *tokenDraft) {
			d.HashAlgorithm, d.HashedMessage = crypto.SHA512, sumOf(crypto.SHA512, "signature")
		}, "not the SHA-256 that was sent"},
		"nonce":           {func(_ *testTSA, d *tokenDraft) { d.Nonce = big.NewInt(7) }, "nonce"},
		"no nonce":        {func(_ *testTSA, d *tokenDraft) { d.Nonce = nil }, "nonce"},
		"late":            {func(_ *testTSA, d *tokenDraft) { d.Time = d.Time.Add(time.Hour) }, "after it came by the clock of this machine"},
		"early":           {func(_ *testTSA, d *tokenDraft) { d.Time = d.Time.Add(-time.Hour) }, "before it was asked for by the clock of this machine"},
		"policy":          {func(_ *testTSA, d *tokenDraft) { d.Policy = asn1.ObjectIdentifier{1, 2, 3, 6} }, "asked for was 1.2.3.5"},
		"accuracy":        {func(_ *testTSA, d *tokenDraft) { d.Accuracy = time.Hour }, "an accuracy of 1h0m0s"},
		"unlisted":        {func(_ *testTSA, d *tokenDraft) { d.cert, d.key = other.chain[0], other.key.Signer }, "signed by another certificate"},
		"stolen name":     {func(_ *testTSA, d *tokenDraft) { d.key = other.key.Signer }, ""},
		"SHA-1 signature": {func(_ *testTSA, d *tokenDraft) { d.digest = crypto.SHA1 }, "not SHA-2"},
		"renewed certificate": {func(s *testTSA, d *tokenDraft) {
			d.cert = s.realm.ca.certify(t, stampCert(t, "stamp"), s.realm.key.Public())
		}, "signed by another certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar, honest := newTSA(t), newTSA(t)
			liar.lie(t, func(d *tokenDraft) { c.lie(liar, d) })
			entry := liar.entry()
			entry.Policy = asked
			reg := prometheus.NewRegistry()
			var log bytes.Buffer
			o := patient
			o.Registerer, o.Log = reg, slog.New(slog.NewTextHandler(&log, nil))

			_, _, err := authorities(t, patient, entry).Stamp(t.Context(), []byte("signature"))
			require.ErrorIs(t, err, trust.ErrTimeUnavailable)
			require.ErrorIs(t, err, trust.ErrTimestamp)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, reason.TimeUnavailable, trust.Problem(err))

			token, _, err := authorities(t, o, entry, honest.entry()).Stamp(t.Context(), []byte("signature"))
			require.NoError(t, err)
			opensslAccepts(t, token, []byte("signature"), honest.realm.chain)
			require.Contains(t, log.String(), "level=ERROR")
			require.EqualValues(t, 1, outcomes(t, reg, "refused"))
			require.EqualValues(t, 1, outcomes(t, reg, "given"))
		})
	}
}

func sumOf(h crypto.Hash, content string) []byte {
	sum := h.New()
	sum.Write([]byte(content))
	return sum.Sum(nil)
}

func outcomes(t *testing.T, reg *prometheus.Registry, outcome string) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "hallmark_time_stamps_total" && l.GetName() == "outcome" && l.GetValue() == outcome {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// A SHA-1 imprint cannot even be asked for; one that comes is refused.
func TestAuthoritySHA1(t *testing.T) {
	t.Parallel()
	s := newTSA(t)
	s.lie(t, func(d *tokenDraft) {
		sum := sha1.Sum([]byte("signature"))
		d.HashAlgorithm, d.HashedMessage = crypto.SHA1, sum[:]
	})
	_, _, err := authorities(t, patient, s.entry()).Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
}

// What is no time-stamp at all is passed over, in bounded time and memory.
func TestAuthoritiesThatFail(t *testing.T) {
	t.Parallel()
	old := make(chan []byte, 1)
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		"down":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "503"},
		"a page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>please log in</html>") }, "time-stamp does not hold"},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "not a TimeStampResp"},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "asking"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, "307"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "over 32768"},
		"rejection": {func(w http.ResponseWriter, _ *http.Request) {
			token, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.TimeNotAvailable)
			if err == nil {
				_, _ = w.Write(token)
			}
		}, "not granted: the request is rejected"},
		"an old one": {func(w http.ResponseWriter, _ *http.Request) {
			token := <-old
			old <- token
			_, _ = w.Write(token)
		}, "nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken, honest := newTSA(t), newTSA(t)
			if name == "an old one" {
				token, _, err := authorities(t, patient, broken.entry()).Stamp(t.Context(), []byte("signature"))
				require.NoError(t, err)
				old <- token
			}
			broken.serve(c.answer)
			_, _, err := authorities(t, patient, broken.entry()).Stamp(t.Context(), []byte("signature"))
			require.ErrorIs(t, err, trust.ErrTimeUnavailable)
			require.ErrorContains(t, err, c.says)
			token, _, err := authorities(t, patient, broken.entry(), honest.entry()).Stamp(t.Context(), []byte("signature"))
			require.NoError(t, err)
			opensslAccepts(t, token, []byte("signature"), honest.realm.chain)
		})
	}
}

func TestAuthorityTimeOut(t *testing.T) {
	t.Parallel()
	s := newTSA(t)
	s.serve(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	_, _, err := authorities(t, trust.AuthoritiesOptions{Timeout: 50 * time.Millisecond}, s.entry()).Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	require.ErrorContains(t, err, "no answer within 50ms")

	// A caller that gives up is not the authority's fault: it is asked the next time, and the time after that.
	a := authorities(t, patient, s.entry())
	for range 3 {
		before := s.asked.Load()
		ctx, cancel := context.WithCancel(t.Context())
		s.serve(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
		_, _, err = a.Stamp(ctx, []byte("signature"))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, before+1, s.asked.Load())
	}
	s.lie(t, nil)
	_, _, err = a.Stamp(t.Context(), []byte("signature"))
	require.NoError(t, err)
}

// One that failed twice in a row is left out for longer and longer, but never when there is nobody else.
func TestAuthoritiesPause(t *testing.T) {
	t.Parallel()
	first, second := newTSA(t), newTSA(t)
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	first.serve(down)
	reg := prometheus.NewRegistry()
	o := patient
	o.Registerer = reg
	a := authorities(t, o, first.entry(), second.entry())
	run := time.Duration(0)
	trust.SetClocks(t, a, nil, func() time.Duration { return run })
	asked := func() int64 {
		before := first.asked.Load()
		_, _, err := a.Stamp(t.Context(), []byte("signature"))
		require.NoError(t, err)
		return first.asked.Load() - before
	}
	require.EqualValues(t, 1, asked())
	require.EqualValues(t, 1, asked(), "one failure may be chance")
	require.EqualValues(t, 0, asked(), "paused")
	run = trust.DefaultPause - time.Nanosecond
	require.EqualValues(t, 0, asked())
	run = trust.DefaultPause
	require.EqualValues(t, 1, asked(), "tried again, and failed")
	run += 2*trust.DefaultPause - time.Nanosecond
	require.EqualValues(t, 0, asked(), "paused for twice as long")
	run += time.Nanosecond
	first.lie(t, nil)
	require.EqualValues(t, 1, asked())
	require.EqualValues(t, 1, asked(), "it is the first again")
	require.EqualValues(t, 3, outcomes(t, reg, "failed"))
	require.EqualValues(t, 3, outcomes(t, reg, "paused"))

	first.serve(down)
	second.serve(down)
	for range 5 {
		_, _, err := a.Stamp(t.Context(), []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	}
	before := first.asked.Load() + second.asked.Load()
	_, _, err := a.Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	require.EqualValues(t, before+1, first.asked.Load()+second.asked.Load(), "all are paused: one is asked all the same")
	first.lie(t, nil)
	second.lie(t, nil)
	_, _, err = a.Stamp(t.Context(), []byte("signature"))
	require.NoError(t, err, "and so the first that is back is found")
}

// A machine whose clock is wrong learns it from authorities that agree with one another.
func TestAuthoritiesAgainstOwnClock(t *testing.T) {
	t.Parallel()
	first, second := newTSA(t), newTSA(t)
	a := authorities(t, patient, first.entry(), second.entry())
	trust.SetClocks(t, a, func() time.Time { return time.Now().Add(3 * time.Hour) }, nil)
	_, _, err := a.Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	require.ErrorContains(t, err, "2 authorities agree with one another: the clock of this machine is off by about 3h0m")

	second.lie(t, func(d *tokenDraft) { d.Time = d.Time.Add(-time.Hour) })
	_, _, err = a.Stamp(t.Context(), []byte("signature"))
	require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	require.NotContains(t, err.Error(), "agree")

	times := []time.Time{time.Now(), time.Now().Add(-time.Hour)}
	trust.SetClocks(t, a, func() time.Time { now := times[0]; times = append(times[1:], now); return now }, nil)
	_, _, err = a.Stamp(t.Context(), []byte("signature"))
	require.ErrorContains(t, err, "was set back")
}

func TestNewAuthorities(t *testing.T) {
	t.Parallel()
	s := newTSA(t)
	for name, c := range map[string]struct {
		list []trust.TSA
		o    trust.AuthoritiesOptions
		says string
	}{
		"none":      {nil, trust.AuthoritiesOptions{}, "there is none"},
		"twice":     {[]trust.TSA{s.entry(), s.entry()}, trust.AuthoritiesOptions{}, "listed twice"},
		"no URL":    {[]trust.TSA{{URL: "tsa.example", Chain: s.realm.chain}}, trust.AuthoritiesOptions{}, "http or https URL"},
		"user":      {[]trust.TSA{{URL: "https://me:secret@tsa.example", Chain: s.realm.chain}}, trust.AuthoritiesOptions{}, "without user"},
		"no chain":  {[]trust.TSA{{URL: s.URL}}, trust.AuthoritiesOptions{}, "has 0 certificates"},
		"no root":   {[]trust.TSA{{URL: s.URL, Chain: s.realm.chain[:2]}}, trust.AuthoritiesOptions{}, "not a root"},
		"tolerance": {[]trust.TSA{s.entry()}, trust.AuthoritiesOptions{StampOptions: trust.StampOptions{Tolerance: 48 * time.Hour}}, "between 1s and 1h"},
		"pause":     {[]trust.TSA{s.entry()}, trust.AuthoritiesOptions{Pause: time.Hour}, "pause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := trust.NewAuthorities(c.list, c.o)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// openssl is an authority that others run. Its tokens are taken, but for those that name their signer by SHA-1, as it did
// by default before its third version.
func TestOpenSSLAsAuthority(t *testing.T) {
	t.Parallel()
	for hash, taken := range map[string]bool{"sha256": true, "sha384": true, "sha1": false} {
		t.Run(hash, func(t *testing.T) {
			t.Parallel()
			s := newTSA(t)
			dir := t.TempDir()
			file := func(name string, content []byte) string {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
				return filepath.Join(dir, name)
			}
			der, err := x509.MarshalPKCS8PrivateKey(s.realm.key.Signer)
			require.NoError(t, err)
			config := strings.NewReplacer("DIR", dir, "HASH", hash).Replace(`[tsa]
default_tsa = t
[t]
serial = DIR/serial
crypto_device = builtin
signer_cert = DIR/cert.pem
certs = DIR/cert.pem
signer_key = DIR/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = HASH
`)
			file("cert.pem", certificatesPEM(s.realm.chain[0]))
			file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
			number, err := rand.Int(rand.Reader, big.NewInt(1<<30))
			require.NoError(t, err)
			file("serial", []byte("0"+number.Text(10)[:1]+"\n"))
			conf := file("tsa.cnf", []byte(config))
			s.serve(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "query"), body, 0o600)
				}
				if err == nil {
					var out []byte
					out, err = exec.CommandContext(r.Context(), "openssl", "ts", "-reply", "-config", conf, "-queryfile", filepath.Join(dir, "query"), "-out", filepath.Join(dir, "reply")).CombinedOutput()
					if err != nil {
						http.Error(w, string(out), http.StatusInternalServerError)
						return
					}
				}
				http.ServeFile(w, r, filepath.Join(dir, "reply"))
			})
			token, _, err := authorities(t, patient, s.entry()).Stamp(t.Context(), []byte("signature"))
			if !taken {
				require.ErrorIs(t, err, trust.ErrTimestamp)
				require.ErrorContains(t, err, "signingCertificateV2")
				return
			}
			require.NoError(t, err)
			opensslAccepts(t, token, []byte("signature"), s.realm.chain)
		})
	}
}
