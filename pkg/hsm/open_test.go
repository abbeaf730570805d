package hsm_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// Everything that is wrong with a token or key ends Open with its cause and what to do.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		breakIt func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, key *hsm.KeyConfig)
		want    error
		says    []string
	}{
		"module missing": {
			func(t *testing.T, _ *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				cfg.Module = filepath.Join(t.TempDir(), "none.so")
			}, hsm.ErrModule, []string{"module loads", "none.so", "install the vendor's"},
		},
		"module is no library": {
			func(t *testing.T, _ *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				cfg.Module = filepath.Join(t.TempDir(), "text.so")
				require.NoError(t, os.WriteFile(cfg.Module, []byte("text"), 0o600))
			}, hsm.ErrModule, []string{"not a loadable PKCS#11 library"},
		},
		"token missing": {
			func(_ *testing.T, _ *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) { cfg.Label = "other" },
			hsm.ErrTokenMissing, []string{`"other"`, "seen: slot", "test-", "set label to one of the tokens seen"},
		},
		"two tokens with one label": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, _ *hsm.KeyConfig) { tok.Init(t, tok.Label) },
			hsm.ErrTokenMissing, []string{"2 tokens have the label", "different labels"},
		},
		"wrong PIN": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, _ *hsm.KeyConfig) {
				writePIN(t, tok, "9999", 0o600)
			},
			hsm.ErrPIN, []string{"CKR_PIN_INCORRECT", "not tried again"},
		},
		"PIN file missing": {
			func(_ *testing.T, _ *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				cfg.PIN.File = "/nonexistent/pin"
			},
			os.ErrNotExist, []string{"PIN accepted", "/nonexistent/pin"},
		},
		"PIN file empty": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, _ *hsm.KeyConfig) { writePIN(t, tok, "\n", 0o600) },
			nil, []string{"is empty"},
		},
		"PIN file with more than the PIN": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, _ *hsm.KeyConfig) {
				writePIN(t, tok, hsmtest.UserPIN+"\nsecret\n", 0o600)
			}, nil, []string{"several lines"},
		},
		"key missing": {
			func(_ *testing.T, _ *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) { key.Label = "other" },
			hsm.ErrKeyMissing, []string{`label "other"`, `the token holds "release"`, "hallmark keys generate"},
		},
		"two keys with one label": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, _ *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "release", id: "other"})
			}, hsm.ErrKeyTwice, []string{"2 private and 2 public", "rename or remove"},
		},
		"public half is another key's": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "torn", id: "one", publicID: "two"})
				key.Label = "torn"
			}, hsm.ErrKeyUnfit, []string{"different CKA_ID"},
		},
		"another key under the label": {
			func(_ *testing.T, _ *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				key.SPKI = "sha256:" + artifact.Digest{1}.String()
			}, hsm.ErrSPKI, []string{"found sha256:", "pinned sha256:01"},
		},
		"no pin": {
			func(_ *testing.T, _ *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) { key.SPKI = "" },
			hsm.ErrSPKI, []string{"pins none", "then write  spki: sha256:"},
		},
		"Ed25519": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "edwards", id: "e", edwards: true})
				key.Label = "edwards"
			}, hsm.ErrAlgorithm, []string{"Ed25519"},
		},
		"P-521": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "large", id: "l", curve: asn1.ObjectIdentifier{1, 3, 132, 0, 35}})
				key.Label = "large"
			}, hsm.ErrAlgorithm, []string{"P-521", "P-256"},
		},
		"key that may not sign": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "mute", id: "m", private: []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_SIGN, false)}})
				key.Label = "mute"
			}, hsm.ErrKeyUnfit, []string{"CKA_SIGN is false"},
		},
		"key that wants the PIN every time": {
			func(t *testing.T, tok *hsmtest.Token, _ *hsm.Config, key *hsm.KeyConfig) {
				generateRaw(t, tok, rawKeyPair{label: "shy", id: "s", private: []*pkcs11.Attribute{
					pkcs11.NewAttribute(pkcs11.CKA_SIGN, true), pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_AUTHENTICATE, true),
				}})
				key.Label = "shy"
			}, hsm.ErrKeyUnfit, []string{"CKA_ALWAYS_AUTHENTICATE"},
		},
		"PIN locked": {
			func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				tok.Shim(t).Flags(t, pkcs11.CKF_USER_PIN_LOCKED)
				cfg.Module = tok.Module
			}, hsm.ErrPIN, []string{"is locked", "security officer"},
		},
		"token with one session": {
			func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				tok.Shim(t).Sessions(t, 1)
				cfg.Module = tok.Module
			}, hsm.ErrBusy, []string{"allows 1 read/write sessions"},
		},
		"token full": {
			func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				tok.Shim(t).Fail(t, "C_OpenSession", pkcs11.CKR_SESSION_COUNT, hsmtest.Forever)
				cfg.Module = tok.Module
			}, hsm.ErrBusy, []string{"lower maxSessions"},
		},
		"module that does not initialise": {
			func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				tok.Shim(t).Fail(t, "C_Initialize", pkcs11.CKR_GENERAL_ERROR, hsmtest.Forever)
				cfg.Module = tok.Module
			}, hsm.ErrModule, []string{"CKR_GENERAL_ERROR"},
		},
		"signature that does not verify": {
			func(t *testing.T, tok *hsmtest.Token, cfg *hsm.Config, _ *hsm.KeyConfig) {
				tok.Shim(t).Corrupt(t, hsmtest.Forever)
				cfg.Module = tok.Module
			}, hsm.ErrSelfCheck, []string{"test signature verifies"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := hsmtest.NewToken(t)
			key := tok.Generate(t, "release", "release", hsm.P256)
			cfg := tok.Config()
			c.breakIt(t, tok, &cfg, &key)
			reg := prometheus.NewRegistry()
			ring, err := hsm.Open(t.Context(), []hsm.Config{cfg}, []hsm.KeyConfig{key}, hsm.Options{Registerer: reg})
			require.Error(t, err)
			require.Nil(t, ring)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			var p *hsm.Problem
			require.ErrorAs(t, err, &p)
			require.NotEmpty(t, p.Fix)
			for _, s := range c.says {
				require.ErrorContains(t, err, s)
			}
			require.NotContains(t, err.Error(), hsmtest.UserPIN)
			families, err := reg.Gather()
			require.NoError(t, err)
			require.Empty(t, families, "a refused Open leaves its metrics registered")
		})
	}
}

