package artifactory

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// trustedKey is a public key that Artifactory verifies evidence with.
type trustedKey struct {
	Alias string `json:"alias"`
	Type  string `json:"type"` // in the server's words
}

const (
	causeNoKey  = "no trusted key has this alias; an administrator uploads the public key under it (docs/operators.md)"
	causeUnseen = "an administrator uploads the public key as trusted key under this alias (docs/operators.md); " + causeKind
	causeKind   = "JFrog documents RSA-2048, P-256 and Ed25519 keys only"
)

// trustedKeys lists the keys; ok is false when the token may not see them, or they cannot be read now.
func (c *Client) trustedKeys(ctx context.Context) (keys []trustedKey, ok bool) {
	var doc struct {
		Keys []trustedKey `json:"keys"`
	}
	err := c.do(ctx, request{call: callEvidence, method: http.MethodGet, url: c.base + "api/security/keys/trusted"}, func(resp *http.Response) error {
		doc.Keys = nil
		return decodeInto(&doc)(resp)
	})
	return doc.Keys, err == nil && doc.Keys != nil
}

// whyNotVerified finds out as much as the token may see.
func (c *Client) whyNotVerified(ctx context.Context, alias string) *NotVerified {
	keys, ok := c.trustedKeys(ctx)
	if !ok {
		return &NotVerified{alias, causeUnseen}
	}
	i := slices.IndexFunc(keys, func(k trustedKey) bool { return k.Alias == alias })
	if i < 0 {
		return &NotVerified{alias, causeNoKey}
	}
	return &NotVerified{alias, fmt.Sprintf("the trusted key of this alias is another one, or of a kind that the server cannot use: it is of type %s, and %s", message([]byte(keys[i].Type)), causeKind)}
}
