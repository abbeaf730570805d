package sealtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func (w *world) raw() map[string]asked {
	key, d := w.key, w.bytes
	sig, rsaSig := w.seal("raw", key, d), w.seal("raw", w.rsa, d)
	flipped := bytes.Clone(sig)
	flipped[len(flipped)-1] ^= 1
	return map[string]asked{
		"as sealed":         {key, d, sig, nil},
		"RSA":               {w.rsa, d, rsaSig, nil},
		"the other s":       {key, d, negated(w, sig), nil},
		"other bytes":       {key, w.otherBytes, sig, seal.ErrInvalid},
		"other key":         {w.other, d, sig, seal.ErrInvalid},
		"other algorithm":   {w.rsa, d, sig, seal.ErrInvalid},
		"other curve":       {w.p384, d, sig, seal.ErrInvalid},
		"RSA under ECDSA":   {key, d, rsaSig, seal.ErrInvalid},
		"one bit":           {key, d, flipped, seal.ErrInvalid},
		"cut":               {key, d, sig[:len(sig)-1], seal.ErrInvalid},
		"trailing byte":     {key, d, append(bytes.Clone(sig), 0), seal.ErrInvalid},
		"a third number":    {key, d, withThird(w, sig), seal.ErrInvalid},
		"trailing RSA byte": {w.rsa, d, append(bytes.Clone(rsaSig), 0), seal.ErrInvalid},
		"bare r and s":      {key, d, BareRS(w, sig, 32), seal.ErrInvalid},
		"base64":            {key, d, []byte(base64.StdEncoding.EncodeToString(sig)), seal.ErrInvalid},
		"zero r and s":      {key, d, []byte{0x30, 6, 2, 1, 0, 2, 1, 0}, seal.ErrInvalid},
		"empty":             {key, d, nil, seal.ErrMalformed},
		"too large":         {key, d, make([]byte, seal.MaxSize+1), seal.ErrMalformed},
		"no digest":         {w.p384, sha256(d), sig, seal.ErrNoDigest},
	}
}

