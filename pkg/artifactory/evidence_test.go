package artifactory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	evidencePath = "/evidence/api/v1/subject/"
	trustedPath  = "/artifactory/api/security/keys/trusted"
)

// subject is the suite's bundle as it is signed.
func (s *suite) subject() artifact.Subject {
	s.t.Helper()
	info, err := s.client.Info(s.t.Context(), s.ref)
	require.NoError(s.t, err)
	return artifact.Subject{Kind: artifact.KindBundle, Info: info}
}

// sealed is evidence about the bundle by a key.
func (s *suite) sealed(key seal.Signer) []byte {
	s.t.Helper()
	f, ok := seal.Lookup(artifactory.EvidenceFormat)
	require.True(s.t, ok)
	content, err := f.Seal(s.t.Context(), key, seal.FromSHA256(s.subject().SHA256))
	require.NoError(s.t, err)
	return content
}

func (s *suite) trust(key *sealtest.Key, alias string) {
	s.t.Helper()
	s.post(trustedPath, map[string]string{"alias": alias, "key": string(key.PEM(s.t))}, http.StatusCreated)
}

func (s *suite) attest(content []byte) error {
	_, err := s.client.Attest(s.t.Context(), s.subject(), artifactory.EvidenceFormat, content)
	return err
}

func (s *suite) attached() (files []string) {
	for _, p := range s.server.Paths(s.ref.Repo) {
		if strings.HasPrefix(p, ".evidence/") {
			files = append(files, p)
		}
	}
	return files
}

func TestAttest(t *testing.T) {
	t.Parallel()
	for project, quirks := range map[string]standin.Quirks{"": {}, "fw": {VerifiedType: "string"}} {
		s := newSuite(t, project, standin.Config{Quirks: quirks})
		s.client = s.as(artifactorytest.Signer)
		key := sealtest.NewKey(t, "P-256", "release-2026")
		none, err := s.client.Attestations(t.Context(), s.subject())
		require.NoError(t, err)
		require.Empty(t, none)

		s.trust(key, "release-2026")
		content := s.sealed(key)
		for range 3 {
			where, err := s.client.Attest(t.Context(), s.subject(), artifactory.EvidenceFormat, content)
			require.NoError(t, err)
			require.Equal(t, s.ref.Repo+"/"+s.attached()[0], where)
			require.Equal(t, 1, s.server.CountRequests(http.MethodPost, evidencePath), "what is attached is not attached again")
		}
		require.Len(t, s.attached(), 1)
		found, err := s.client.Attestations(t.Context(), s.subject())
		require.NoError(t, err)
		require.Equal(t, []artifactory.StoredSignature{{Name: s.ref.Repo + "/" + s.attached()[0], Format: "evidence", Content: content}}, found)
		f, _ := seal.Lookup(found[0].Format)
		require.NoError(t, f.Verify(key.Public(), seal.FromSHA256(s.subject().SHA256), found[0].Content))

		second := sealtest.NewKey(t, "P-256", "release-2027")
		s.trust(second, "release-2027")
		require.NoError(t, s.attest(s.sealed(second)), "the same payload by another key is other evidence")
		require.Len(t, s.attached(), 2)
	}
}

