package hsm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// patience is how long a test waits for what happens in the background, on a machine that has more to do.
const patience = time.Minute

// failing is a Keyring with one key on a token that fails on demand.
type failing struct {
	ring *hsm.Keyring
	s    *hsm.Signer
	shim *hsmtest.Shim
	reg  *prometheus.Registry
	tok  *hsmtest.Token
}

func newFailing(t *testing.T, tune func(*hsm.Config)) *failing {
	t.Helper()
	f := &failing{tok: hsmtest.NewToken(t), reg: prometheus.NewPedanticRegistry()}
	f.shim = f.tok.Shim(t)
	key := f.tok.Generate(t, "release", "release", hsm.P256)
	cfg := f.tok.Config()
	if tune != nil {
		tune(&cfg)
	}
	f.ring = open(t, hsm.Options{Registerer: f.reg}, cfg, key)
	f.s = signer(t, f.ring, "release")
	return f
}

func (f *failing) sign(ctx context.Context) error {
	_, err := f.s.Sign(ctx, make([]byte, 32))
	return err
}

// metric is the value of a counter or gauge, of the given class if it has classes.
func (f *failing) metric(t *testing.T, name, class string) float64 {
	t.Helper()
	families, err := f.reg.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if class == "" || m.GetLabel()[0].GetValue() == class {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	require.Fail(t, "no metric", "%s %s", name, class)
	return 0
}

// ready waits until the token is up again; recovery runs by itself and tells nobody.
func (f *failing) ready(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return f.ring.Ready(t.Context()) == nil && f.sign(t.Context()) == nil }, patience, 10*time.Millisecond)
}

func TestBadSessionIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	for _, ckr := range []uint{
		pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_OPERATION_ACTIVE, pkcs11.CKR_OPERATION_NOT_INITIALIZED,
	} {
		f := newFailing(t, nil)
		for _, function := range []string{"C_SignInit", "C_Sign"} {
			f.shim.Fail(t, function, ckr, 1)
			require.NoError(t, f.sign(t.Context()))
		}
		require.InDelta(t, 2, f.metric(t, "hallmark_hsm_errors_total", "session"), 0)

		// Two bad sessions in a row: the caller learns it, and the pool is renewed.
		logins := f.shim.Calls(t, "C_Login")
		f.shim.Fail(t, "C_SignInit", ckr, 2)
		require.ErrorIs(t, f.sign(t.Context()), pkcs11.Error(ckr))
		require.Eventually(t, func() bool { return f.shim.Calls(t, "C_Login") == logins+1 }, patience, 5*time.Millisecond)
		f.ready(t)
	}
}

func TestLostTokenComesBack(t *testing.T) {
	t.Parallel()
	for _, ckr := range []uint{
		pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED,
		pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_OBJECT_HANDLE_INVALID,
	} {
		f := newFailing(t, nil)
		finals := f.shim.Calls(t, "C_Finalize")
		// The token stays away for a while: initialising fails, too.
		f.shim.Fail(t, "C_Initialize", pkcs11.CKR_DEVICE_ERROR, hsmtest.Forever)
		f.shim.Fail(t, "C_SignInit", ckr, 1)
		require.ErrorIs(t, f.sign(t.Context()), pkcs11.Error(ckr))
		require.ErrorIs(t, f.ring.Ready(t.Context()), hsm.ErrDown)
		require.ErrorIs(t, f.sign(t.Context()), hsm.ErrDown)
		require.Eventually(t, func() bool { return f.shim.Calls(t, "C_Finalize") > finals }, patience, 5*time.Millisecond)
		require.ErrorIs(t, f.ring.Ready(t.Context()), hsm.ErrDown)
		f.shim.Clear(t)
		f.ready(t)
	}
}

