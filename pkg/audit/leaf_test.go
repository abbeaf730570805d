package audit_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

func digest(s string) artifact.Digest { return sha256.Sum256([]byte(s)) }

func goldenIntent() audit.Intent {
	return audit.Intent{
		ID: 17, Replica: "hallmark-0", Grant: "0123456789abcdef0123456789abcdef", Event: 4, Asked: "ann", Instance: "main",
		Repo: "libs-staging-local", Path: "app/1.4.2/app <&> \u2028 \U0001f600.tgz", Subject: digest("subject"), Key: "release-2026", SPKI: digest("spki"),
		Purpose: "sign", Formats: []string{"sigstore", "raw"}, Policy: "release-binaries", Rule: "release.yaml:3 (release-binaries)",
		PolicySet: digest("policies"), At: noon,
	}
}

func goldenOutcome() audit.Outcome {
	return audit.Outcome{
		Intent: 5, Result: audit.Sealed, Certificate: digest("certificate"), At: noon,
		Uses: []audit.Use{{Signature: digest("signature"), Timestamp: digest("timestamp"), Entries: []uint64{6, 7}}},
	}
}

func goldenStart() audit.Start {
	return audit.Start{
		Replica: "hallmark-0", Version: "1.2.3", At: noon,
		Keys: []audit.OpenedKey{{Name: "release-2026", SPKI: digest("spki"), Use: "artifact"}, {Name: "log", SPKI: digest("log"), Use: "log"}},
	}
}

// certificate is the same for the same key.
func certificate(t testing.TB, key *sealtest.Key) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "release-2026"}, NotBefore: noon, NotAfter: noon.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs: []*url.URL{{Scheme: "https", Host: "hallmark.example", Path: "/keys/release-2026"}},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), signerOf{t, key})
	require.NoError(t, err)
	return der
}

func draftOf(t testing.TB, der []byte) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c.RawTBSCertificate
}

func rekord(t testing.TB, key *sealtest.Key, content string, certified bool) audit.Rekord {
	t.Helper()
	h := key.Hash().New()
	_, _ = h.Write([]byte(content)) // a hash never fails
	d := h.Sum(nil)
	sig, err := key.Sign(t.Context(), d)
	require.NoError(t, err)
	r := audit.Rekord{Digest: d, Hash: key.Hash(), Signature: sig, Verifier: audit.Verifier{PublicKey: key.Public()}}
	if certified {
		r.Verifier = audit.Verifier{Certificate: certificate(t, key)}
	}
	return r
}

func goldenLeaves(t testing.TB) map[string]audit.Leaf {
	t.Helper()
	p256, p384 := sealtest.NewKey(t, "P-256", "golden"), sealtest.NewKey(t, "P-384", "golden")
	return map[string]audit.Leaf{
		"intent":           goldenIntent(),
		"outcome":          goldenOutcome(),
		"abandoned":        audit.Outcome{Intent: 9, Result: audit.Abandoned, Why: "the token is gone", At: noon},
		"start":            goldenStart(),
		"draft":            audit.Draft{TBS: draftOf(t, certificate(t, p256))},
		"certificate":      audit.Certificate{DER: certificate(t, p256)},
		"rekord":           rekord(t, p256, "golden", false),
		"rekord-certified": rekord(t, p256, "golden", true),
		"rekord-p384":      rekord(t, p384, "golden", true),
	}
}

// What was once logged must be readable for ever, and what is logged today must have the same bytes.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, leaf := range goldenLeaves(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".json")
			b, err := leaf.Marshal()
			require.NoError(t, err)
			if *update {
				require.NoError(t, os.WriteFile(file, b, 0o600))
			}
			golden, err := os.ReadFile(file)
			require.NoError(t, err, "every kind has a golden file: go test ./pkg/audit -run TestGolden -update")
			require.Equal(t, string(golden), string(b))
			require.True(t, json.Valid(b))

			read, err := audit.ParseLeaf(golden)
			require.NoError(t, err)
			require.IsType(t, leaf, read)
			require.Equal(t, leaf.Kind(), read.Kind())
			again, err := read.Marshal()
			require.NoError(t, err)
			require.Equal(t, string(golden), string(again))
		})
	}
}

func TestParsedIsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, leaf := range []audit.Leaf{goldenIntent(), goldenOutcome(), goldenStart()} {
		b, err := leaf.Marshal()
		require.NoError(t, err)
		read, err := audit.ParseLeaf(b)
		require.NoError(t, err)
		require.Equal(t, leaf, read)
	}
}

// Times are written in UTC and microseconds, whatever they were given in; empty lists are never null.
func TestOneFormForOneMeaning(t *testing.T) {
	t.Parallel()
	a, b := goldenIntent(), goldenIntent()
	b.At = b.At.Add(789 * time.Nanosecond).In(time.FixedZone("here", 7200))
	a.Formats, b.Formats = nil, []string{}
	one, err := a.Marshal()
	require.NoError(t, err)
	two, err := b.Marshal()
	require.NoError(t, err)
	require.Equal(t, string(one), string(two))
	require.Contains(t, string(one), `"formats":[]`)
}