func TestOpenReportsEveryBadKey(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	good := tok.Generate(t, "good", "release", hsm.P256)
	pin := func(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }
	_, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{
		{Name: "one", Token: "hsm", Lane: "release", SPKI: pin("1")}, good, {Name: "two", Token: "hsm", Lane: "release", SPKI: pin("2")},
	}, hsm.Options{})
	require.ErrorContains(t, err, "key one")
	require.ErrorContains(t, err, "key two")
	require.NotContains(t, err.Error(), "key good")
	open(t, hsm.Options{}, tok.Config(), good) // a refused Open has closed everything
}

// A PIN that a token refused is not tried a second time, and a final try is not spent.
func TestOpenTriesThePINOnce(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	shim := tok.Shim(t)
	writePIN(t, tok, "9999", 0o600)
	_, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
	require.ErrorIs(t, err, hsm.ErrPIN)
	require.Equal(t, 1, shim.Calls(t, "C_Login"))

	shim.Flags(t, pkcs11.CKF_USER_PIN_FINAL_TRY)
	_, err = hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
	require.ErrorIs(t, err, hsm.ErrPIN)
	require.ErrorContains(t, err, "log in once by hand")
	require.Equal(t, 1, shim.Calls(t, "C_Login"))
}

func TestOpenWarnsAboutAnOpenPINFile(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	writePIN(t, tok, hsmtest.UserPIN+"\r\n", 0o644)
	var log bytes.Buffer
	open(t, hsm.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, tok.Config(), key).Close()
	require.Contains(t, log.String(), "chmod 0400")
	require.NotContains(t, log.String(), hsmtest.UserPIN)
}

// Open ends with its context although the module does not return.
func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	shim := tok.Shim(t)
	shim.Hang(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := hsm.Open(ctx, []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
		ended <- err
	}()
	cancel()
	require.ErrorIs(t, <-ended, hsm.ErrTimeout)
	shim.Release(t) // the probe signature comes to hang and goes on
}