// sigstoreKey are the cases of a format that has no certificate.
func (w *world) sigstoreKey() map[string]asked {
	key, d := w.key, w.bytes
	good := w.seal("sigstore-key", key, d)
	return map[string]asked{
		"as sealed":           {key, d, good, nil},
		"of the other format": {key, d, w.seal("sigstore", key, d), nil},
		"other bytes":         {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":           {w.other, d, good, seal.ErrWrongKey},
		"with log and time":   {key, d, w.notarized("sigstore-key"), nil},
		"a certificate":       {key, d, w.notarized("sigstore"), seal.ErrMalformed},
		"about an image":      {key, d, w.notarized("cosign-key"), seal.ErrMalformed},
	}
}

func (w *world) sigstore() map[string]asked {
	key, other, d := w.key, w.other, w.bytes
	good, forOther, by384 := w.seal("sigstore", key, d), w.seal("sigstore", key, w.otherBytes), w.seal("sigstore", w.p384, d)
	sig := func(b []byte) any { return Get(w, b, "messageSignature", "signature") }
	der, err := base64.StdEncoding.DecodeString(sig(good).(string))
	require.NoError(w, err)
	edit := func(v any, path ...string) []byte { return Set(w, good, v, path...) }
	hint := []string{"verificationMaterial", "publicKey", "hint"}
	noted := w.notarized("sigstore")
	renote := func(v any, path ...string) []byte { return Set(w, noted, v, path...) }
	raw := []string{"verificationMaterial", "certificate", "rawBytes"}
	return map[string]asked{
		"as sealed":                  {key, d, good, nil},
		"with blanks":                {key, d, Indent(w, good), nil},
		"older media type":           {key, d, edit("application/vnd.dev.sigstore.bundle+json;version=0.3", "mediaType"), nil},
		"without a hint":             {key, d, edit("", hint...), nil},
		"P-384":                      {w.p384, d, by384, nil},
		"with a log entry":           {key, d, edit(json.RawMessage(`[{"logIndex":"1"}]`), "verificationMaterial", "tlogEntries"), nil},
		"with a time-stamp":          {key, d, edit(json.RawMessage(`{"rfc3161Timestamps":[{"signedTimestamp":"AAAA"}]}`), "verificationMaterial", "timestampVerificationData"), nil},
		"in snake case":              {key, d, bytes.Replace(good, []byte(`"mediaType"`), []byte(`"media_type"`), 1), nil},
		"other bytes":                {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":                  {other, d, good, seal.ErrWrongKey},
		"other key and bytes":        {other, w.otherBytes, good, seal.ErrWrongKey},
		"other key's, no digest":     {key, sha256(d), by384, seal.ErrWrongKey},
		"no digest":                  {w.p384, sha256(d), by384, seal.ErrNoDigest},
		"no certificate":             {key, d, edit(json.RawMessage(`{"certificate":{"rawBytes":"MAA="}}`), "verificationMaterial"), seal.ErrMalformed},
		"an empty certificate":       {key, d, edit(json.RawMessage(`{"certificate":{}}`), "verificationMaterial"), seal.ErrMalformed},
		"certificate chain":          {key, d, edit(json.RawMessage(`{"x509CertificateChain":{"certificates":[]}}`), "verificationMaterial"), seal.ErrMalformed},
		"certificate":                {key, d, noted, nil},
		"certificate, other bytes":   {key, w.otherBytes, noted, seal.ErrWrongBytes},
		"certificate of another":     {other, d, noted, seal.ErrWrongKey},
		"certificate for another":    {key, d, renote(Certificate(w, other.Public()), raw...), seal.ErrWrongKey},
		"lent certificate":           {other, d, renote(Certificate(w, other.Public()), raw...), seal.ErrInvalid},
		"certificate of a P-384 key": {key, d, renote(Certificate(w, w.p384.Public()), raw...), seal.ErrWrongKey},
		"certificate and more":       {key, d, renote(append(Certificate(w, key.Public()), 0), raw...), seal.ErrMalformed},
		"key and certificate":        {key, d, renote(json.RawMessage(`{"hint":""}`), "verificationMaterial", "publicKey"), seal.ErrMalformed},
		"an entry without any sense": {key, d, renote(json.RawMessage(`[{}]`), "verificationMaterial", "tlogEntries"), nil},
		"chain around it":            {key, d, renote(json.RawMessage(`{"x509CertificateChain":{"certificates":[`+string(must(json.Marshal(map[string][]byte{"rawBytes": Certificate(w, key.Public())})))+`]}}`), "verificationMaterial"), seal.ErrMalformed},
		"forged hint":                {other, d, edit(HintOf(w, other), hint...), seal.ErrInvalid},
		"without a hint, other key":  {other, d, edit("", hint...), seal.ErrInvalid},
		"forged digest":              {key, w.otherBytes, edit(Get(w, forOther, "messageSignature", "messageDigest"), "messageSignature", "messageDigest"), seal.ErrInvalid},
		"swapped signature":          {key, d, edit(sig(forOther), "messageSignature", "signature"), seal.ErrInvalid},
		"bare r and s":               {key, d, edit(BareRS(w, der, 32), "messageSignature", "signature"), seal.ErrInvalid},
		"no signature":               {key, d, edit("", "messageSignature", "signature"), seal.ErrInvalid},
		"digest of another hash":     {key, d, edit("SHA2_512", "messageSignature", "messageDigest", "algorithm"), seal.ErrMalformed},
		"digest of no hash":          {key, d, edit("HASH_ALGORITHM_UNSPECIFIED", "messageSignature", "messageDigest", "algorithm"), seal.ErrMalformed},
		"digest cut":                 {key, d, edit("AAAA", "messageSignature", "messageDigest", "digest"), seal.ErrWrongBytes},
		"no digest in the bundle":    {key, d, edit(nil, "messageSignature", "messageDigest"), seal.ErrMalformed},
		"no key in the bundle":       {key, d, edit(json.RawMessage(`{}`), "verificationMaterial"), seal.ErrMalformed},
		"version 0.1":                {key, d, edit("application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType"), seal.ErrMalformed},
		"no media type":              {key, d, edit(nil, "mediaType"), seal.ErrMalformed},
		"unknown field":              {key, d, edit(1, "extra"), seal.ErrMalformed},
		"unknown long field":         {key, d, edit(1, strings.Repeat("x", 10_000)), seal.ErrMalformed},
		"attestation":                {key, d, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{}}`), seal.ErrMalformed},
		"a statement about an image": {key, d, w.seal("cosign", key, d), seal.ErrMalformed},
		"two documents":              {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"field twice":                {key, d, bytes.Replace(good, []byte(`{"mediaType"`), []byte(`{"mediaType":"x","mediaType"`), 1), seal.ErrMalformed},
		"cut":                        {key, d, good[:len(good)-1], seal.ErrMalformed},
		"nested":                     {key, d, []byte(strings.Repeat(`{"verificationMaterial":`, 100_000)), seal.ErrMalformed},
		"empty":                      {key, d, nil, seal.ErrMalformed},
		"null":                       {key, d, []byte("null"), seal.ErrMalformed},
		"empty object":               {key, d, []byte("{}"), seal.ErrMalformed},
		"a raw signature":            {key, d, der, seal.ErrMalformed},
		"too large, otherwise right": {key, d, append(bytes.Clone(good), bytes.Repeat([]byte(" "), seal.MaxSize)...), seal.ErrMalformed},
	}
}
