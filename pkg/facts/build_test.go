package facts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// The properties say where to look; the build's record says whether the bytes are its own.
func TestBuild(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	mine := of("content")
	r.publish("", "app", "7", began, of("other"), mine)
	r.publish("", "app", "8", began.Add(time.Hour), of("other"))
	r.publish("", "twice", "1", began, mine)
	r.publish("", "twice", "1", began.Add(time.Hour), of("other"))
	r.publish("", "old", "1", began, listing{sha1: mine.sha1})
	r.publish("", "collided", "1", began, listing{sha1: mine.sha1, sha256: of("other").sha256})
	r.publish("fw", "mine", "1", began, mine)
	r.publish("evil", "app", "9", began, mine)
	for name, tt := range map[string]struct {
		repo  string
		props map[string][]string
		want  *policy.BuildFacts
	}{
		"its build":            {staging, marked("app", "7"), &policy.BuildFacts{Name: "app", Number: "7", Started: began}},
		"a forged number":      {staging, marked("app", "8"), nil},
		"a forged name":        {staging, marked("others", "7"), nil},
		"a name alone":         {staging, map[string][]string{"build.name": {"app"}}, nil},
		"no properties":        {staging, nil, nil},
		"an earlier run":       {staging, marked("twice", "1"), &policy.BuildFacts{Name: "twice", Number: "1", Started: began}},
		"SHA-1 alone":          {staging, marked("old", "1"), &policy.BuildFacts{Name: "old", Number: "1", Started: began}},
		"SHA-1 of other bytes": {staging, marked("collided", "1"), nil},
		"several values":       {staging, map[string][]string{"build.name": {"x", "app"}, "build.number": {"8", "7"}}, &policy.BuildFacts{Name: "app", Number: "7", Started: began}},
		"its project":          {inProject, marked("mine", "1"), &policy.BuildFacts{Name: "mine", Number: "1", Project: "fw", Started: began}},
		"no project":           {inProject, marked("app", "7"), &policy.BuildFacts{Name: "app", Number: "7", Started: began}},
		"another's project":    {staging, marked("mine", "1"), nil},
		"somebody's project":   {inProject, marked("app", "9"), nil},
		"odd names":            {staging, marked("../../x", "a\tb;c"), nil},
	} {
		path := strings.ReplaceAll(name, " ", "-") + ".tgz"
		r.put("ci", tt.repo, path, "content", tt.props)
		require.Equal(t, tt.want, r.facts(policy.NeedBuild, tt.repo, path).Build, name)
	}
}

// However many builds the properties name, a bounded number of requests is made.
func TestBuildsWithoutEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, identities, standin.Quirks{})
	var many []string
	for c := range 26 {
		many = append(many, string(rune('a'+c)))
	}
	r.put("ci", inProject, file, "content", map[string][]string{"build.name": many, "build.number": many})
	before := len(r.art.Requests())
	require.Nil(t, r.facts(policy.NeedBuild, inProject, file).Build)
	require.Less(t, len(r.art.Requests())-before, 60)
}
