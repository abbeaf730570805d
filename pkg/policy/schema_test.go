package policy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// schema is the schema as a foreign library reads it, which checks it against the draft, too.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("schema.json", bytes.NewReader(policy.Schema())))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	require.Same(t, jsonschema.Draft2020, s.Draft)
	return s
}

func documents(t *testing.T, text []byte) (out []any) {
	t.Helper()
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out = append(out, doc)
	}
}

// wrong lists the places in a document that the schema refuses, with the keyword that does.
func wrong(err error) []string {
	var at []string
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, c := range e.Causes {
			walk(c)
		}
		if len(e.Causes) == 0 {
			at = append(at, e.InstanceLocation+" "+e.KeywordLocation[strings.LastIndex(e.KeywordLocation, "/")+1:])
		}
	}
	if e := (*jsonschema.ValidationError)(nil); errors.As(err, &e) {
		walk(e)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

func TestSchemaTakesTheExamples(t *testing.T) {
	t.Parallel()
	s := schema(t)
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.yaml") }) // cases, no policies
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "# yaml-language-server: $schema=schema.json\n", file)
		docs := documents(t, text)
		require.NotEmpty(t, docs)
		for _, doc := range docs {
			require.NoError(t, s.Validate(doc), file)
		}
	}
}

// Of the mistakes that Load knows, the schema sees those of form, where they are.
func TestSchemaSeesMistakes(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for file, want := range map[string][][]string{
		"gate.yaml": {
			nil, // its mistakes are not of form
			{"/require/signatures/0/lane enum", "/require/signatures/1/count type", "/target additionalProperties"},
			{"/require/signatures minItems", "/target/repositories minItems"},
		},
		"kinds.yaml":   {{"/kind enum"}, {" required"}, {" type"}, {"/kind enum"}, {" required"}},
		"later.yaml":   {{"/require/0 additionalProperties"}},
		"overlap.yaml": {nil, nil, nil, nil, nil, nil, nil}, // nor are these
		"turns.yaml":   {nil, nil, nil, nil},
		"signing.yaml": {{"/match additionalProperties"}, {"/sign/4/formats minItems"}},
	} {
		text, err := os.ReadFile(filepath.Join("testdata/mistakes", file))
		require.NoError(t, err)
		docs := documents(t, text)
		require.Len(t, docs, len(want), file)
		for i, doc := range docs {
			require.Equal(t, want[i], wrong(s.Validate(doc)), "%s, document %d", file, i)
		}
	}
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 7, "six, and syntax.yaml, which no schema sees; add the new one above")
}
