package seal_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// bareRS turns a DER signature into the r‖s of PKCS#11.
func bareRS(t *testing.T, der []byte, size int) []byte {
	t.Helper()
	var rs struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(der, &rs)
	require.NoError(t, err)
	return append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
}

func TestVerifyRaw(t *testing.T) {
	t.Parallel()
	raw, _ := seal.Lookup("raw")
	key, other := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two")
	p384, rsa := sealtest.NewKey(t, "P-384", "one"), sealtest.NewKey(t, "RSA-3072", "")
	d := digestsOf([]byte("artifact"))
	sig, err := raw.Seal(t.Context(), key, d)
	require.NoError(t, err)
	rsaSig, err := raw.Seal(t.Context(), rsa, d)
	require.NoError(t, err)

	flipped := bytes.Clone(sig)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		key     *sealtest.Key
		digests seal.Digests
		content []byte
		want    error
	}{
		"as sealed":         {key, d, sig, nil},
		"other bytes":       {key, digestsOf([]byte("artifact2")), sig, seal.ErrInvalid},
		"other key":         {other, d, sig, seal.ErrInvalid},
		"other algorithm":   {rsa, d, sig, seal.ErrInvalid},
		"other curve":       {p384, d, sig, seal.ErrInvalid},
		"RSA under ECDSA":   {key, d, rsaSig, seal.ErrInvalid},
		"one bit":           {key, d, flipped, seal.ErrInvalid},
		"cut":               {key, d, sig[:len(sig)-1], seal.ErrInvalid},
		"trailing byte":     {key, d, append(bytes.Clone(sig), 0), seal.ErrInvalid},
		"trailing RSA byte": {rsa, d, append(bytes.Clone(rsaSig), 0), seal.ErrInvalid},
		"bare r and s":      {key, d, bareRS(t, sig, 32), seal.ErrInvalid},
		"base64":            {key, d, []byte(base64.StdEncoding.EncodeToString(sig)), seal.ErrInvalid},
		"zero r and s":      {key, d, []byte{0x30, 6, 2, 1, 0, 2, 1, 0}, seal.ErrInvalid},
		"empty":             {key, d, nil, seal.ErrMalformed},
		"too large":         {key, d, make([]byte, seal.MaxSize+1), seal.ErrMalformed},
		"no digest":         {p384, seal.FromSHA256(d.SHA256()), sig, seal.ErrNoDigest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, c.want, raw.Verify(c.key.Public(), c.digests, c.content))
		})
	}
	_, ok := raw.KeyHint(sig)
	require.False(t, ok, "a raw signature names no key")
}