// Artifactory takes evidence that it does not verify. That is a failure here, with its cause.
func TestAttestNotVerified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, algorithm, alias string
		keys                   string // quirk
		hidden                 bool   // the token may not see the trusted keys
		want                   string // "" for success
		sent                   int
	}{
		{"no trusted key", "P-256", "somebody", "", false, "no trusted key has this alias", 0},
		{"no trusted key, hidden", "P-256", "somebody", "", true, "uploads the public key as trusted key under this alias", 1},
		{"P-384", "P-384", "release", "", false, "of type EC P-384, and JFrog documents RSA-2048, P-256 and Ed25519", 1},
		{"P-384, hidden", "P-384", "release", "", true, "JFrog documents RSA-2048, P-256 and Ed25519", 1},
		{"RSA-3072", "RSA-3072", "release", "", false, "of type RSA 3072", 1},
		{"P-384 that is known", "P-384", "release", "all", false, "", 1},
		{"RSA-4096 that is known, hidden", "RSA-4096", "release", "all", true, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, "", standin.Config{Quirks: standin.Quirks{EvidenceKeys: c.keys}})
			key := sealtest.NewKey(t, c.algorithm, "release")
			s.trust(key, c.alias)
			if c.hidden {
				s.server.Fail(standin.Fault{Method: http.MethodGet, Path: trustedPath, Status: http.StatusForbidden, Times: -1})
			}
			content := s.sealed(named{key, "release"})
			for range 3 {
				err := s.attest(content)
				require.Equal(t, c.sent, s.server.CountRequests(http.MethodPost, evidencePath), "it does not pile up")
				if c.want == "" {
					require.NoError(t, err)
					continue
				}
				refused := &artifactory.NotVerified{}
				require.ErrorAs(t, err, &refused)
				require.Equal(t, "release", refused.Alias)
				require.ErrorContains(t, err, c.want)
				require.False(t, artifactory.Temporary(err))
			}
		})
	}

	s := newSuite(t, "", standin.Config{})
	key := sealtest.NewKey(t, "P-256", "release")
	content := s.sealed(key)
	require.Error(t, s.attest(content))
	s.trust(key, "release")
	require.NoError(t, s.attest(content), "once the key is there, the next try works")

	s = newSuite(t, "", standin.Config{})
	s.trust(sealtest.NewKey(t, "P-256", "somebody else"), "release")
	require.ErrorContains(t, s.attest(s.sealed(key)), "is another one")
}

