// Package charts_test holds the Helm chart to the code: what the chart renders must load.
package charts_test

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

var update = flag.Bool("update", false, "write the golden files")

// sets are the value sets below hallmark/ci; each has a golden file.
var sets = []string{"sqlite", "postgres", "vendor-hsm", "trust"}

// helm runs in this directory. What it reads is read here too: otherwise go would take the answer of an earlier test
// run for that of a changed chart.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("hallmark", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = os.ReadFile(name)
		}
		return err
	}))
	wd, err := os.Getwd()
	require.NoError(t, err)
	return tooltest.Run(t, wd, tooltest.Helm(t), args...)
}

func values(set string) string { return filepath.Join("hallmark", "ci", set+"-values.yaml") }

func render(t *testing.T, set string, args ...string) []object {
	t.Helper()
	out, err := helm(t, append([]string{"template", "signing", "hallmark", "--namespace", "signing", "-f", values(set)}, args...)...)
	require.NoError(t, err, out)
	return objects(t, out)
}

// object is one rendered Kubernetes object.
type object map[string]any

// at follows keys and list positions, and is nil where they lead nowhere.
func (o object) at(keys ...any) any {
	var v any = map[string]any(o)
	for _, k := range keys {
		switch in := v.(type) {
		case map[string]any:
			name, _ := k.(string)
			v = in[name]
		case []any:
			i, ok := k.(int)
			if !ok || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (o object) text(keys ...any) string {
	s, _ := o.at(keys...).(string)
	return s
}

func (o object) list(keys ...any) []object {
	items, _ := o.at(keys...).([]any)
	var out []object
	for _, i := range items {
		m, _ := i.(map[string]any)
		out = append(out, m)
	}
	return out
}

func objects(t *testing.T, rendered string) []object {
	t.Helper()
	var out []object
	d := yaml.NewDecoder(strings.NewReader(rendered))
	for {
		var o map[string]any // not object: nested mappings get the type of the outer one
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if o != nil {
			out = append(out, o)
		}
	}
}

func find(t *testing.T, all []object, kind, name string) object {
	t.Helper()
	for _, o := range all {
		if o.text("kind") == kind && (name == "" || o.text("metadata", "name") == name) {
			return o
		}
	}
	t.Fatalf("no %s %s was rendered", kind, name)
	return nil
}

// workload is what looks after the pods.
func workload(t *testing.T, all []object) object {
	t.Helper()
	if has(all, "StatefulSet") {
		require.False(t, has(all, "Deployment"))
		return find(t, all, "StatefulSet", "signing-hallmark")
	}
	return find(t, all, "Deployment", "signing-hallmark")
}

func has(all []object, kind string) bool {
	for _, o := range all {
		if o.text("kind") == kind {
			return true
		}
	}
	return false
}