func TestVerifySigstore(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("sigstore")
	key, other, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two"), sealtest.NewKey(t, "P-384", "one")
	d, otherBytes := digestsOf([]byte("artifact")), digestsOf([]byte("artifact2"))
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	forOther, err := f.Seal(t.Context(), key, otherBytes)
	require.NoError(t, err)
	by384, err := f.Seal(t.Context(), p384, d)
	require.NoError(t, err)
	sigOf := func(b []byte) any { return get(t, b, "messageSignature", "signature") }
	der, err := base64.StdEncoding.DecodeString(sigOf(good).(string))
	require.NoError(t, err)

	const cert = `{"certificate":{"rawBytes":"MAA="}}`
	for name, c := range map[string]struct {
		key     *sealtest.Key
		digests seal.Digests
		content []byte
		want    error
	}{
		"as sealed":                  {key, d, good, nil},
		"with blanks":                {key, d, indent(t, good), nil},
		"older media type":           {key, d, set(t, good, "application/vnd.dev.sigstore.bundle+json;version=0.3", "mediaType"), nil},
		"without a hint":             {key, d, set(t, good, "", "verificationMaterial", "publicKey", "hint"), nil},
		"other bytes":                {key, otherBytes, good, seal.ErrWrongBytes},
		"other key":                  {other, d, good, seal.ErrWrongKey},
		"other key and bytes":        {other, otherBytes, good, seal.ErrWrongKey},
		"other key's, no digest":     {key, seal.FromSHA256(d.SHA256()), by384, seal.ErrWrongKey},
		"no digest":                  {p384, seal.FromSHA256(d.SHA256()), by384, seal.ErrNoDigest},
		"P-384":                      {p384, d, by384, nil},
		"certificate":                {key, d, set(t, good, json.RawMessage(cert), "verificationMaterial"), seal.ErrWrongKey},
		"forged hint":                {other, d, set(t, good, hintOf(t, f, other, d), "verificationMaterial", "publicKey", "hint"), seal.ErrInvalid},
		"without a hint, other key":  {other, d, set(t, good, "", "verificationMaterial", "publicKey", "hint"), seal.ErrInvalid},
		"forged digest":              {key, otherBytes, set(t, good, get(t, forOther, "messageSignature", "messageDigest"), "messageSignature", "messageDigest"), seal.ErrInvalid},
		"swapped signature":          {key, d, set(t, good, sigOf(forOther), "messageSignature", "signature"), seal.ErrInvalid},
		"bare r and s":               {key, d, set(t, good, bareRS(t, der, 32), "messageSignature", "signature"), seal.ErrInvalid},
		"no signature":               {key, d, set(t, good, "", "messageSignature", "signature"), seal.ErrInvalid},
		"digest of another hash":     {key, d, set(t, good, "SHA2_512", "messageSignature", "messageDigest", "algorithm"), seal.ErrMalformed},
		"digest cut":                 {key, d, set(t, good, "AAAA", "messageSignature", "messageDigest", "digest"), seal.ErrWrongBytes},
		"no digest in the bundle":    {key, d, set(t, good, nil, "messageSignature", "messageDigest"), seal.ErrMalformed},
		"no key in the bundle":       {key, d, set(t, good, json.RawMessage(`{}`), "verificationMaterial"), seal.ErrMalformed},
		"version 0.1":                {key, d, set(t, good, "application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType"), seal.ErrMalformed},
		"no media type":              {key, d, set(t, good, nil, "mediaType"), seal.ErrMalformed},
		"unknown field":              {key, d, set(t, good, 1, "extra"), seal.ErrMalformed},
		"unknown long field":         {key, d, set(t, good, 1, strings.Repeat("x", 10_000)), seal.ErrMalformed},
		"attestation":                {key, d, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{}}`), seal.ErrMalformed},
		"two documents":              {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"field twice":                {key, d, bytes.Replace(good, []byte(`{"mediaType"`), []byte(`{"mediaType":"x","mediaType"`), 1), seal.ErrMalformed},
		"cut":                        {key, d, good[:len(good)-1], seal.ErrMalformed},
		"nested":                     {key, d, []byte(strings.Repeat(`{"verificationMaterial":`, 100_000)), seal.ErrMalformed},
		"empty":                      {key, d, nil, seal.ErrMalformed},
		"null":                       {key, d, []byte("null"), seal.ErrMalformed},
		"empty object":               {key, d, []byte("{}"), seal.ErrMalformed},
		"a raw signature":            {key, d, der, seal.ErrMalformed},
		"too large, otherwise right": {key, d, append(bytes.Clone(good), bytes.Repeat([]byte(" "), seal.MaxSize)...), seal.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, c.want, f.Verify(c.key.Public(), c.digests, c.content))
		})
	}
}

func TestVerifyEvidence(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("evidence")
	key, other, p384 := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two"), sealtest.NewKey(t, "P-384", "one")
	d, otherBytes := digestsOf([]byte("bundle")), digestsOf([]byte("bundle2"))
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	forOther, err := f.Seal(t.Context(), key, otherBytes)
	require.NoError(t, err)
	by384, err := f.Seal(t.Context(), p384, seal.FromSHA256(d.SHA256()))
	require.NoError(t, err)
	require.Contains(t, string(good), `"keyid":"one"`, "JFrog finds the key by its name")

	sig := get(t, good, "signatures").([]any)[0].(map[string]any)["sig"].(string)
	der, err := base64.StdEncoding.DecodeString(sig)
	require.NoError(t, err)
	signatures := func(all ...string) []map[string]string {
		list := []map[string]string{}
		for _, s := range all {
			list = append(list, map[string]string{"keyid": "one", "sig": s})
		}
		return list
	}
	payload, err := base64.StdEncoding.DecodeString(get(t, good, "payload").(string))
	require.NoError(t, err)
	resigned := func(change func(string) string) []byte {
		words := []byte(change(string(payload)))
		sum := digestsOf(fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(words), words))
		sig, err := key.Sign(t.Context(), sum[crypto.SHA256])
		require.NoError(t, err)
		doc := set(t, good, base64.StdEncoding.EncodeToString(words), "payload")
		return set(t, doc, signatures(base64.StdEncoding.EncodeToString(sig)), "signatures")
	}
	replaced := func(old, with string) []byte {
		return resigned(func(s string) string { return strings.Replace(s, old, with, 1) })
	}
	for name, c := range map[string]struct {
		key     *sealtest.Key
		digests seal.Digests
		content []byte
		want    error
	}{
		"as sealed":               {key, d, good, nil},
		"with blanks":             {key, d, indent(t, good), nil},
		"with more around it":     {key, d, set(t, good, "2026-08-14", "createdAt"), nil},
		"P-384, SHA-256 alone":    {p384, seal.FromSHA256(d.SHA256()), by384, nil},
		"keyid of another":        {key, d, set(t, good, []map[string]string{{"keyid": "two", "sig": sig}}, "signatures"), nil},
		"other bytes":             {key, otherBytes, good, seal.ErrWrongBytes},
		"other key":               {other, d, good, seal.ErrInvalid},
		"other curve":             {p384, d, good, seal.ErrInvalid},
		"no digest":               {key, seal.Digests{}, good, seal.ErrNoDigest},
		"payload of another":      {key, otherBytes, set(t, good, get(t, forOther, "payload"), "payload"), seal.ErrInvalid},
		"bare r and s":            {key, d, set(t, good, signatures(base64.StdEncoding.EncodeToString(bareRS(t, der, 32))), "signatures"), seal.ErrInvalid},
		"two signatures":          {key, d, set(t, good, signatures(sig, sig), "signatures"), seal.ErrMalformed},
		"no signature":            {key, d, set(t, good, signatures(), "signatures"), seal.ErrMalformed},
		"empty signature":         {key, d, set(t, good, signatures(""), "signatures"), seal.ErrInvalid},
		"signature not base64":    {key, d, set(t, good, signatures("%"), "signatures"), seal.ErrMalformed},
		"payload not base64":      {key, d, set(t, good, "%", "payload"), seal.ErrMalformed},
		"another payload type":    {key, d, set(t, good, "text/plain", "payloadType"), seal.ErrMalformed},
		"signed: other type":      {key, d, replaced("Statement/v1", "Statement/v2"), seal.ErrMalformed},
		"signed: other predicate": {key, d, replaced("signature/v1", "signature/v2"), seal.ErrMalformed},
		"signed: more":            {key, d, replaced(`"result":"signed"`, `"result":"signed","x":1`), seal.ErrMalformed},
		"signed: two subjects":    {key, d, replaced(`"subject":[`, `"subject":[{"digest":{}},`), seal.ErrMalformed},
		"signed: no JSON":         {key, d, resigned(func(string) string { return "bundle" }), seal.ErrMalformed},
		"signed: a member twice":  {key, d, replaced(`{"_type"`, `{"subject":[],"_type"`), seal.ErrMalformed},
		"signed: another subject": {key, d, replaced(d.SHA256().String(), otherBytes.SHA256().String()), seal.ErrWrongBytes},
		"a Sigstore bundle":       {key, d, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":` + string(good) + `}`), seal.ErrMalformed},
		"two documents":           {key, d, append(bytes.Clone(good), good...), seal.ErrMalformed},
		"cut":                     {key, d, good[:len(good)-1], seal.ErrMalformed},
		"nested":                  {key, d, []byte(strings.Repeat(`{"payload":`, 100_000)), seal.ErrMalformed},
		"null":                    {key, d, []byte("null"), seal.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireVerdict(t, c.want, f.Verify(c.key.Public(), c.digests, c.content))
		})
	}

	uses := key.Uses()
	_, err = f.Seal(t.Context(), unnamed{key}, d)
	require.ErrorContains(t, err, "evidence names its key")
	require.Equal(t, uses, key.Uses())
}

// unnamed is a signer that does not tell its name.
type unnamed struct{ key *sealtest.Key }

func (u unnamed) Public() crypto.PublicKey { return u.key.Public() }
func (u unnamed) Hash() crypto.Hash        { return u.key.Hash() }
func (u unnamed) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	return u.key.Sign(ctx, digest)
}

func TestKeyHint(t *testing.T) {
	t.Parallel()
	f, _ := seal.Lookup("sigstore")
	key, d := sealtest.NewKey(t, "P-256", "one"), digestsOf(nil)
	good, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)

	spki, ok := f.KeyHint(good)
	require.True(t, ok)
	require.Equal(t, hintOf(t, f, key, d), base64.StdEncoding.EncodeToString(spki[:]))
	for name, content := range map[string][]byte{
		"another form": set(t, good, "release-2026", "verificationMaterial", "publicKey", "hint"),
		"too short":    set(t, good, "AAAA", "verificationMaterial", "publicKey", "hint"),
		"no bundle":    []byte("{}"),
		"too large":    make([]byte, seal.MaxSize+1),
	} {
		_, ok := f.KeyHint(content)
		require.False(t, ok, name)
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	require.Equal(t, reason.Code(""), seal.Problem(nil))
	for err, want := range map[error]reason.Code{
		seal.ErrMalformed:      reason.SignatureInvalid,
		seal.ErrInvalid:        reason.SignatureInvalid,
		seal.ErrWrongBytes:     reason.SignatureWrongBytes,
		seal.ErrWrongKey:       reason.SignatureWrongKey,
		seal.ErrNoDigest:       reason.Undecided,
		seal.ErrUnsupportedKey: reason.Undecided,
	} {
		require.Equal(t, want, seal.Problem(err))
	}
	require.Error(t, seal.Format{}.Verify(nil, nil, []byte("x")))
	require.Equal(t, reason.Undecided, seal.Problem(seal.Format{}.Verify(nil, nil, []byte("x"))))
}

func requireVerdict(t *testing.T, want, got error) {
	t.Helper()
	if want == nil {
		require.NoError(t, got)
		return
	}
	require.ErrorIs(t, got, want)
	require.Less(t, len(got.Error()), 1000, "untrusted content does not fill the log")
}

func hintOf(t *testing.T, f seal.Format, key *sealtest.Key, d seal.Digests) string {
	t.Helper()
	b, err := f.Seal(t.Context(), key, d)
	require.NoError(t, err)
	return get(t, b, "verificationMaterial", "publicKey", "hint").(string)
}

func indent(t *testing.T, doc []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, doc, "", "  "))
	return b.Bytes()
}

func get(t *testing.T, doc []byte, path ...string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(doc, &v))
	for _, p := range path {
		v = v.(map[string]any)[p]
		require.NotNil(t, v, p)
	}
	return v
}

