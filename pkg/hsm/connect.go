package hsm

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// conn is one logged-in connection to a token.
type conn struct {
	lib      *library
	ctx      *crypto11.Context
	slot     uint
	capacity int // signatures that may run at once
}

// connect finds the token and logs in, once: whatever a token answers to a PIN, it is not asked again. The steps go to
// tr. The caller holds lifecycle.
func connect(lib *library, cfg Config, tr *trail, log *slog.Logger) (*conn, error) {
	cfg = cfg.withDefaults()
	c := &conn{lib: lib}
	var loggedIn bool
	err := lib.initialised(func(mine bool) error {
		tr.pass(stepModule, "%s", lib.path)
		slot, err := lib.findToken(cfg.Label, tr)
		if err != nil {
			return err
		}
		c.slot = slot.ID
		if c.capacity, err = capacity(cfg, slot, tr); err != nil {
			return err
		}
		if loggedIn = !mine && lib.loggedIn(slot.ID); loggedIn {
			return nil
		}
		return lib.mayLogIn(slot, tr)
	})
	if err != nil {
		var p *Problem
		if errors.As(err, &p) {
			return nil, err
		}
		return nil, tr.fail(stepModule, err, "check that %s is the vendor's PKCS#11 library and that its own configuration is in place (for SoftHSM: SOFTHSM2_CONF)", lib.path)
	}
	pin, warning, err := cfg.PIN.read()
	if err != nil {
		return nil, tr.fail(stepPIN, err, "put the token's user PIN alone into the file that pin.file names, readable by this user")
	}
	if warning != "" {
		log.Warn("PIN file is not private", slog.String("token", cfg.Name), slog.String("detail", warning))
	}
	c.ctx, err = configure(&crypto11.Config{
		Path: lib.path, TokenLabel: cfg.Label, Pin: pin, MaxSessions: c.capacity + 1, PoolWaitTimeout: cfg.PoolWait,
	})
	switch {
	case err == nil && loggedIn:
		// crypto11 takes "already logged in" for success before anybody has looked at the PIN.
		detail := "this process was logged in to the token before; the PIN in the file was not looked at"
		tr.checks = append(tr.checks, Check{
			Name: tr.subject + ": " + stepPIN, Detail: detail, Fix: "run the check in a process of its own",
		})
		log.Warn("PIN was not checked", slog.String("token", cfg.Name), slog.String("detail", detail))
	case err == nil:
		tr.pass(stepPIN, "%s", pinDetail(cfg, warning))
	case classify(err) == classPIN:
		return nil, tr.fail(stepPIN, fmt.Errorf("%w: %w", ErrPIN, err),
			"correct the PIN in %s; it is not tried again, because a few wrong tries lock the token", cfg.PIN.File)
	case classify(err) == classBusy:
		return nil, tr.fail(stepPIN, fmt.Errorf("%w: %w", ErrBusy, err),
			"the token has no session left: lower maxSessions here or in the other programs that use the token")
	default:
		return nil, tr.fail(stepPIN, fmt.Errorf("%w: logging in: %w", ErrModule, err), "see the vendor's log for this return value")
	}
	return c, nil
}

func pinDetail(cfg Config, warning string) string {
	if warning != "" {
		return "accepted; " + warning
	}
	return "accepted, from " + cfg.PIN.File
}

// configure is crypto11.Configure without its panic on token limits that leave no session to work with.
func configure(cfg *crypto11.Config) (ctx *crypto11.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			ctx, err = nil, fmt.Errorf("%w: crypto11: %v", ErrModule, r)
		}
	}()
	return crypto11.Configure(cfg)
}

// findToken demands that exactly one token bears the label; crypto11 would take the first.
func (l *library) findToken(label string, tr *trail) (Slot, error) {
	seen, err := l.slots()
	if err != nil {
		return Slot{}, tr.fail(stepSlots, err, "check the connection between this machine and the HSM")
	}
	tr.pass(stepSlots, "%s", describeSlots(seen))
	var found []Slot
	for _, s := range seen {
		if s.Label == label {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		tr.pass(stepToken, "slot %d, label %q, %s %s, serial %s", found[0].ID, label, found[0].Manufacturer, found[0].Model, found[0].Serial)
		return found[0], nil
	case 0:
		return Slot{}, tr.fail(stepToken, fmt.Errorf("%w: no token with the label %q; seen: %s", ErrTokenMissing, label, describeSlots(seen)),
			"set label to one of the tokens seen, or initialise the token")
	default:
		return Slot{}, tr.fail(stepToken, fmt.Errorf("%w: %d tokens have the label %q; seen: %s", ErrTokenMissing, len(found), label, describeSlots(seen)),
			"give the tokens different labels")
	}
}

// capacity is how many signatures may run at once: what the configuration and the token both allow, without the session
// that keeps the login.
func capacity(cfg Config, s Slot, tr *trail) (int, error) {
	n := cfg.MaxSessions
	if s.maxSessions != pkcs11.CK_EFFECTIVELY_INFINITE && s.maxSessions != pkcs11.CK_UNAVAILABLE_INFORMATION && s.maxSessions < uint(n) {
		n = int(s.maxSessions)
	}
	if n < 2 {
		return 0, tr.fail(stepToken, fmt.Errorf("%w: the token allows %d read/write sessions, 2 are needed", ErrBusy, n), "raise the token's session limit")
	}
	return n - 1, nil
}

// loggedIn reports whether another context of this process already holds the user's login on the token.
func (l *library) loggedIn(slot uint) bool {
	s, err := l.raw.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return false
	}
	defer l.raw.CloseSession(s) //nolint:errcheck // nothing depends on it
	info, err := l.raw.GetSessionInfo(s)
	return err == nil && (info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS)
}

// mayLogIn refuses a login that cannot succeed or that could lock the token.
func (l *library) mayLogIn(s Slot, tr *trail) error {
	switch {
	case s.flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return tr.fail(stepPIN, fmt.Errorf("%w: the user PIN is locked", ErrPIN), "unlock it as security officer")
	case s.flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return tr.fail(stepPIN, fmt.Errorf("%w: one more wrong PIN locks the token, so it is not tried", ErrPIN),
			"log in once by hand with the right PIN (pkcs11-tool --module %s --token-label %q --login -O), then start again", l.path, s.Label)
	case s.flags&pkcs11.CKF_LOGIN_REQUIRED != 0 && s.flags&pkcs11.CKF_USER_PIN_INITIALIZED == 0:
		return tr.fail(stepPIN, fmt.Errorf("%w: the token has no user PIN yet", ErrPIN), "set the user PIN as security officer")
	}
	return nil
}

// close ends the connection. It blocks until no signature runs on it. The caller holds lifecycle.
func (c *conn) close() { _ = c.ctx.Close() } // always nil

// ping asks the token for its state, without a key.
func (c *conn) ping() error {
	return c.read(func(r reader) error {
		_, err := r.raw.GetSessionInfo(r.s)
		return err
	})
}
