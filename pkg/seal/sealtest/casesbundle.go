package sealtest

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func (w *world) evidence() map[string]asked {
	key, d := w.key, w.bytes
	good, forOther, byOther := w.seal("evidence", key, d), w.seal("evidence", key, w.otherBytes), w.seal("evidence", w.other, d)
	sig := Get(w, good, "signatures").([]any)[0].(map[string]any)["sig"].(string)
	der, err := base64.StdEncoding.DecodeString(sig)
	require.NoError(w, err)
	payload, err := base64.StdEncoding.DecodeString(Get(w, good, "payload").(string))
	require.NoError(w, err)
	set := func(v any, path ...string) []byte { return Set(w, good, v, path...) }
	signatures := func(all ...string) []byte {
		list := []map[string]string{}
		for _, s := range all {
			list = append(list, map[string]string{"keyid": "one", "sig": s})
		}
		return set(list, "signatures")
	}
	signed := func(words string) []byte {
		pae := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(words), words)
		sig, err := key.Sign(w.Context(), Digests(w, pae)[crypto.SHA256])
		require.NoError(w, err)
		return Set(w, signatures(base64.StdEncoding.EncodeToString(sig)), []byte(words), "payload")
	}
	reworded := func(old, with string) []byte { return signed(strings.Replace(string(payload), old, with, 1)) }
	numbers, err := json.Marshal(strings.Fields(strings.Trim(fmt.Sprint(payload), "[]")))
	require.NoError(w, err)
	return map[string]asked{
		"as sealed":               {key, d, good, nil},
		"with blanks":             {key, d, Indent(w, good), nil},
		"with more around it":     {key, d, set("2026-08-14", "createdAt"), nil},
		"P-384, SHA-256 alone":    {w.p384, sha256(d), w.seal("evidence", w.p384, sha256(d)), nil},
		"keyid of another":        {key, d, set([]map[string]string{{"keyid": "two", "sig": sig}}, "signatures"), nil},
		"signed anew":             {key, d, reworded("", ""), nil},
		"payload as numbers":      {key, d, set(json.RawMessage(strings.ReplaceAll(string(numbers), `"`, ``)), "payload"), nil},
		"other bytes":             {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":               {w.other, d, good, seal.ErrInvalid},
		"other curve":             {w.p384, d, good, seal.ErrInvalid},
		"no digest":               {key, seal.Digests{}, good, seal.ErrNoDigest},
		"payload of another":      {key, w.otherBytes, set(Get(w, forOther, "payload"), "payload"), seal.ErrInvalid},
		"signature of others":     {key, d, set(Get(w, byOther, "signatures"), "signatures"), seal.ErrInvalid},
		"bare r and s":            {key, d, signatures(base64.StdEncoding.EncodeToString(BareRS(w, der, 32))), seal.ErrInvalid},
		"two signatures":          {key, d, signatures(sig, sig), seal.ErrMalformed},
		"no signature":            {key, d, signatures(), seal.ErrMalformed},
		"empty signature":         {key, d, signatures(""), seal.ErrInvalid},
		"signature not base64":    {key, d, signatures("%"), seal.ErrMalformed},
		"payload not base64":      {key, d, set("%", "payload"), seal.ErrMalformed},
		"another payload type":    {key, d, set("text/plain", "payloadType"), seal.ErrMalformed},
		"signed: other type":      {key, d, reworded("Statement/v1", "Statement/v2"), seal.ErrMalformed},
		"signed: other predicate": {key, d, reworded("signature/v1", "signature/v2"), seal.ErrMalformed},
		"signed: more":            {key, d, reworded(`"result":"signed"`, `"result":"signed","x":1`), seal.ErrMalformed},
		"signed: two subjects":    {key, d, reworded(`"subject":[`, `"subject":[{"digest":{}},`), seal.ErrMalformed},
		"signed: no JSON":         {key, d, signed("bundle"), seal.ErrMalformed},
		"signed: a member twice":  {key, d, reworded(`{"_type"`, `{"subject":[],"_type"`), seal.ErrMalformed},
		"signed: another subject": {key, d, reworded(d.SHA256().String(), w.otherBytes.SHA256().String()), seal.ErrWrongBytes},
		"a Sigstore bundle":       {key, d, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":` + string(good) + `}`), seal.ErrMalformed},
		"two documents":           {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"cut":                     {key, d, good[:len(good)-1], seal.ErrMalformed},
		"nested":                  {key, d, []byte(strings.Repeat(`{"payload":`, 100_000)), seal.ErrMalformed},
		"null":                    {key, d, []byte("null"), seal.ErrMalformed},
	}
}
