package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
)

// authHeader carries the proof. JFrog puts the lowercase hexadecimal HMAC-SHA256 of the raw body there, without a
// prefix, when the subscription has use_secret_for_signing, and the secret itself when it has not.
const authHeader = "X-JFrog-Event-Auth"

// authentic reports whether the sender knows one of the instance's active secrets. Every secret is tried, whatever
// the earlier ones gave, and compared in constant time; neither the matching secret nor the length of a wrong one
// shows in the time taken. The MAC is over the bytes as they arrived: nothing is parsed before this has said yes.
// No header, or more than one, is no.
func (i Instance) authentic(h http.Header, body []byte) bool {
	values := h.Values(authHeader)
	if len(values) != 1 {
		return false
	}
	given := []byte(values[0])
	found := 0
	for _, secret := range i.Secrets {
		if i.Plain {
			found |= equalSecret(given, secret)
		} else {
			found |= equalMAC(given, secret, body)
		}
	}
	return found == 1
}

func equalMAC(given, secret, body []byte) int {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	want := hex.AppendEncode(nil, mac.Sum(nil))
	return subtle.ConstantTimeCompare(given, want)
}

func equalSecret(given, secret []byte) int {
	a, b := sha256.Sum256(given), sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(a[:], b[:])
}