// Ready notices a dead token although nobody signs.
func TestReadyAsksTheToken(t *testing.T) {
	t.Parallel()
	f := newFailing(t, nil)
	signs := f.shim.Calls(t, "C_Sign")
	require.NoError(t, f.ring.Ready(t.Context()))
	f.shim.Fail(t, "C_GetSessionInfo", pkcs11.CKR_DEVICE_ERROR, 1)
	require.ErrorIs(t, f.ring.Ready(t.Context()), hsm.ErrDown)
	require.Equal(t, signs, f.shim.Calls(t, "C_Sign"), "a key was used")
	f.ready(t)
}

// After a refused PIN there is no other login, ever.
func TestRefusedPINIsNeverTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFailing(t, nil)
	logins := f.shim.Calls(t, "C_Login")
	f.shim.Fail(t, "C_Login", pkcs11.CKR_PIN_INCORRECT, hsmtest.Forever)
	f.shim.Fail(t, "C_SignInit", pkcs11.CKR_DEVICE_REMOVED, 1)
	require.Error(t, f.sign(t.Context()))
	pinRefused := func() bool {
		err := f.ring.Ready(t.Context())
		return err != nil && contains(err, "CKR_PIN_INCORRECT")
	}
	require.Eventually(t, pinRefused, patience, 5*time.Millisecond)
	require.Equal(t, logins+1, f.shim.Calls(t, "C_Login"))
	f.shim.Clear(t)
	for range 5 { // callers come and go; none of them causes a login
		require.ErrorIs(t, f.sign(t.Context()), hsm.ErrDown)
		require.ErrorIs(t, f.ring.Ready(t.Context()), hsm.ErrDown)
	}
	f.ring.Close() // waits for the recovery to end
	require.Equal(t, logins+1, f.shim.Calls(t, "C_Login"))
}

// A token that has no room for another session still serves the sessions that it has.
func TestFullTokenIsBackPressure(t *testing.T) {
	t.Parallel()
	f := newFailing(t, func(c *hsm.Config) { c.MaxSessions, c.PoolWait = 8, 300*time.Millisecond })
	f.shim.Fail(t, "C_OpenSession", pkcs11.CKR_SESSION_COUNT, hsmtest.Forever)
	for range 20 {
		require.NoError(t, f.sign(t.Context()))
	}
	f.shim.Clear(t)
	f.shim.Fail(t, "C_SignInit", pkcs11.CKR_DEVICE_MEMORY, hsmtest.Forever)
	start := time.Now()
	err := f.sign(t.Context())
	require.ErrorIs(t, err, hsm.ErrBusy)
	require.ErrorIs(t, err, pkcs11.Error(pkcs11.CKR_DEVICE_MEMORY))
	require.Less(t, time.Since(start), 10*time.Second)
	f.shim.Clear(t)
	require.NoError(t, f.sign(t.Context()))
}

func TestWrongRequestIsNotRetried(t *testing.T) {
	t.Parallel()
	f := newFailing(t, nil)
	before := f.shim.Calls(t, "C_SignInit")
	f.shim.Fail(t, "C_SignInit", pkcs11.CKR_MECHANISM_INVALID, hsmtest.Forever)
	require.ErrorIs(t, f.sign(t.Context()), pkcs11.Error(pkcs11.CKR_MECHANISM_INVALID))
	require.Equal(t, before+1, f.shim.Calls(t, "C_SignInit"))
	require.NoError(t, f.ring.Ready(t.Context()))
	require.InDelta(t, 1, f.metric(t, "hallmark_hsm_errors_total", "request"), 0)
}

func TestCorruptSignatureNeverLeaves(t *testing.T) {
	t.Parallel()
	f := newFailing(t, nil)
	f.shim.Corrupt(t, 1)
	sig, err := f.s.Sign(t.Context(), make([]byte, 32))
	require.ErrorIs(t, err, hsm.ErrSelfCheck)
	require.Nil(t, sig)
	require.InDelta(t, 1, f.metric(t, "hallmark_signature_self_check_failures_total", ""), 0)
	f.ready(t)
	require.InDelta(t, 1, f.metric(t, "hallmark_signature_self_check_failures_total", ""), 0)
}

