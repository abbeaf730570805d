package webhook

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	body := []byte(deployed)
	mac := sign(newSecret, body)
	raw, err := hex.DecodeString(mac)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		instance string
		auth     []string
		ok       bool
	}{
		"newest secret":              {"main", []string{mac}, true},
		"older secret still active":  {"main", []string{sign(oldSecret, body)}, true},
		"no header":                  {"main", nil, false},
		"empty header":               {"main", []string{""}, false},
		"two headers, one right":     {"main", []string{mac, "x"}, false},
		"retired secret":             {"main", []string{sign([]byte("retired"), body)}, false},
		"empty secret":               {"main", []string{sign(nil, body)}, false},
		"MAC of other bytes":         {"main", []string{sign(newSecret, append([]byte(" "), body...))}, false},
		"uppercase":                  {"main", []string{strings.ToUpper(mac)}, false},
		"prefixed":                   {"main", []string{"sha256=" + mac}, false},
		"base64":                     {"main", []string{base64.StdEncoding.EncodeToString(raw)}, false},
		"cut short":                  {"main", []string{mac[:32]}, false},
		"not ASCII":                  {"main", []string{"é" + mac}, false},
		"secret in clear":            {"main", []string{string(newSecret)}, false},
		"another instance's secret":  {"main", []string{sign(plainSecret, body)}, false},
		"plain":                      {"plain", []string{string(plainSecret)}, true},
		"plain, wrong":               {"plain", []string{"plain-secret-55d1"}, false},
		"plain, longer":              {"plain", []string{string(plainSecret) + "x"}, false},
		"plain, MAC instead":         {"plain", []string{sign(plainSecret, body)}, false},
		"plain, the other's secret":  {"plain", []string{string(newSecret)}, false},
		"plain, no header":           {"plain", nil, false},
		"plain, secret sent twice":   {"plain", []string{string(plainSecret), string(plainSecret)}, false},
		"plain, hash of the secret":  {"plain", []string{"b1f4"}, false},
		"right MAC, other instance":  {"plain", []string{mac}, false},
		"older secret's MAC, cut":    {"main", []string{sign(oldSecret, body)[1:]}, false},
		"trailing newline in header": {"main", []string{mac + "\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			w := r.sendWith(body, c.instance, c.auth...)
			failures := r.authFailures(t, c.instance)
			if c.ok {
				require.Equal(t, http.StatusAccepted, w.Code)
				require.Len(t, r.accepted(), 1)
				require.Zero(t, failures)
				return
			}
			require.Equal(t, unauthenticated, outcomeOf(t, w))
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Empty(t, r.accepted())
			require.InDelta(t, 1, failures, 0)
		})
	}
}

// Nothing of a body is believed, or even looked at, before its sender is proved: a broken body from nobody is 401, not
// 400.
func TestAuthenticationComesFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	require.Equal(t, unauthenticated, outcomeOf(t, r.sendWith([]byte("{"), "main", "x")))
	require.Equal(t, malformed, outcomeOf(t, r.send([]byte("{"))))
}

// The raw bytes are what counts: the same JSON, written differently, has another MAC.
func TestMACIsOverRawBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	spaced := []byte(strings.ReplaceAll(deployed, `":`, `" : `) + "\n")
	require.Equal(t, http.StatusAccepted, r.send(spaced).Code)
	require.Equal(t, http.StatusUnauthorized, r.sendWith(spaced, "main", sign(newSecret, []byte(deployed))).Code)
}
