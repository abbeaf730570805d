package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// unique refuses a text in which an object has a key twice, in whatever case. Of such keys encoding/json takes the last,
// while whoever looked at the request before may have taken the first. What is no JSON is left to the decoder.
func unique(content []byte) error {
	d := json.NewDecoder(bytes.NewReader(content))
	var open []map[string]bool // a nil map is a list
	var expectKey []bool
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return nil //nolint:nilerr // the decoder says it better
		}
		top := len(open) - 1
		if key, ok := t.(string); ok && top >= 0 && open[top] != nil && expectKey[top] {
			folded := strings.ToLower(key)
			if open[top][folded] {
				return fmt.Errorf("the key %.64q stands there twice", key)
			}
			open[top][folded], expectKey[top] = true, false
			continue
		}
		switch t {
		case json.Delim('{'):
			open, expectKey = append(open, map[string]bool{}), append(expectKey, true)
			continue
		case json.Delim('['):
			open, expectKey = append(open, nil), append(expectKey, false)
			continue
		case json.Delim('}'), json.Delim(']'):
			open, expectKey = open[:top], expectKey[:top]
			top--
		}
		if top >= 0 {
			expectKey[top] = open[top] != nil
		}
	}
}