// set replaces one value of a JSON document; nil removes it.
func set(t *testing.T, doc []byte, value any, path ...string) []byte {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(doc, &root))
	at := root
	for _, p := range path[:len(path)-1] {
		at = at[p].(map[string]any)
	}
	last := path[len(path)-1]
	if at[last] = value; value == nil {
		delete(at, last)
	}
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return out
}

// Sharing one verification between files must not let a bad one pass.
func TestVerifyAllJudgesEveryFile(t *testing.T) {
	t.Parallel()
	key, other := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-256", "two")
	d := digestsOf([]byte("artifact"))
	sealed := func(k *sealtest.Key, d seal.Digests) map[string][]byte {
		files := map[string][]byte{}
		for _, name := range seal.Formats() {
			f, _ := seal.Lookup(name)
			content, err := f.Seal(t.Context(), k, d)
			require.NoError(t, err)
			files[name] = content
		}
		return files
	}
	require.NoError(t, seal.VerifyAll(key.Public(), d, sealed(key, d)))
	for name, bad := range map[string]map[string][]byte{"by another key": sealed(other, d), "for other bytes": sealed(key, digestsOf([]byte("other")))} {
		for format := range bad {
			files := sealed(key, d)
			files[format] = bad[format]
			require.Error(t, seal.VerifyAll(key.Public(), d, files), "%s %s", format, name)
		}
	}
	require.Error(t, seal.VerifyAll(key.Public(), d, map[string][]byte{"unknown": nil}))
}
