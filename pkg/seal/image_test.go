package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// edited replaces old by other in a payload that stands in base64 at path.
func edited(t *testing.T, doc []byte, old, other string, path ...string) []byte {
	t.Helper()
	payload, err := base64.StdEncoding.DecodeString(get(t, doc, path...).(string))
	require.NoError(t, err)
	require.Contains(t, string(payload), old)
	return set(t, doc, []byte(strings.Replace(string(payload), old, other, 1)), path...)
}

func TestVerifyCosign(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("cosign")
	blob, _ := seal.Lookup("sigstore")
	key, other, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two"), sealtest.NewKey(t, "P-384", "one")
	d, otherBytes := digestsOf([]byte("manifest")), digestsOf([]byte("manifest2"))
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	forOther, err := f.Seal(t.Context(), key, otherBytes)
	require.NoError(t, err)
	by384, err := f.Seal(t.Context(), p384, seal.FromSHA256(d.SHA256()))
	require.NoError(t, err)
	ofFile, err := blob.Seal(t.Context(), key, d)
	require.NoError(t, err)
	overDigest := get(t, ofFile, "messageSignature", "signature")
	signatures := get(t, good, "dsseEnvelope", "signatures").([]any)
	sig := func(content []byte) any {
		return get(t, content, "dsseEnvelope", "signatures").([]any)[0].(map[string]any)["sig"]
	}
	der, err := base64.StdEncoding.DecodeString(sig(good).(string))
	require.NoError(t, err)
	signedWith := func(v any) []byte {
		return set(t, good, []any{map[string]any{"sig": v}}, "dsseEnvelope", "signatures")
	}
	edit := func(old, other string) []byte { return edited(t, good, old, other, "dsseEnvelope", "payload") }
	named := d.SHA256().String()

	for name, c := range map[string]struct {
		key     *sealtest.Key
		digests seal.Digests
		content []byte
		want    error
	}{
		"as sealed":                   {key, d, good, nil},
		"with blanks around":          {key, d, indent(t, good), nil},
		"SHA-256 is enough":           {key, seal.FromSHA256(d.SHA256()), good, nil},
		"P-384, SHA-256 is enough":    {p384, seal.FromSHA256(d.SHA256()), by384, nil},
		"without a hint":              {key, d, set(t, good, "", "verificationMaterial", "publicKey", "hint"), nil},
		"other manifest":              {key, otherBytes, good, seal.ErrWrongBytes},
		"other key":                   {other, d, good, seal.ErrWrongKey},
		"other curve":                 {p384, d, good, seal.ErrWrongKey},
		"no digest":                   {key, seal.Digests{}, good, seal.ErrNoDigest},
		"forged hint":                 {other, d, set(t, good, hintOf(t, f, other, d), "verificationMaterial", "publicKey", "hint"), seal.ErrInvalid},
		"certificate":                 {key, d, set(t, good, json.RawMessage(`{"certificate":{"rawBytes":"MAA="}}`), "verificationMaterial"), seal.ErrWrongKey},
		"payload of another":          {key, otherBytes, set(t, good, get(t, forOther, "dsseEnvelope", "payload"), "dsseEnvelope", "payload"), seal.ErrInvalid},
		"signature of another":        {key, d, signedWith(sig(forOther)), seal.ErrInvalid},
		"signature over the digest":   {key, d, signedWith(overDigest), seal.ErrInvalid},
		"bare r and s":                {key, d, signedWith(bareRS(t, der, 32)), seal.ErrInvalid},
		"empty signature":             {key, d, signedWith(""), seal.ErrInvalid},
		"no signature":                {key, d, set(t, good, nil, "dsseEnvelope", "signatures"), seal.ErrMalformed},
		"two signatures":              {key, d, set(t, good, append(signatures, signatures...), "dsseEnvelope", "signatures"), seal.ErrMalformed},
		"payload type":                {key, d, set(t, good, "text/plain", "dsseEnvelope", "payloadType"), seal.ErrMalformed},
		"media type":                  {key, d, set(t, good, "application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType"), seal.ErrMalformed},
		"statement of an old version": {key, d, edit("Statement/v1", "Statement/v0.1"), seal.ErrMalformed},
		"attestation":                 {key, d, edit("https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"), seal.ErrMalformed},
		"predicate type, longer":      {key, d, edit("cosign/sign/v1", "cosign/sign/v11"), seal.ErrMalformed},
		"two subjects":                {key, d, edit(`[{"digest":`, `[{"digest":{"sha256":"`+named+`"}},{"digest":`), seal.ErrMalformed},
		"no subject":                  {key, d, edit(`[{"digest":{"sha256":"`+named+`"}}]`, `[]`), seal.ErrMalformed},
		"named by another hash":       {key, d, edit("sha256", "sha512"), seal.ErrWrongBytes},
		"other words":                 {key, d, edit(`"predicate":{}`, `"predicate":{ }`), seal.ErrMalformed},
		"payload that is no JSON":     {key, d, set(t, good, []byte("{"), "dsseEnvelope", "payload"), seal.ErrMalformed},
		"a signature of a file":       {key, d, ofFile, seal.ErrMalformed},
		"cut":                         {key, d, good[:len(good)-1], seal.ErrMalformed},
		"two documents":               {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"empty":                       {key, d, nil, seal.ErrMalformed},
		"too large":                   {key, d, append(bytes.Clone(good), bytes.Repeat([]byte(" "), seal.MaxSize)...), seal.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, c.want, f.Verify(c.key.Public(), c.digests, c.content))
		})
	}
	require.ErrorIs(t, blob.Verify(key.Public(), d, good), seal.ErrMalformed, "a statement is no signature of a file")
	spki, ok := f.KeyHint(good)
	require.True(t, ok)
	require.Equal(t, hintOf(t, f, key, d), base64.StdEncoding.EncodeToString(spki[:]))
	_, ok = f.KeyHint(ofFile)
	require.False(t, ok)
	_, ok = blob.KeyHint(good)
	require.False(t, ok)
}

