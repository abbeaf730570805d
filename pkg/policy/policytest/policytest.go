// Package policytest makes grants for tests of the packages that consume them. It goes the only way there is: it writes
// a policy, loads it and asks.
package policytest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Grant returns a grant for the subject that allows exactly the orders. A zero subject stands for some small file.
func Grant(t testing.TB, subject artifact.Subject, orders ...policy.Order) *policy.Grant {
	t.Helper()
	if subject.Ref.Repo == "" {
		ref, err := artifact.NewRef("", "libs-staging-local", "app/1.0.0/app.tgz")
		require.NoError(t, err)
		subject.Kind, subject.Ref = artifact.KindFile, ref
	}
	if subject.SHA256.IsZero() {
		subject.SHA256 = artifact.Attachment{Content: []byte("app")}.SHA256()
	}
	var v policy.Vocabulary
	var b strings.Builder
	fmt.Fprintf(&b, "kind: SigningPolicy\nname: test\nowner: test\nmatch: {repositories: [%q]}\nsign:\n", subject.Ref.Repo)
	for _, o := range orders {
		v.Keys = append(v.Keys, policy.Key{Name: o.Key, Lane: policy.LaneRelease})
		quoted := make([]string, len(o.Formats))
		for i, f := range o.Formats {
			quoted[i] = fmt.Sprintf("%q", f)
			if !slices.Contains(v.Formats, f) {
				v.Formats = append(v.Formats, f)
			}
		}
		fmt.Fprintf(&b, "  - {key: %q, formats: [%s]}\n", o.Key, strings.Join(quoted, ", "))
	}
	set := Set(t, policy.Skip, v, map[string]string{"test.yaml": b.String()})
	d := set.Decide(policy.Request{Subject: subject})
	require.NotNil(t, d.Grant, "%+v", d)
	return d.Grant
}

// HardExclude, as the exclude of a match, hides from the load that this policy contradicts another one: the search for a
// file that both match gives up before it gets to names as long as HardName, which is not excluded. Such policies are
// refused when they are asked.
const (
	HardExclude = `["**/{,?}{,??}{,????}{,????????}{,????????????????}", "**/*a????????????????????"]`
	HardName    = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
)

// Set loads policies from file contents by file name.
func Set(t testing.TB, noMatch policy.NoMatch, v policy.Vocabulary, files map[string]string) *policy.Set {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	set, err := policy.Load(dir, noMatch, v)
	require.NoError(t, err)
	return set
}
