package sealtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func (w *world) cosign() map[string]asked {
	key, other, d := w.key, w.other, w.bytes
	good, forOther, ofFile := w.seal("cosign", key, d), w.seal("cosign", key, w.otherBytes), w.seal("sigstore", key, d)
	overDigest := Get(w, ofFile, "messageSignature", "signature")
	signatures := Get(w, good, "dsseEnvelope", "signatures").([]any)
	sig := func(content []byte) any {
		return Get(w, content, "dsseEnvelope", "signatures").([]any)[0].(map[string]any)["sig"]
	}
	der, err := base64.StdEncoding.DecodeString(sig(good).(string))
	require.NoError(w, err)
	set := func(v any, path ...string) []byte { return Set(w, good, v, path...) }
	signedWith := func(v any) []byte { return set([]any{map[string]any{"sig": v}}, "dsseEnvelope", "signatures") }
	edit := func(old, other string) []byte { return w.edited(good, old, other, "dsseEnvelope", "payload") }
	named, noted := d.SHA256().String(), w.notarized("cosign")
	return map[string]asked{
		"as sealed":                   {key, d, good, nil},
		"with blanks around":          {key, d, Indent(w, good), nil},
		"SHA-256 is enough":           {key, sha256(d), good, nil},
		"P-384, SHA-256 is enough":    {w.p384, sha256(d), w.seal("cosign", w.p384, sha256(d)), nil},
		"RSA":                         {w.rsa, d, w.seal("cosign", w.rsa, d), nil},
		"without a hint":              {key, d, set("", "verificationMaterial", "publicKey", "hint"), nil},
		"other manifest":              {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":                   {other, d, good, seal.ErrWrongKey},
		"other curve":                 {w.p384, d, good, seal.ErrWrongKey},
		"no digest":                   {key, seal.Digests{}, good, seal.ErrNoDigest},
		"forged hint":                 {other, d, set(HintOf(w, other), "verificationMaterial", "publicKey", "hint"), seal.ErrInvalid},
		"no certificate":              {key, d, set(json.RawMessage(`{"certificate":{"rawBytes":"MAA="}}`), "verificationMaterial"), seal.ErrMalformed},
		"certificate":                 {key, d, noted, nil},
		"certificate, other manifest": {key, w.otherBytes, noted, seal.ErrWrongBytes},
		"certificate of another":      {other, d, noted, seal.ErrWrongKey},
		"certificate for another":     {key, d, Set(w, noted, Certificate(w, other.Public()), "verificationMaterial", "certificate", "rawBytes"), seal.ErrWrongKey},
		"payload of another":          {key, w.otherBytes, set(Get(w, forOther, "dsseEnvelope", "payload"), "dsseEnvelope", "payload"), seal.ErrInvalid},
		"signature of another":        {key, d, signedWith(sig(forOther)), seal.ErrInvalid},
		"signature over the digest":   {key, d, signedWith(overDigest), seal.ErrInvalid},
		"bare r and s":                {key, d, signedWith(BareRS(w, der, 32)), seal.ErrInvalid},
		"empty signature":             {key, d, signedWith(""), seal.ErrInvalid},
		"no signature":                {key, d, set(nil, "dsseEnvelope", "signatures"), seal.ErrMalformed},
		"two signatures":              {key, d, set(append(signatures, signatures...), "dsseEnvelope", "signatures"), seal.ErrMalformed},
		"payload type":                {key, d, set("text/plain", "dsseEnvelope", "payloadType"), seal.ErrMalformed},
		"media type":                  {key, d, set("application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType"), seal.ErrMalformed},
		"statement of an old version": {key, d, edit("Statement/v1", "Statement/v0.1"), seal.ErrMalformed},
		"attestation":                 {key, d, edit("https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"), seal.ErrMalformed},
		"predicate type, longer":      {key, d, edit("cosign/sign/v1", "cosign/sign/v11"), seal.ErrMalformed},
		"two subjects":                {key, d, edit(`[{"digest":`, `[{"digest":{"sha256":"`+named+`"}},{"digest":`), seal.ErrMalformed},
		"no subject":                  {key, d, edit(`[{"digest":{"sha256":"`+named+`"}}]`, `[]`), seal.ErrMalformed},
		"named by another hash":       {key, d, edit("sha256", "sha512"), seal.ErrWrongBytes},
		"other words":                 {key, d, edit(`"predicate":{}`, `"predicate":{ }`), seal.ErrMalformed},
		"payload that is no JSON":     {key, d, set([]byte("{"), "dsseEnvelope", "payload"), seal.ErrMalformed},
		"a signature of a file":       {key, d, ofFile, seal.ErrMalformed},
		"cut":                         {key, d, good[:len(good)-1], seal.ErrMalformed},
		"two documents":               {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"empty":                       {key, d, nil, seal.ErrMalformed},
		"too large":                   {key, d, append(bytes.Clone(good), bytes.Repeat([]byte(" "), seal.MaxSize)...), seal.ErrMalformed},
	}
}

// cosignKey are the cases of a format that has no certificate.
func (w *world) cosignKey() map[string]asked {
	key, d := w.key, w.bytes
	good := w.seal("cosign-key", key, d)
	return map[string]asked{
		"as sealed":             {key, d, good, nil},
		"of the other format":   {key, d, w.seal("cosign", key, d), nil},
		"other manifest":        {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":             {w.other, d, good, seal.ErrWrongKey},
		"with log and time":     {key, d, w.notarized("cosign-key"), nil},
		"a certificate":         {key, d, w.notarized("cosign"), seal.ErrMalformed},
		"a signature of a file": {key, d, w.notarized("sigstore-key"), seal.ErrMalformed},
	}
}

func (w *world) cosignTag() map[string]asked {
	key, d := w.key, w.bytes
	good, forOther := w.seal("cosign-tag", key, d), w.seal("cosign-tag", key, w.otherBytes)
	set := func(v any, path ...string) []byte { return Set(w, good, v, path...) }
	edit := func(old, other string) []byte { return w.edited(good, old, other, "payload") }
	return map[string]asked{
		"as sealed":                {key, d, good, nil},
		"with blanks around":       {key, d, Indent(w, good), nil},
		"P-384, SHA-256 is enough": {w.p384, sha256(d), w.seal("cosign-tag", w.p384, sha256(d)), nil},
		"other manifest":           {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":                {w.other, d, good, seal.ErrInvalid},
		"other curve":              {w.p384, d, good, seal.ErrInvalid},
		"no digest":                {key, seal.Digests{}, good, seal.ErrNoDigest},
		"payload of another":       {key, w.otherBytes, set(Get(w, forOther, "payload"), "payload"), seal.ErrInvalid},
		"signature of another":     {key, d, set(Get(w, forOther, "signature"), "signature"), seal.ErrInvalid},
		"no signature":             {key, d, set(nil, "signature"), seal.ErrInvalid},
		"no payload":               {key, d, set(nil, "payload"), seal.ErrMalformed},
		"payload that is no JSON":  {key, d, set([]byte("{"), "payload"), seal.ErrMalformed},
		"type":                     {key, d, edit("cosign container", "atomic container"), seal.ErrMalformed},
		"digest without algorithm": {key, d, edit("sha256:", ""), seal.ErrWrongBytes},
		"names an image":           {key, d, edit(`"docker-reference":""`, `"docker-reference":"a"`), seal.ErrMalformed},
		"names an image by number": {key, w.otherBytes, edit(`"docker-reference":""`, `"docker-reference":1`), seal.ErrMalformed},
		"not base64":               {key, d, set("*", "signature"), seal.ErrMalformed},
		"cut":                      {key, d, good[:len(good)-1], seal.ErrMalformed},
		"two documents":            {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"empty":                    {key, d, nil, seal.ErrMalformed},
		"empty object":             {key, d, []byte("{}"), seal.ErrMalformed},
		"nested":                   {key, d, []byte(strings.Repeat(`{"payload":`, 50_000)), seal.ErrMalformed},
	}
}
