package artifactory_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// The queries are those that JFrog's own command line sends.
func TestServicesSearchEvidence(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	s := artifactorytest.Start(t, standin.Config{})
	put(t, s, artifactorytest.Staging, "org/app/1.0/app.tgz")
	n.trust(t, s, "k1")
	for _, alias := range []string{"k1", "k2"} {
		_, err := uploadEvidence(t, s, artifactorytest.Signer, artifactorytest.Staging+"/org/app/1.0/app.tgz", n.sign(t, alias, about(helloSHA256)))
		require.NoError(t, err)
	}
	where := `where: { hasSubjectWith: { repositoryKey: "libs-staging-local", path: "org/app/1.0", name: "app.tgz"}}`
	got, err := graphql(t, s, artifactorytest.Reader, `{ evidence { searchEvidence( `+where+` ) { totalCount edges { node { predicateSlug predicateType downloadPath verified signingKey { alias } createdBy createdAt subject { sha256 } attachments { name sha256 type downloadPath } } } } } }`)
	require.NoError(t, err)
	var found struct {
		Data struct {
			Evidence struct {
				SearchEvidence struct {
					TotalCount int
					Edges      []struct {
						Cursor string
						Node   struct {
							PredicateSlug, PredicateType, DownloadPath, CreatedBy, CreatedAt string
							Verified                                                         bool
							SigningKey                                                       struct{ Alias string }
							Subject                                                          struct{ SHA256 string }
							Attachments                                                      []any
						}
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got), &found))
	result := found.Data.Evidence.SearchEvidence
	require.Equal(t, 2, result.TotalCount)
	first := result.Edges[0].Node
	require.Equal(t, []any{"hsm-signature", true, "k1", helloSHA256, "hallmark"}, []any{first.PredicateSlug, first.Verified, first.SigningKey.Alias, first.Subject.SHA256, first.CreatedBy})
	require.False(t, result.Edges[1].Node.Verified)
	resp, body := send(t, s, request{method: "GET", target: "/artifactory/" + first.DownloadPath, token: artifactorytest.Reader})
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, `"keyid":"k1"`)

	got, err = graphql(t, s, artifactorytest.Reader, `{ evidence { searchEvidence( `+where+` first: 1 ) { edges { cursor node { downloadPath predicateType createdAt createdBy subject { sha256 } attachments { name sha256 type downloadPath } } } pageInfo { hasNextPage endCursor } } } }`)
	require.NoError(t, err)
	require.Contains(t, got, `"hasNextPage":true`)
	require.NoError(t, json.Unmarshal([]byte(got), &found))
	require.Len(t, found.Data.Evidence.SearchEvidence.Edges, 1)
	got, err = graphql(t, s, artifactorytest.Reader, `query Q { evidence { found: searchEvidence( `+where+`, after: "`+found.Data.Evidence.SearchEvidence.Edges[0].Cursor+`" ) { totalCount edges { node { signingKey { alias } } } } } }`)
	require.NoError(t, err)
	require.JSONEq(t, `{"data":{"evidence":{"found":{"totalCount":2,"edges":[{"node":{"signingKey":{"alias":"k2"}}}]}}}}`, got)

	require.NoError(t, s.SetQuirks(standin.Quirks{VerifiedType: "string"}))
	got, err = graphql(t, s, artifactorytest.Reader, `{ evidence { searchEvidence( `+where+` ) { edges { node { verified } } } } }`)
	require.NoError(t, err)
	require.Contains(t, got, `"verified":"true"`)

	for _, bad := range []string{
		"", "{", "{ evidence }", "{ evidence { colour } }", "{ evidence { searchEvidence { totalCount } } }",
		`{ evidence { searchEvidence( where: { predicateType: "x" } ) { totalCount } } }`,
		"{ evidence { searchEvidence( " + where + " ) { totalCount { x } } } }", "{ evidence { searchEvidence( " + where + " ) { totalCount } } } }",
		strings.Repeat("{a", 30),
	} {
		_, err := graphql(t, s, artifactorytest.Reader, bad)
		require.Error(t, err, bad)
	}
}

func TestEvidenceAfterCopyAndMove(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	for quirk, want := range map[string]string{"": `"totalCount":0`, "follow": `"totalCount":1`} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{CopiedEvidence: quirk}})
		put(t, s, artifactorytest.Staging, "f")
		_, err := uploadEvidence(t, s, artifactorytest.Signer, artifactorytest.Staging+"/f", n.sign(t, "k1", about(helloSHA256)))
		require.NoError(t, err)
		for _, verb := range []string{"copy", "move"} {
			resp, _ := send(t, s, request{method: "POST", target: "/artifactory/api/" + verb + "/libs-staging-local/f?to=/libs-release-local/" + verb, token: artifactorytest.CI})
			require.Equal(t, 200, resp.StatusCode)
			got, err := graphql(t, s, artifactorytest.Reader, `{ evidence { searchEvidence( where: { hasSubjectWith: { repositoryKey: "libs-release-local", path: "", name: "`+verb+`"}} ) { totalCount } } }`)
			require.NoError(t, err)
			require.Contains(t, got, want)
		}
	}
}
