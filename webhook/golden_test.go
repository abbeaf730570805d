package webhook

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
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
	Instance string   `json:"instance"`
	Domain   string   `json:"domain"`
	Type     string   `json:"type"`
	Repo     string   `json:"repo"`
	Path     string   `json:"path"`
	SHA256   string   `json:"sha256"`
	Key      string   `json:"key"`
	Lane     job.Lane `json:"lane"`
}

// receiveAlone sends one body through the whole receiver.
func receiveAlone(t *testing.T, body []byte) golden {
	t.Helper()
	r := newRig(t, nil)
	w := r.send(body)
	got := golden{Status: w.Code, Outcome: outcomeOf(t, w)}
	if events := r.accepted(); len(events) > 0 {
		require.Len(t, events, 1)
		require.False(t, events[0].ReceivedAt.IsZero())
		e := events[0]
		got.Event = &event{e.Instance, e.Domain, e.Type, e.Repo, e.Path, e.SHA256, e.Key, e.Lane}
	}
	require.Equal(t, got.Outcome == accepted, got.Event != nil)
	return got
}

// Every payload under testdata/shapes must end as its golden file says.
func TestShapes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/shapes/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			compare(t, strings.TrimSuffix(file, ".json")+".golden", receiveAlone(t, body))
		})
	}
}

// goldenType is what one type of event leads to in every shape that it is known to come in. A shape that leads to the
// same as the documented one is left out.
type goldenType struct {
	Points  *place  `json:"points,omitempty"`            // where to
	Now     golden  `json:"now"`                         // the documented shape
	Flat    *golden `json:"flat,omitempty"`              // the older one: data's fields at the top level
	Unnamed *golden `json:"flatWithoutDomain,omitempty"` // and nothing says the domain
	Renamed *golden `json:"domainAsDestination,omitempty"`
	Bare    *golden `json:"bare,omitempty"` // without everything that a release has been seen to leave out
}

// needed are the fields of data that every release sends; whatever else is missing changes nothing but the place.
var needed = []string{"repo_key", "path", "image_name", "tag", "build_name", "build_number", "release_bundle_name", "release_bundle_version"}

func TestEveryType(t *testing.T) {
	t.Parallel()
	for _, typ := range Types() {
		t.Run(typ.Domain+"/"+typ.Name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", typ.Domain, typ.Name)
			body, err := os.ReadFile(file + ".json")
			require.NoError(t, err, "a type without its payload is not done")
			var envelope map[string]any
			require.NoError(t, json.Unmarshal(body, &envelope))
			data, _ := envelope["data"].(map[string]any)

			flat := maps.Clone(envelope)
			delete(flat, "data")
			maps.Copy(flat, data)
			unnamed := maps.Clone(flat)
			delete(unnamed, "domain")
			renamed := maps.Clone(envelope)
			delete(renamed, "domain")
			renamed["destination"] = typ.Domain
			bare := map[string]any{"domain": typ.Domain, "event_type": typ.Name}
			rest := maps.Clone(data)
			maps.DeleteFunc(rest, func(name string, _ any) bool { return !slices.Contains(needed, name) })
			bare["data"] = rest
			if data == nil { // it never has an envelope
				renamed, bare = envelope, envelope
			}
			now := receiveAlone(t, body)
			other := func(payload map[string]any) *golden {
				if g := receiveAlone(t, encode(t, payload)); !reflect.DeepEqual(g, now) {
					require.Equal(t, 2, g.Status/100)
					return &g
				}
				return nil
			}
			got := goldenType{Now: now, Flat: other(flat), Unnamed: other(unnamed), Renamed: other(renamed), Bare: other(bare)}
			if read := domains[typ.Domain].types[typ.Name].read; read != nil {
				h, err := read(encode(t, data))
				require.NoError(t, err)
				p := h.place()
				got.Points = &p
			}
			compare(t, file+".golden", got)

			want := accepted
			if typ.Ignored != "" {
				want = notForUs
			}
			require.Equal(t, want, now.Outcome)
			require.Nil(t, got.Flat, "the older shape says the same")
			require.Nil(t, got.Renamed)
			if got.Bare != nil {
				require.Equal(t, want, got.Bare.Outcome)
			}
			for name := range data { // whatever is missing, nothing becomes an error that depends on nothing
				less := maps.Clone(data)
				delete(less, name)
				o := receiveAlone(t, encode(t, map[string]any{"domain": typ.Domain, "event_type": typ.Name, "data": less}))
				require.True(t, o.Outcome == want || (slices.Contains(needed, name) && want == accepted && o.Outcome == malformed), "without %s: %s", name, o.Outcome)
			}
		})
	}
}

// Nothing lies around that no type or shape is tested with.
func TestEveryPayloadHasAType(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*")
	require.NoError(t, err)
	for _, file := range files {
		domain, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".json"), ".golden")
		if domain == "shapes" || domain == "fuzz" {
			continue
		}
		require.Contains(t, domains[domain].types, name, file)
	}
	require.Equal(t, []string{
		"artifact/copied", "artifact/deployed", "artifact/moved", "build/promoted", "build/uploaded", "docker/promoted", "docker/pushed",
		"release_bundle_v2/release_bundle_v2_completed", "release_bundle_v2_promotion/release_bundle_v2_promotion_completed",
	}, Events())
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	require.NoError(t, err)
	return body
}

func compare(t *testing.T, file string, got any) {
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
	require.NoError(t, err, "run: go test ./webhook -update, and read what it wrote")
	require.Equal(t, string(want), content.String())
}