// Some releases refuse an alias that they do not know with 400, which can have other causes, too: only what the list of
// trusted keys confirms is told as the key's fault.
func TestAttestRefusedAsBad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trusted, seen, unverified bool
		want                      string
	}{
		"key is known":    {true, true, false, "not found"},
		"keys are hidden": {true, false, false, "uploads the public key as trusted key under this alias"},
		"key is unknown":  {false, true, true, "no trusted key has this alias"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, "", standin.Config{})
			key := sealtest.NewKey(t, "P-256", "release")
			if c.trusted {
				s.trust(key, "release")
			}
			if !c.seen {
				s.server.Fail(standin.Fault{Method: http.MethodGet, Path: trustedPath, Status: http.StatusForbidden, Times: -1})
			} else if !c.trusted { // it goes away between the question before and the answer
				s.server.Fail(standin.Fault{Method: http.MethodGet, Path: trustedPath, Status: http.StatusForbidden})
			}
			s.server.Fail(standin.Fault{Method: http.MethodPost, Path: evidencePath + "**", Status: http.StatusBadRequest, Body: `{"errors":[{"message":"not found"}]}`})
			err := s.attest(s.sealed(key))
			refused := &artifactory.Refused{}
			require.ErrorAs(t, err, &refused)
			_, unverified := errors.AsType[*artifactory.NotVerified](err)
			require.Equal(t, c.unverified, unverified, "%v", err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// named is a key under another name.
type named struct {
	*sealtest.Key
	name string
}

func (n named) Name() string { return n.name }

func TestAttestErrors(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	setUp := func(t *testing.T) (*suite, []byte) {
		s := newSuite(t, "", standin.Config{})
		s.trust(key, "release")
		return s, s.sealed(key)
	}
	const graphql = "/onemodel/api/v1/graphql"
	for name, c := range map[string]struct {
		fault standin.Fault
		want  error
		text  string
	}{
		"no service to search":   {standin.Fault{Path: graphql, Status: http.StatusNotFound}, artifactory.ErrNoEvidence, "Enterprise+"},
		"no service":             {standin.Fault{Path: evidencePath + "**", Status: http.StatusNotFound}, artifactory.ErrNoEvidence, "Enterprise+"},
		"not implemented":        {standin.Fault{Path: evidencePath + "**", Status: http.StatusNotImplemented}, artifactory.ErrNoEvidence, "501"},
		"no licence":             {standin.Fault{Path: evidencePath + "**", Status: http.StatusForbidden}, nil, "Enterprise+"},
		"search not allowed":     {standin.Fault{Path: graphql, Status: http.StatusForbidden}, nil, "searching evidence was refused"},
		"token rejected":         {standin.Fault{Path: graphql, Status: http.StatusUnauthorized}, nil, "401"},
		"errors instead of data": {standin.Fault{Path: graphql, Status: http.StatusOK, Body: `{"errors":[{"message":"Cannot query field"}]}`}, nil, "Cannot query field"},
		"no data":                {standin.Fault{Path: graphql, Status: http.StatusOK, Body: `{"data":null}`}, nil, "holds none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, content := setUp(t)
			c.fault.Method = http.MethodPost
			s.server.Fail(c.fault)
			err := s.attest(content)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.ErrorContains(t, err, c.text)
			require.False(t, artifactory.Temporary(err))
			require.NoError(t, s.attest(content))
		})
	}

	s, content := setUp(t)
	refused := &artifactory.Refused{}
	s.client = s.as(artifactorytest.Reader)
	require.ErrorAs(t, s.attest(content), &refused, "annotate is missing")
	s.client = s.as(artifactorytest.Signer)
	subject := s.subject()
	s.drop()
	_, err := s.client.Attest(t.Context(), subject, artifactory.EvidenceFormat, content)
	require.ErrorIs(t, err, artifact.ErrGone)
	_, err = s.client.Attest(t.Context(), subject, "sigstore", content)
	require.ErrorContains(t, err, "takes the format evidence")
	for _, bad := range []string{"", "{}", `{"payload":"AAAA","signatures":[]}`, `{"payload":"AAAA","signatures":[{"sig":"x"}]}`, `{"payload":"%","signatures":[{"keyid":"k"}]}`} {
		_, err = s.client.Attest(t.Context(), subject, artifactory.EvidenceFormat, []byte(bad))
		require.ErrorContains(t, err, "evidence ", bad)
	}

	for name, f := range map[string]standin.Fault{"lost": {Reset: true, When: standin.After}, "unavailable": {Status: http.StatusBadGateway, When: standin.After}, "cut": {Truncate: 9}} {
		s, content := setUp(t)
		f.Method, f.Path = http.MethodPost, evidencePath+"**"
		s.server.Fail(f)
		err := s.attest(content)
		require.True(t, artifactory.Temporary(err), "%s: %v", name, err)
		require.NoError(t, s.attest(content))
		require.Len(t, s.attached(), 1, "the lost answer cost no second piece")
	}
}

// Anybody who may annotate can attach evidence: of other kinds, and such that looks like ours. Ours is found among it.
func TestAttestationsAmongOthers(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", standin.Config{})
	key, forger := sealtest.NewKey(t, "P-256", "release"), sealtest.NewKey(t, "P-256", "forger")
	s.trust(key, "release")
	content := s.sealed(key)
	require.NoError(t, s.attest(content))
	var forged, other map[string]any
	require.NoError(t, json.Unmarshal(s.sealed(named{forger, "release"}), &forged))
	require.NoError(t, json.Unmarshal(content, &other))
	other["payload"] = []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + s.subject().SHA256.String() + `"}}],"predicateType":"https://jfrog.com/evidence/promotion/v1","predicate":{}}`)
	for i := range 70 {
		forged["n"], other["n"] = i, i // of two alike at one time, the stand-in keeps one
		s.post(evidencePath+s.ref.String(), forged, http.StatusCreated)
		s.post(evidencePath+s.ref.String(), other, http.StatusCreated)
	}
	found, err := s.client.Attestations(t.Context(), s.subject())
	require.ErrorIs(t, err, artifactory.ErrTooMany)
	require.ErrorContains(t, err, "there are 71, 64 are read")
	require.Equal(t, 64, len(found))
	require.Equal(t, content, found[0].Content)
	for _, one := range found {
		require.Equal(t, get(t, content, "payload"), get(t, one.Content, "payload"), "statements of other kinds are not read")
	}
	require.NoError(t, s.attest(content))
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/release-bundles-v2/.evidence/**", Status: http.StatusForbidden})
	_, err = s.client.Attestations(t.Context(), s.subject())
	require.Error(t, err, "what cannot be read is not as if it were not there")

	mine := sealtest.NewKey(t, "P-256", "late")
	s.trust(mine, "late")
	require.ErrorIs(t, s.attest(s.sealed(mine)), artifactory.ErrTooMany, "no more are read, so no more are made")
	require.Len(t, s.attached(), 141)
}

// get is one member of a JSON object.
func get(t *testing.T, doc []byte, member string) any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(doc, &v))
	return v[member]
}

// searched answers searches with one body, and everything else with the file's content.
func searched(t testing.TB, answer func(query string) string, file string) (*artifactory.Client, artifact.Subject) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/graphql"):
			var body struct{ Query string }
			if json.NewDecoder(r.Body).Decode(&body) == nil {
				_, _ = io.WriteString(w, answer(body.Query))
			}
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(w, `{"verified":"true"}`)
		case strings.HasSuffix(r.URL.Path, "/trusted"):
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = io.WriteString(w, file)
		}
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, srv.URL, func(cfg *artifactory.Config) { cfg.Retries = -1 })
	ref, err := c.BundleRef("", `n"}`, "v")
	require.NoError(t, err)
	return c, artifact.Subject{Info: artifact.Info{Ref: ref, SHA256: artifact.Digest{1}}}
}

func nodeOf(path, created, sha string) string {
	return fmt.Sprintf(`{"cursor":"c","node":{"downloadPath":%q,"predicateType":%q,"createdAt":%q,"verified":null,"subject":{"sha256":%q}}}`, path, seal.EvidencePredicate, created, sha)
}

func answerOf(total int, edges ...string) string {
	return fmt.Sprintf(`{"data":{"evidence":{"searchEvidence":{"totalCount":%d,"edges":[%s]}}}}`, total, strings.Join(edges, ","))
}

func TestAttestationsStrangeAnswers(t *testing.T) {
	t.Parallel()
	const place = "release-bundles-v2/.evidence/a/b/e.json"
	own := artifact.Digest{1}.String()
	for name, c := range map[string]struct {
		answer string
		file   string
		count  int
		fails  bool
	}{
		"one":                 {answerOf(1, nodeOf(place, "", own)), "x", 1, false},
		"digest not told":     {answerOf(1, nodeOf(place, "", "")), "x", 1, false},
		"digest in capitals":  {answerOf(1, nodeOf(place, "", strings.ToUpper(own))), "x", 1, false},
		"about other bytes":   {answerOf(1, nodeOf(place, "", strings.Repeat("0", 64))), "x", 0, false},
		"another repository":  {answerOf(1, nodeOf("libs/.evidence/e.json", "", own)), "x", 0, false},
		"a path that climbs":  {answerOf(1, nodeOf("release-bundles-v2/../libs/e.json", "", own)), "x", 0, false},
		"no path":             {answerOf(1, nodeOf("", "", own)), "x", 0, false},
		"too large":           {answerOf(1, nodeOf(place, "", own)), strings.Repeat("x", 1<<20+1), 0, false},
		"fewer than counted":  {answerOf(9, strings.Replace(nodeOf(place, "", own), `"c"`, `""`, 1)), "x", 1, false},
		"none":                {answerOf(0), "x", 0, false},
		"not JSON":            {`<html>`, "x", 0, true},
		"edges of other type": {`{"data":{"evidence":{"searchEvidence":{"edges":{}}}}}`, "x", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, subject := searched(t, func(string) string { return c.answer }, c.file)
			found, err := client.Attestations(t.Context(), subject)
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Len(t, found, c.count)
		})
	}

	asked := 0
	client, subject := searched(t, func(query string) string {
		asked++
		require.Contains(t, query, `path: "n\"}/v", name: "release-bundle.json.evd"`, "names cannot leave their quotes")
		if asked > 1 {
			require.Contains(t, query, `after: "c"`)
		}
		return answerOf(1_000_000, nodeOf(place, "", own))
	}, "x")
	found, err := client.Attestations(t.Context(), subject)
	require.ErrorIs(t, err, artifactory.ErrTooMany)
	require.Len(t, found, 64)
	require.Equal(t, 2000, asked, "an answer without end is left")
}

// Where the search ends before it has seen all, nothing is said to be none, and nothing more is attached.
func TestEvidenceBehindMuchOfOthers(t *testing.T) {
	t.Parallel()
	const place = "release-bundles-v2/.evidence/a/b/e.json"
	foreign := strings.Replace(nodeOf(place, "", ""), seal.EvidencePredicate, "https://jfrog.com/evidence/promotion/v1", 1)
	for total, cut := range map[int]bool{2000: false, 2001: true} {
		client, subject := searched(t, func(string) string {
			return answerOf(total, strings.Split(strings.Repeat(foreign+"\n", 1000), "\n")[:1000]...)
		}, "x")
		found, err := client.Attestations(t.Context(), subject)
		require.Empty(t, found)
		_, attested := client.Attest(t.Context(), subject, artifactory.EvidenceFormat, []byte(`{"payload":"AAAA","signatures":[{"keyid":"k","sig":"AAAA"}]}`))
		if !cut {
			require.NoError(t, err)
			require.NoError(t, attested)
			continue
		}
		require.ErrorIs(t, err, artifactory.ErrTooMany)
		require.ErrorIs(t, attested, artifactory.ErrTooMany)
	}
}

// Evidence without effect holds the next try up for an hour, not for ever.
func TestAttestAfterTheHour(t *testing.T) {
	t.Parallel()
	const place = "release-bundles-v2/.evidence/a/b/e.json"
	content := []byte(`{"payload":"AAAA","signatures":[{"keyid":"k","sig":"AAAA"}]}`)
	for created, held := range map[string]bool{
		time.Now().Format(time.RFC3339): true, time.Now().Add(-2 * time.Hour).Format(time.RFC3339): false, "yesterday": false,
	} {
		client, subject := searched(t, func(string) string { return answerOf(1, nodeOf(place, created, "")) }, string(content))
		_, err := client.Attest(t.Context(), subject, artifactory.EvidenceFormat, content)
		_, ok := errors.AsType[*artifactory.NotVerified](err)
		require.Equal(t, held, ok, "%s: %v", created, err)
		require.Equal(t, held, err != nil)
	}
}

// Whoever may annotate can attach what bears our payload and our key's name. Whatever Artifactory says of it, it is not
// taken for ours and does not keep ours away.
func TestAttestBesideAForgery(t *testing.T) {
	t.Parallel()
	key, forger := sealtest.NewKey(t, "P-256", "release"), sealtest.NewKey(t, "P-256", "forger")
	for name, believed := range map[string]bool{"not verified": false, "verified": true} {
		s := newSuite(t, "", standin.Config{})
		if believed { // whoever manages trusted keys put another one under the name
			s.trust(forger, "release")
			require.NoError(t, s.attest(s.sealed(named{forger, "release"})), name)
			require.ErrorContains(t, s.attest(s.sealed(key)), "is another one")
		} else {
			s.trust(key, "release")
			s.post(evidencePath+s.ref.String(), json.RawMessage(s.sealed(named{forger, "release"})), http.StatusCreated)
			require.NoError(t, s.attest(s.sealed(key)), name)
		}
		require.Len(t, s.attached(), 2, name)
	}
}

// FuzzAttestations: whatever a search answers, what is read lies in the subject's repository and is bounded.
func FuzzAttestations(f *testing.F) {
	const place = "release-bundles-v2/.evidence/a/b/e.json"
	for _, s := range []string{answerOf(1, nodeOf(place, "2026-08-14T09:35:00.123Z", "")), answerOf(3, nodeOf("a", "", ""), nodeOf(place, "", "")), `{}`, `{"data":{"evidence":{"searchEvidence":{"edges":[null]}}}}`} {
		f.Add(s, `{"payload":"AAAA","signatures":[{"keyid":"k"}]}`)
	}
	var answer string
	client, subject := searched(f, func(string) string { return answer }, "")
	f.Fuzz(func(t *testing.T, search, envelope string) {
		answer = search
		found, err := client.Attestations(t.Context(), subject)
		if err != nil && !errors.Is(err, artifactory.ErrTooMany) {
			require.Empty(t, found)
			return
		}
		require.LessOrEqual(t, len(found), 64)
		for _, s := range found {
			require.True(t, strings.HasPrefix(s.Name, subject.Ref.Repo+"/"))
		}
		_, _ = client.Attest(t.Context(), subject, artifactory.EvidenceFormat, []byte(envelope))
	})
}