func TestVerifyCosignTag(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("cosign-tag")
	key, other, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two"), sealtest.NewKey(t, "P-384", "one")
	d, otherBytes := digestsOf([]byte("manifest")), digestsOf([]byte("manifest2"))
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	forOther, err := f.Seal(t.Context(), key, otherBytes)
	require.NoError(t, err)
	by384, err := f.Seal(t.Context(), p384, seal.FromSHA256(d.SHA256()))
	require.NoError(t, err)
	edit := func(old, other string) []byte { return edited(t, good, old, other, "payload") }

	for name, c := range map[string]struct {
		key     *sealtest.Key
		digests seal.Digests
		content []byte
		want    error
	}{
		"as sealed":                {key, d, good, nil},
		"with blanks around":       {key, d, indent(t, good), nil},
		"P-384, SHA-256 is enough": {p384, seal.FromSHA256(d.SHA256()), by384, nil},
		"other manifest":           {key, otherBytes, good, seal.ErrWrongBytes},
		"other key":                {other, d, good, seal.ErrInvalid},
		"other curve":              {p384, d, good, seal.ErrInvalid},
		"no digest":                {key, seal.Digests{}, good, seal.ErrNoDigest},
		"payload of another":       {key, otherBytes, set(t, good, get(t, forOther, "payload"), "payload"), seal.ErrInvalid},
		"signature of another":     {key, d, set(t, good, get(t, forOther, "signature"), "signature"), seal.ErrInvalid},
		"no signature":             {key, d, set(t, good, nil, "signature"), seal.ErrInvalid},
		"no payload":               {key, d, set(t, good, nil, "payload"), seal.ErrMalformed},
		"payload that is no JSON":  {key, d, set(t, good, []byte("{"), "payload"), seal.ErrMalformed},
		"type":                     {key, d, edit("cosign container", "atomic container"), seal.ErrMalformed},
		"digest without algorithm": {key, d, edit("sha256:", ""), seal.ErrWrongBytes},
		"names an image":           {key, d, edit(`"docker-reference":""`, `"docker-reference":"a"`), seal.ErrMalformed},
		"not base64":               {key, d, set(t, good, "*", "signature"), seal.ErrMalformed},
		"cut":                      {key, d, good[:len(good)-1], seal.ErrMalformed},
		"two documents":            {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"empty":                    {key, d, nil, seal.ErrMalformed},
		"empty object":             {key, d, []byte("{}"), seal.ErrMalformed},
		"nested":                   {key, d, []byte(strings.Repeat(`{"payload":`, 50_000)), seal.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, c.want, f.Verify(c.key.Public(), c.digests, c.content))
		})
	}
	_, ok := f.KeyHint(good)
	require.False(t, ok, "it names no key")
}
