package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// The chart's schema knows the same sections, keys and types as the service, so that helm refuses what the service
// would refuse at its start. The sections that the chart writes itself are left out.
func TestGeneratedChartSchema(t *testing.T) {
	t.Parallel()
	file := filepath.Join(tooltest.RepoRoot(t), "charts", "hallmark", "values.schema.json")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(content, &schema))
	properties, ok := schema["properties"].(map[string]any)
	require.True(t, ok)

	var fields []strictyaml.Field
	for _, f := range strictyaml.Reference(Config{}) {
		section, _, _ := strings.Cut(strings.ReplaceAll(f.Path, "[]", "."), ".")
		if !slices.Contains([]string{"server", "database", "policies"}, section) {
			fields = append(fields, f)
		}
	}
	properties["config"] = schemaOf("", "keys and values", fields)
	want, err := json.MarshalIndent(schema, "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.WriteFile(file, want, 0o644))
		content = want
	}
	require.Equal(t, string(want), string(content), "run make generate")
}

// schemaOf turns the words of a configuration reference into a JSON schema. path is the place whose parts are looked up
// in fields.
func schemaOf(path, words string, fields []strictyaml.Field) map[string]any {
	item, isList := strings.CutPrefix(words, "list of ")
	switch {
	case isList:
		return map[string]any{"type": "array", "items": schemaOf(path+"[]", item, fields)}
	case words == "text":
		return map[string]any{"type": "string"}
	case words == "whole number":
		return map[string]any{"type": "integer"}
	case words == "true or false":
		return map[string]any{"type": "boolean"}
	case words == "duration":
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}
	case strings.Contains(words, " or "):
		return map[string]any{"enum": strings.Split(words, " or ")}
	}
	properties, required := map[string]any{}, []string{}
	for _, f := range fields {
		name, inside := f.Path, path == ""
		if !inside {
			name, inside = strings.CutPrefix(f.Path, path+".")
		}
		if !inside || strings.ContainsAny(name, ".[") {
			continue
		}
		properties[name] = schemaOf(f.Path, f.Type, fields)
		if f.Required {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// The service loads what the chart renders: the golden files, which a test of charts holds against helm's output.
func TestChartConfigurationLoads(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"sqlite", "postgres", "trust"} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			maps := renderedMaps(t, filepath.Join(tooltest.RepoRoot(t), "charts", "testdata", set+".yaml"))
			dir := t.TempDir()
			file := filepath.Join(dir, "hallmark.yaml")
			text := maps["signing-hallmark"]["hallmark.yaml"]
			if set == "trust" { // as on the first replica
				text = strings.Replace(text, "database:\n", "database:\n  replica: signing-hallmark-0\n", 1)
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			for name, content := range maps["signing-hallmark-policies"] {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "policies"), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, "policies", name), []byte(content), 0o600))
			}
			c, err := loadConfig(file)
			require.NoError(t, err)
			require.Equal(t, "/etc/hallmark/policies", c.Policies.Value.Dir)
			c.Policies.Value.Dir = filepath.Join(dir, "policies")
			_, err = c.loadPolicies()
			require.NoError(t, err)
		})
	}
}

// renderedMaps returns the data of every ConfigMap among rendered objects, by name.
func renderedMaps(t *testing.T, file string) map[string]map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	out := map[string]map[string]string{}
	for d := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var object struct {
			Kind     string            `yaml:"kind"`
			Metadata map[string]any    `yaml:"metadata"`
			Data     map[string]string `yaml:"data"`
		}
		err := d.Decode(&object)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if name, ok := object.Metadata["name"].(string); ok && object.Kind == "ConfigMap" {
			out[name] = object.Data
		}
	}
}
