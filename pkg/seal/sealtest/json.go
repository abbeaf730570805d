package sealtest

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// Get returns one value of a JSON document.
func Get(t testing.TB, doc []byte, path ...string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(doc, &v))
	for _, p := range path {
		v = v.(map[string]any)[p]
		require.NotNil(t, v, p)
	}
	return v
}

// Set replaces one value of a JSON document; nil removes it.
func Set(t testing.TB, doc []byte, value any, path ...string) []byte {
	t.Helper()
	var root map[string]any
	require.NoError(t, json.Unmarshal(doc, &root))
	at := root
	for _, p := range path[:len(path)-1] {
		at = at[p].(map[string]any)
	}
	last := path[len(path)-1]
	if at[last] = value; value == nil {
		delete(at, last)
	}
	out, err := json.Marshal(root)
	require.NoError(t, err)
	return out
}

// Indent spreads a JSON document over lines.
func Indent(t testing.TB, doc []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, doc, "", "  "))
	return b.Bytes()
}