func TestValidate(t *testing.T) {
	t.Parallel()
	cfg := hsm.Config{Name: "hsm", Module: "/lib/p11.so", Label: "l", PIN: hsm.PINFile{File: "/pin"}}
	key := hsm.KeyConfig{Name: "k", Token: "hsm", Lane: "release"}
	require.NoError(t, cfg.Validate())
	require.NoError(t, key.Validate())
	for says, spoil := range map[string]func(*hsm.Config, *hsm.KeyConfig){
		"name is missing":                func(c *hsm.Config, _ *hsm.KeyConfig) { c.Name = "" },
		"module is missing":              func(c *hsm.Config, _ *hsm.KeyConfig) { c.Module = "" },
		"not an absolute path":           func(c *hsm.Config, _ *hsm.KeyConfig) { c.Module = "p11.so" },
		"label is missing":               func(c *hsm.Config, _ *hsm.KeyConfig) { c.Label = "" },
		"pin.file is missing":            func(c *hsm.Config, _ *hsm.KeyConfig) { c.PIN.File = "" },
		"maxSessions is 1":               func(c *hsm.Config, _ *hsm.KeyConfig) { c.MaxSessions = 1 },
		"must not be negative":           func(c *hsm.Config, _ *hsm.KeyConfig) { c.SignTimeout = -1 },
		"must be development or release": func(_ *hsm.Config, k *hsm.KeyConfig) { k.Lane = "" },
		"token is missing":               func(_ *hsm.Config, k *hsm.KeyConfig) { k.Token = "" },
		"not configured":                 func(_ *hsm.Config, k *hsm.KeyConfig) { k.Token = "other" },
		"both a token and a software":    func(_ *hsm.Config, k *hsm.KeyConfig) { k.Software = "/key.pem" },
		"its time ends before it begins": func(_ *hsm.Config, k *hsm.KeyConfig) {
			k.From = hsm.Moment{Time: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
			k.Retired = k.From
		},
		"does not start with sha256:": func(_ *hsm.Config, k *hsm.KeyConfig) { k.SPKI = "00" },
	} {
		c, k := cfg, key
		spoil(&c, &k)
		_, err := hsm.Open(t.Context(), []hsm.Config{c}, []hsm.KeyConfig{k}, hsm.Options{})
		require.ErrorContains(t, err, says)
	}
	_, err := hsm.Open(t.Context(), []hsm.Config{cfg, cfg}, []hsm.KeyConfig{key, key}, hsm.Options{})
	require.ErrorContains(t, err, `token "hsm" is configured twice`)
	require.ErrorContains(t, err, `key "k" is configured twice`)
	key.SPKI = "sha256:" + strings.Repeat("ab", 32)
	alias := key
	alias.Name, alias.Lane = "alias", "development"
	_, err = hsm.Open(t.Context(), []hsm.Config{cfg}, []hsm.KeyConfig{key, alias}, hsm.Options{})
	require.ErrorContains(t, err, `keys "k" and "alias" pin the same public key`)
	other := cfg
	other.Name = "second"
	_, err = hsm.Open(t.Context(), []hsm.Config{cfg, other}, nil, hsm.Options{})
	require.ErrorContains(t, err, "the same token of the same module")
}

// Two tokens behind one module, as one HSM with two partitions has them.
func TestTwoTokensOfOneModule(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	second := *tok
	second.Name, second.Label = "second", tok.Label+"-2"
	tok.Init(t, second.Label)
	keys := []hsm.KeyConfig{tok.Generate(t, "a", "release", hsm.P256), second.Generate(t, "b", "development", hsm.P384)}
	ring, err := hsm.Open(t.Context(), []hsm.Config{tok.Config(), second.Config()}, keys, hsm.Options{})
	require.NoError(t, err)
	defer ring.Close()
	for _, p := range ring.Keys() {
		_, err := signer(t, ring, p.Name).Sign(t.Context(), make([]byte, p.Hash.Size()))
		require.NoError(t, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) { //nolint:paralleltest // counts goroutines
	tok := hsmtest.NewToken(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	ignore := goleak.IgnoreCurrent()
	ring, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
	require.NoError(t, err)
	s := signer(t, ring, "release")
	_, err = s.Sign(t.Context(), make([]byte, 32))
	require.NoError(t, err)
	ring.Close()
	ring.Close()
	goleak.VerifyNone(t, ignore)
	_, err = s.Sign(t.Context(), make([]byte, 32))
	require.ErrorIs(t, err, hsm.ErrDown)
	require.ErrorIs(t, err, hsm.ErrClosed)
	require.Error(t, ring.Ready(t.Context()))
}

func writePIN(t *testing.T, tok *hsmtest.Token, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(tok.PINFile, []byte(text), 0o600))
	require.NoError(t, os.Chmod(tok.PINFile, mode))
}

// rawKeyPair is what Generate would never make.
type rawKeyPair struct {
	label, id, publicID string
	curve               asn1.ObjectIdentifier // P-256 when nil
	edwards             bool
	private             []*pkcs11.Attribute
}

// generateRaw makes a key pair through the binding alone, on a module that nobody has open.
func generateRaw(t *testing.T, tok *hsmtest.Token, k rawKeyPair) {
	t.Helper()
	module := pkcs11.New(tok.Module)
	require.NotNil(t, module)
	defer module.Destroy()
	require.NoError(t, module.Initialize())
	defer func() { require.NoError(t, module.Finalize()) }()
	session, err := module.OpenSession(slotOf(t, module, tok.Label), pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	require.NoError(t, err)
	require.NoError(t, module.Login(session, pkcs11.CKU_USER, hsmtest.UserPIN))
	mechanism, params := uint(pkcs11.CKM_EC_KEY_PAIR_GEN), any(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	switch {
	case k.edwards:
		mechanism, params = 0x1055, "edwards25519" // CKM_EC_EDWARDS_KEY_PAIR_GEN
	case k.curve != nil:
		params = k.curve
	}
	der, err := asn1.Marshal(params)
	require.NoError(t, err)
	common := func(id string) []*pkcs11.Attribute {
		return []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.label), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
		}
	}
	if k.publicID == "" {
		k.publicID = k.id
	}
	_, _, err = module.GenerateKeyPair(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)},
		append(common(k.publicID), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, der)), append(common(k.id), k.private...))
	require.NoError(t, err)
}