// A hung C_Sign costs its caller SignTimeout, and takes the token down until it returns.
func TestHungTokenIsTakenDown(t *testing.T) {
	t.Parallel()
	f := newFailing(t, func(c *hsm.Config) { c.SignTimeout, c.PoolWait = 200*time.Millisecond, 100*time.Millisecond })
	f.shim.Hang(t, 1)
	require.ErrorIs(t, f.sign(t.Context()), hsm.ErrTimeout)
	require.ErrorIs(t, f.ring.Ready(t.Context()), hsm.ErrDown)
	require.ErrorIs(t, f.sign(t.Context()), hsm.ErrDown)
	require.InDelta(t, 1, f.metric(t, "hallmark_hsm_sessions_stuck", ""), 0)
	f.shim.Release(t)
	f.ready(t)
	require.InDelta(t, 0, f.metric(t, "hallmark_hsm_sessions_stuck", ""), 0)
	require.InDelta(t, 1, f.metric(t, "hallmark_hsm_errors_total", "timeout"), 0)
}

// A caller who leaves does not end the watch over the call that it left behind.
func TestCallerLeavesAHungToken(t *testing.T) {
	t.Parallel()
	f := newFailing(t, func(c *hsm.Config) { c.SignTimeout = 300 * time.Millisecond })
	f.shim.Hang(t, 1)
	cause := errors.New("caller has gone")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	require.ErrorIs(t, f.sign(ctx), cause)
	require.Eventually(t, func() bool { return f.ring.Ready(t.Context()) != nil }, patience, 5*time.Millisecond)
	f.shim.Release(t)
	f.ready(t)
}

// With every session in use, others wait PoolWait and are told.
func TestNoFreeSession(t *testing.T) {
	t.Parallel()
	f := newFailing(t, func(c *hsm.Config) { c.MaxSessions, c.PoolWait = 2, 50*time.Millisecond })
	f.shim.Hang(t, 1)
	first := make(chan error, 1)
	before := f.shim.Calls(t, "C_SignInit")
	go func() { first <- f.sign(t.Context()) }()
	require.Eventually(t, func() bool { return f.shim.Calls(t, "C_SignInit") == before+1 }, patience, time.Millisecond)
	err := f.sign(t.Context())
	require.ErrorIs(t, err, hsm.ErrBusy)
	require.ErrorContains(t, err, "one of 1")
	require.NoError(t, f.ring.Ready(t.Context()), "busy is not down")
	f.shim.Release(t)
	require.NoError(t, <-first)
}

func TestCloseDoesNotWaitForAHungToken(t *testing.T) {
	t.Parallel()
	f := newFailing(t, func(c *hsm.Config) { c.SignTimeout = 50 * time.Millisecond })
	f.shim.Hang(t, 1)
	require.ErrorIs(t, f.sign(t.Context()), hsm.ErrTimeout)
	closed := make(chan struct{})
	go func() {
		f.ring.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		require.Fail(t, "Close hangs with the token")
	}
	f.shim.Release(t)
}

// A key that was exchanged while the token was away is noticed when it comes back.
func TestExchangedKeyKeepsTheTokenDown(t *testing.T) {
	t.Parallel()
	f := newFailing(t, nil)
	f.shim.Fail(t, "C_Initialize", pkcs11.CKR_DEVICE_ERROR, hsmtest.Forever)
	f.shim.Fail(t, "C_SignInit", pkcs11.CKR_DEVICE_REMOVED, 1)
	require.Error(t, f.sign(t.Context()))
	other := *f.tok
	other.Module = f.tok.CopyModule(t) // another machine, so to speak
	generateRaw(t, &other, rawKeyPair{label: "release", id: "intruder"})
	f.shim.Clear(t)
	twice := func() bool {
		err := f.ring.Ready(t.Context())
		return err != nil && contains(err, hsm.ErrKeyTwice.Error())
	}
	require.Eventually(t, twice, patience, 10*time.Millisecond)
	require.ErrorIs(t, f.sign(t.Context()), hsm.ErrDown)
}