func TestParseLeafIsStrict(t *testing.T) {
	t.Parallel()
	good, err := goldenIntent().Marshal()
	require.NoError(t, err)
	certified, err := rekord(t, sealtest.NewKey(t, "P-256", "golden"), "x", true).Marshal()
	require.NoError(t, err)
	edit := func(b []byte, old, other string) string {
		t.Helper()
		require.Contains(t, string(b), old)
		return strings.Replace(string(b), old, other, 1)
	}
	for name, b := range map[string]string{
		"nothing":                 "",
		"no object":               `17`,
		"null":                    `null`,
		"blank behind":            string(good) + "\n",
		"blank inside":            edit(good, `"id":17`, `"id": 17`),
		"second leaf behind":      string(good) + string(good),
		"unknown field":           edit(good, `"id":17`, `"id":17,"idle":1`),
		"unknown outer field":     edit(good, `"kind"`, `"extra":1,"kind"`),
		"field twice":             edit(good, `"id":17`, `"id":17,"id":17`),
		"field in capitals":       edit(good, `"id":17`, `"ID":17`),
		"field missing":           edit(good, `"id":17,`, ``),
		"null list":               edit(good, `["sigstore","raw"]`, `null`),
		"other order":             edit(good, `"apiVersion":"1","kind":"hallmark-intent"`, `"kind":"hallmark-intent","apiVersion":"1"`),
		"other escape":            edit(good, `"ann"`, `"\u0061nn"`),
		"number with point":       edit(good, `"id":17`, `"id":17.0`),
		"negative":                edit(good, `"id":17`, `"id":-17`),
		"too great a number":      edit(good, `"id":17`, `"id":9007199254740993`),
		"digest in capitals":      edit(good, digest("subject").String(), strings.ToUpper(digest("subject").String())),
		"other time zone":         edit(good, `123456Z`, `123456+00:00`),
		"nanoseconds":             edit(good, `123456Z`, `123456789Z`),
		"unknown kind":            edit(good, `hallmark-intent`, `hallmark-wish`),
		"unknown version":         edit(good, `"apiVersion":"1"`, `"apiVersion":"2"`),
		"zero digest":             edit(good, digest("subject").String(), ""),
		"not UTF-8":               edit(good, `"ann"`, "\"\xff\""),
		"too long":                edit(good, `"ann"`, `"`+strings.Repeat("a", audit.MaxLeaf)+`"`),
		"deep":                    strings.Repeat(`{"spec":`, 8000),
		"rekord, other version":   edit(certified, `"0.0.2"`, `"0.0.1"`),
		"rekord, other hash":      edit(certified, `"SHA2_256"`, `"SHA2_384"`),
		"rekord, other algorithm": edit(certified, `"PKIX_ECDSA_P256_SHA_256"`, `"PKIX_ECDSA_P384_SHA_384"`),
		"rekord, no verifier":     edit(certified, `"x509Certificate"`, `"publicKey"`),
		"rekord, empty":           `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{}}`,
		"rekord, number for name": edit(certified, `"PKIX_ECDSA_P256_SHA_256"`, `5`),
		"rekord, Ed25519": `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_512","digest":"AA=="},` +
			`"signature":{"content":"AA==","verifier":{"keyDetails":"PKIX_ED25519","publicKey":{"rawBytes":"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="}}}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaf, err := audit.ParseLeaf([]byte(b))
			require.ErrorIs(t, err, audit.ErrLeaf)
			require.Nil(t, leaf)
			require.Less(t, len(err.Error()), 2000)
		})
	}
}

func TestMarshalRefusesHalfLeaves(t *testing.T) {
	t.Parallel()
	for want, leaf := range map[string]audit.Leaf{
		"subject is missing":  func() audit.Leaf { l := goldenIntent(); l.Subject = artifact.Digest{}; return l }(),
		"id is missing":       func() audit.Leaf { l := goldenIntent(); l.ID = 0; return l }(),
		"is not UTF-8":        func() audit.Leaf { l := goldenIntent(); l.Path = "a\xff"; return l }(),
		"the limit is":        func() audit.Leaf { l := goldenIntent(); l.Event = 1 << 53; return l }(),
		"has at most 65535":   func() audit.Leaf { l := goldenIntent(); l.Path = strings.Repeat("p", audit.MaxLeaf); return l }(),
		`result is "perhaps"`: func() audit.Leaf { l := goldenOutcome(); l.Result = "perhaps"; return l }(),
		"signature is missing": func() audit.Leaf {
			l := goldenOutcome()
			l.Uses = []audit.Use{{}}
			return l
		}(),
		"at is missing":          audit.Start{Replica: "r"},
		"tbs: ":                  audit.Draft{TBS: []byte{1}},
		"tbs: there is":          audit.Draft{TBS: append(draftOf(t, certificate(t, sealtest.NewKey(t, "P-256", "golden"))), 0)},
		"der: x509":              audit.Certificate{DER: []byte{1}},
		"verifier is missing":    audit.Rekord{},
		"it must be one of them": audit.Rekord{Verifier: audit.Verifier{Certificate: []byte{}, PublicKey: 1}},
	} {
		_, err := leaf.Marshal()
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, leaf.Kind())
	}
}
