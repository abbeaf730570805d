package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// What is kept of a question is the question: it is asked again with the same subject, facts and moment.
func TestAskedIsTheQuestion(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 3, 4, 5, 678901000, time.UTC)
	ref := artifact.Ref{Instance: "main", Repo: "oci", Path: "team/app/1.0/manifest.json"}
	whole := artifact.Ref{Instance: "main", Repo: "oci", Path: "team/app/1.0/list.manifest.json"}
	request := policy.Request{
		Subject: artifact.Subject{
			Kind: artifact.KindImage, Info: artifact.Info{Ref: ref, SHA256: artifact.Digest{1}, Size: 7, Created: at.Add(-time.Hour), Modified: at},
			Image: artifact.Image{Name: "team/app", Tag: "1.0", Platform: "linux/arm64"},
		},
		Whole: whole, Event: "docker/pushed", At: at,
		Facts: policy.Facts{
			Known: policy.NeedProperties | policy.NeedActors, Properties: map[string][]string{"a": {"b", "c"}},
			Actors: []policy.Actor{{User: "ann", Role: policy.Creator, Groups: []string{"ci"}}},
		},
	}
	kept := request.Record(policy.Decision{})
	text, err := kept.Text()
	require.NoError(t, err)
	again, err := policy.ParseAsked(text, at)
	require.NoError(t, err)
	require.Equal(t, kept, again)
	asked, err := again.Request(ref, artifact.Digest{1})
	require.NoError(t, err)
	require.Equal(t, request, asked)

	later := request
	later.At = at.Add(time.Hour)
	same, err := later.Record(policy.Decision{}).Text()
	require.NoError(t, err)
	require.Equal(t, text, same, "the moment stands elsewhere, so that a repeated question has one text")

	none, err := policy.ParseAsked("", at)
	require.NoError(t, err)
	require.Nil(t, none, "before facts were kept")
	_, err = policy.ParseAsked("{", at)
	require.Error(t, err)
	again.Whole = "../x"
	_, err = again.Request(ref, artifact.Digest{1})
	require.ErrorContains(t, err, "whole")
	again.Place = "oci/../x"
	_, err = again.Demand(nil, ref, ref, artifact.Digest{1})
	require.ErrorContains(t, err, "place")
	again.Place, again.Target = "", "oci"
	_, err = again.Demand(nil, ref, ref, artifact.Digest{1})
	require.ErrorContains(t, err, "target")
}

// What does not fit is left out and known to be: nothing is guessed from half a fact.
func TestAskedIsBounded(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", policy.MaxAsked)
	all := policy.NeedProperties | policy.NeedProject | policy.NeedBuild | policy.NeedActors | policy.NeedGroups | policy.NeedRepositories | policy.NeedSignatures
	for name, c := range map[string]struct {
		asked policy.Asked
		cut   policy.Needs
	}{
		"small":       {policy.Asked{Facts: policy.Facts{Known: all, Project: "p"}}, 0},
		"properties":  {policy.Asked{Facts: policy.Facts{Known: all, Properties: map[string][]string{"a": {large}}}}, policy.NeedProperties},
		"groups":      {policy.Asked{Facts: policy.Facts{Known: all, Actors: []policy.Actor{{User: "a", Groups: []string{large}}}}}, policy.NeedProperties | policy.NeedActors | policy.NeedGroups},
		"a detail":    {policy.Asked{Facts: policy.Facts{Known: all}, Evidence: []policy.Evidence{{File: "f", Detail: large}}}, 0},
		"evidence":    {policy.Asked{Facts: policy.Facts{Known: all}, Evidence: []policy.Evidence{{File: large}}}, policy.NeedProperties | policy.NeedActors | policy.NeedGroups | policy.NeedRepositories | policy.NeedSignatures},
		"a build too": {policy.Asked{Facts: policy.Facts{Known: all, Build: &policy.BuildFacts{Name: large}}}, ^policy.Needs(0)},
	} {
		text, err := c.asked.Text()
		require.NoError(t, err, name)
		require.LessOrEqual(t, len(text), policy.MaxAsked, name)
		kept, err := policy.ParseAsked(text, time.Time{})
		require.NoError(t, err, name)
		require.Equal(t, c.cut, kept.Cut, name)
		require.Zero(t, kept.Facts.Known&kept.Cut, name)
		require.Equal(t, all&^c.cut, kept.Facts.Known, name)
	}
	_, err := policy.Asked{Whole: large}.Text()
	require.Error(t, err)
}
