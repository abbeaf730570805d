package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is what one payload leads to.
type golden struct {
	Status  int     `json:"status"`
	Outcome outcome `json:"outcome"`
	Event   *event  `json:"event,omitempty"`
}

// event is what was handed to Accept, without its time.
type event struct {
	Instance string `json:"instance"`
	Domain   string `json:"domain"`
	Type     string `json:"type"`
	Repo     string `json:"repo"`
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	Key      string `json:"key"`
}

// Every payload under testdata goes through the whole receiver and must end as its golden file says.
func TestPayloads(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".json"), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			r := newRig(t, nil)
			w := r.send(body)
			got := golden{Status: w.Code, Outcome: outcomeOf(t, w)}
			if events := r.accepted(); len(events) > 0 {
				require.Len(t, events, 1)
				require.False(t, events[0].ReceivedAt.IsZero())
				e := events[0]
				got.Event = &event{e.Instance, e.Domain, e.Type, e.Repo, e.Path, e.SHA256, e.Key}
			}
			require.Equal(t, got.Outcome == accepted, got.Event != nil)
			compare(t, strings.TrimSuffix(file, ".json")+".golden", got)
		})
	}
}

func compare(t *testing.T, file string, got golden) {
	t.Helper()
	var content bytes.Buffer
	enc := json.NewEncoder(&content)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(got))
	if *update {
		require.NoError(t, os.WriteFile(file, content.Bytes(), 0o600))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run: go test ./webhook -run TestPayloads -update, and read what it wrote")
	require.Equal(t, string(want), content.String())
}

// A type in the table without a payload and its golden file is not done.
func TestEveryTypeHasAPayload(t *testing.T) {
	t.Parallel()
	for domain, types := range domains {
		for typ, read := range types {
			for _, ext := range []string{".json", ".golden"} {
				require.FileExists(t, filepath.Join("testdata", domain, typ+ext))
			}
			content, err := os.ReadFile(filepath.Join("testdata", domain, typ+".golden"))
			require.NoError(t, err)
			var g golden
			require.NoError(t, json.Unmarshal(content, &g))
			if read == nil {
				require.Equal(t, notForUs, g.Outcome)
			} else {
				require.Equal(t, accepted, g.Outcome)
				require.Equal(t, [2]string{domain, typ}, [2]string{g.Event.Domain, g.Event.Type})
			}
		}
	}
	require.Equal(t, []string{"artifact/copied", "artifact/deployed", "artifact/moved"}, Events())
}
