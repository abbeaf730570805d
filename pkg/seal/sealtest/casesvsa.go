package sealtest

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func (w *world) vsa() map[string]asked {
	key, d := w.key, w.bytes
	good, noted := w.seal("vsa", key, d), w.notarized("vsa")
	payload, err := base64.StdEncoding.DecodeString(Get(w, good, "dsseEnvelope", "payload").(string))
	require.NoError(w, err)
	signed := func(words string) []byte { // by the very key, which would not do so
		pae := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(words), words)
		sig, err := key.Sign(w.Context(), Digests(w, pae)[crypto.SHA256])
		require.NoError(w, err)
		return Set(w, Set(w, good, []byte(words), "dsseEnvelope", "payload"), []any{map[string]any{"sig": sig}}, "dsseEnvelope", "signatures")
	}
	says := func(old, with string) []byte {
		require.Contains(w, string(payload), old)
		return signed(strings.Replace(string(payload), old, with, 1))
	}
	policyDigest := strings.Repeat("0", 58)
	return map[string]asked{
		"as sealed":                      {key, d, good, nil},
		"SHA-256 is enough":              {key, sha256(d), good, nil},
		"P-384, SHA-256 is enough":       {w.p384, sha256(d), w.seal("vsa", w.p384, sha256(d)), nil},
		"RSA":                            {w.rsa, d, w.seal("vsa", w.rsa, d), nil},
		"with certificate, log and time": {key, d, noted, nil},
		"signed anew":                    {key, d, signed(string(payload)), nil},
		"other place":                    {key, d, says("main/libs", "main/other"), nil},
		"other bytes":                    {key, w.otherBytes, good, seal.ErrWrongBytes},
		"other key":                      {w.other, d, good, seal.ErrWrongKey},
		"other key than certified":       {w.other, d, noted, seal.ErrWrongKey},
		"no digest":                      {key, seal.Digests{}, good, seal.ErrNoDigest},
		"edited":                         {key, d, w.edited(good, "main/libs", "main/other", "dsseEnvelope", "payload"), seal.ErrInvalid},
		"a signature of an image":        {key, d, w.seal("cosign", key, d), seal.ErrMalformed},
		"a signature of a file":          {key, d, w.seal("sigstore", key, d), seal.ErrMalformed},
		"other predicate":                {key, d, says("verification_summary/v1", "verification_summary/v2"), seal.ErrMalformed},
		"other subject":                  {key, d, says(d.SHA256().String(), w.otherBytes.SHA256().String()), seal.ErrWrongBytes},
		"two subjects":                   {key, d, says(`"subject":[`, `"subject":[{"digest":{}},`), seal.ErrMalformed},
		"a subject by another hash, too": {key, d, says(`{"sha256":"`+d.SHA256().String(), `{"sha1":"","sha256":"`+d.SHA256().String()), seal.ErrMalformed},
		"failed":                         {key, d, says(`"PASSED"`, `"FAILED"`), seal.ErrMalformed},
		"a level of SLSA":                {key, d, says("SLSA_BUILD_LEVEL_UNEVALUATED", "SLSA_BUILD_LEVEL_3"), seal.ErrMalformed},
		"two levels":                     {key, d, says(`"verifiedLevels":[`, `"verifiedLevels":["SLSA_BUILD_LEVEL_3",`), seal.ErrMalformed},
		"no levels":                      {key, d, says(`["SLSA_BUILD_LEVEL_UNEVALUATED"]`, `[]`), seal.ErrMalformed},
		"other version":                  {key, d, says(`"slsaVersion":"1.0"`, `"slsaVersion":"1.1"`), seal.ErrMalformed},
		"no verifier":                    {key, d, says(`{"id":"https://hallmark.example"}`, `{}`), seal.ErrMalformed},
		"a verifier without a scheme":    {key, d, says(`{"id":"https://hallmark.example"}`, `{"id":"hallmark.example"}`), seal.ErrMalformed},
		"a verifier in capitals":         {key, d, says("https://hallmark.example\"}", "HTTPS://hallmark.example\"}"), seal.ErrMalformed},
		"a place with a blank":           {key, d, says("main/libs", "main/a libs"), seal.ErrMalformed},
		"a place in letters of others":   {key, d, says("main/libs", "main/älibs"), seal.ErrMalformed},
		"a verifier with a version":      {key, d, says(`{"id":"https://hallmark.example"}`, `{"id":"https://hallmark.example","version":{}}`), seal.ErrMalformed},
		"no place":                       {key, d, says(`"resourceUri":"artifactory://main/libs-staging-local/app/1.0/app.tgz"`, `"resourceUri":""`), seal.ErrMalformed},
		"a place that is a number":       {key, d, says(`"resourceUri":"artifactory://main/libs-staging-local/app/1.0/app.tgz"`, `"resourceUri":1`), seal.ErrMalformed},
		"a very long place":              {key, d, says("main/libs", "main/"+strings.Repeat("x", 17_000)), seal.ErrMalformed},
		"no policy":                      {key, d, says("https://hallmark.example/policies/release-binaries", ""), seal.ErrMalformed},
		"policy digest cut":              {key, d, says(policyDigest, policyDigest[1:]), seal.ErrMalformed},
		"policy digest in capitals":      {key, d, says("010203"+policyDigest, "0102AA"+policyDigest), seal.ErrMalformed},
		"policy by another hash":         {key, d, says(`"digest":{"sha256":"010203`, `"digest":{"sha512":"010203`), seal.ErrMalformed},
		"time with a zone":               {key, d, says("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+01:00"), seal.ErrMalformed},
		"time with fractions":            {key, d, says("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z"), seal.ErrMalformed},
		"no time":                        {key, d, says("2026-01-02T03:04:05Z", "yesterday"), seal.ErrMalformed},
		"an input without a digest":      {key, d, says(`"digest":{"sha256":"040506`+policyDigest+`"}`, `"digest":{}`), seal.ErrMalformed},
		"an input with annotations":      {key, d, says(`"digest":{"sha256":"040506`+policyDigest+`"}`, `"digest":{"sha256":"040506`+policyDigest+`"},"annotations":{"a":"b"}`), seal.ErrMalformed},
		"an input that is null":          {key, d, says(`"inputAttestations":[`, `"inputAttestations":[null,`), seal.ErrMalformed},
		"no inputs, in other words":      {key, d, signed(string(payload[:strings.Index(string(payload), `"inputAttestations"`)]) + `"inputAttestations":[]` + string(payload[strings.Index(string(payload), `,"verificationResult"`):])), seal.ErrMalformed},
		"many inputs":                    {key, d, says(`"inputAttestations":[`, `"inputAttestations":[`+strings.Repeat(`{"uri":"a:b","digest":{"sha256":"040506`+policyDigest+`"}},`, 64)), seal.ErrMalformed},
		"a member twice":                 {key, d, says(`{"_type"`, `{"subject":[],"_type"`), seal.ErrMalformed},
		"more members":                   {key, d, says(`"slsaVersion":"1.0"`, `"slsaVersion":"1.0","x":1`), seal.ErrMalformed},
		"with blanks":                    {key, d, says(`"PASSED"`, ` "PASSED"`), seal.ErrMalformed},
		"another escape":                 {key, d, says("libs-staging-local/app/1.0/app.tgz", `libs-staging-loc\u0061l/app/1.0/app.tgz`), seal.ErrMalformed},
		"no UTF-8":                       {key, d, says("libs-staging-local/app/1.0/app.tgz", "libs-staging-loc\xffl/app/1.0/app.tgz"), seal.ErrMalformed},
		"no JSON":                        {key, d, signed("summary"), seal.ErrMalformed},
		"no predicate":                   {key, d, signed(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + d.SHA256().String() + `"}}],"predicateType":"https://slsa.dev/verification_summary/v1"}`), seal.ErrMalformed},
		"a predicate that is a list":     {key, d, signed(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + d.SHA256().String() + `"}}],"predicateType":"https://slsa.dev/verification_summary/v1","predicate":[]}`), seal.ErrMalformed},
		"cut":                            {key, d, good[:len(good)-1], seal.ErrMalformed},
		"empty":                          {key, d, nil, seal.ErrMalformed},
	}
}
