package strictyaml_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

type level string

func (l *level) UnmarshalText(b []byte) error {
	if string(b) != "high" {
		return fmt.Errorf("level %q is not high", b)
	}
	*l = level(b)
	return nil
}

type secret struct {
	File string `yaml:"file" required:"true" doc:"path of the file"`
}

type server struct {
	Pos     strictyaml.Pos
	Name    strictyaml.Located[string] `yaml:"name" required:"true"`
	Timeout time.Duration              `yaml:"timeout" default:"10s" doc:"how long to wait"`
	Secrets []secret                   `yaml:"webhookSecrets"`
	Ignored string
}

type common struct {
	Mode string `yaml:"mode" oneof:"skip,deny" doc:"what to do"`
}

type settings struct {
	common  `yaml:",inline"`
	Common  common            `yaml:",inline"`
	Servers []server          `yaml:"servers"`
	Tags    map[string]string `yaml:"tags"`
	Workers int8              `yaml:"workers"`
	Port    uint16            `yaml:"port"`
	Ratio   float64           `yaml:"ratio"`
	On      bool              `yaml:"on"`
	Limit   *int              `yaml:"limit"`
	Level   level             `yaml:"level"`
	Main    *secret           `yaml:"main"`
	Matrix  [][]string        `yaml:"matrix"`
	Func    func()            `yaml:"func"`
}

const good = `
mode: deny
servers:
  - {name: one, timeout: 1m30s}
  - name: two
    webhookSecrets: [{file: /a}, {file: /b}]
tags: {a: b, "1": 2026-01-02}
workers: -5
port: 8080
ratio: 3
on: true
limit: 0
level: high
main: {file: /c}
matrix: [[a], []]
`

func TestDecode(t *testing.T) {
	t.Parallel()
	got := settings{Workers: 9}
	require.NoError(t, strictyaml.Decode("f.yaml", []byte(good), &got))
	require.Equal(t, "deny", got.Common.Mode)
	require.Equal(t, 90*time.Second, got.Servers[0].Timeout)
	require.Equal(t, strictyaml.Pos{File: "f.yaml", Line: 4, Column: 5}, got.Servers[0].Pos)
	require.Equal(t, strictyaml.Located[string]{Value: "two", Pos: strictyaml.Pos{File: "f.yaml", Line: 5, Column: 11}}, got.Servers[1].Name)
	require.Equal(t, []secret{{"/a"}, {"/b"}}, got.Servers[1].Secrets)
	require.Equal(t, map[string]string{"a": "b", "1": "2026-01-02"}, got.Tags)
	require.EqualValues(t, -5, got.Workers)
	require.EqualValues(t, 8080, got.Port)
	require.InDelta(t, 3, got.Ratio, 0)
	require.True(t, got.On)
	require.NotNil(t, got.Limit)
	require.Equal(t, level("high"), got.Level)
	require.Equal(t, "/c", got.Main.File)
	require.Equal(t, [][]string{{"a"}, {}}, got.Matrix)
}

func TestAbsentKeysKeepDefaults(t *testing.T) {
	t.Parallel()
	got := settings{Workers: 9}
	require.NoError(t, strictyaml.Decode("f.yaml", []byte("port: 1"), &got))
	require.EqualValues(t, 9, got.Workers)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, yaml, want string }{
		{"unknown key", "servers:\n  - name: a\n    webhookSecret: x", `f.yaml:3:5: unknown key "webhookSecret" in servers[0]; did you mean "webhookSecrets"?`},
		{"letter case", "Servers: []", `f.yaml:1:1: unknown key "Servers"; did you mean "servers"?`},
		{"no near key", "servers:\n  - {name: a, entirely: 1}", `f.yaml:2:15: unknown key "entirely" in servers[0]; known: name, timeout, webhookSecrets`},
		{"untagged field", "servers: [{name: a, ignored: x}]", `f.yaml:1:21: unknown key "ignored" in servers[0]; known: name, timeout, webhookSecrets`},
		{"duplicate key", "port: 1\nport: 2", `f.yaml:2:1: the key "port" stands twice; the first is on line 1`},
		{"duplicate in map", "tags: {a: x, a: y}", `f.yaml:1:14: the key "a" stands twice in tags; the first is on line 1`},
		{"missing key", "servers:\n  - timeout: 1s", `f.yaml:2:5: "name" is missing in servers[0]; it is required`},
		{"missing with doc", "main: {}", `f.yaml:1:7: "file" is missing in main: path of the file`},
		{"empty required", "servers: [{name: ''}]", `f.yaml:1:18: servers[0].name: is empty; it is required`},
		{"no value", "tags:\nport: 1", `f.yaml:1:6: tags: has no value; give it one or remove the key`},
		{"one of", "mode: denny", `f.yaml:1:7: mode: "denny" is not one of skip, deny; did you mean "deny"?`},
		{"number for text", "main: {file: 12}", `f.yaml:1:14: main.file: expected text, found the number 12; if it is meant, put it in quotes`},
		{"bool for text", "main: {file: true}", `f.yaml:1:14: main.file: expected text, found true; if it is meant, put it in quotes`},
		{"list for text", "main: {file: [a]}", `f.yaml:1:14: main.file: expected text, found a list`},
		{"text for list", "servers: a", `f.yaml:1:10: servers: expected a list, found the text "a"; write [a, b] or one "- item" a line`},
		{"text for mapping", "main: /c", `f.yaml:1:7: main: expected keys and values, found the text "/c"`},
		{"list for map", "tags: [a]", `f.yaml:1:7: tags: expected keys and values, found a list`},
		{"yes is not a bool", "on: yes", `f.yaml:1:5: on: expected true or false, found the text "yes"`},
		{"float for int", "limit: 1.5", `f.yaml:1:8: limit: expected a whole number, found the number 1.5`},
		{"int overflow", "workers: 1000", `f.yaml:1:10: workers: expected a whole number of 8 bits, found the number 1000`},
		{"negative uint", "port: -1", `f.yaml:1:7: port: expected a whole number, zero or more of 16 bits, found the number -1`},
		{"not finite", "ratio: .inf", `f.yaml:1:8: ratio: expected a number, found the number .inf`},
		{"duration unit", "servers: [{name: a, timeout: 5}]", `f.yaml:1:30: servers[0].timeout: 5 has no unit; write for example 5s`},
		{"duration text", "servers: [{name: a, timeout: soon}]", `f.yaml:1:30: servers[0].timeout: expected a duration such as 500ms, 30s or 2h, found the text "soon"`},
		{"own type", "level: low", `f.yaml:1:8: level: level "low" is not high`},
		{"unsupported type", "func: x", `f.yaml:1:7: func: cannot be decoded into the Go type func()`},
		{"tag", "main: !!map {file: a}", `f.yaml:1:7: main: the tag !!map is not supported; remove it`},
		{"merge key", "main: {<<: {file: a}, file: b}", `f.yaml:1:8: main: merge keys (<<) are not supported; write the keys out`},
		{"odd key", "tags: {[a]: b}", `f.yaml:1:8: tags: a key must be plain text, found a list`},
		{"second document", "port: 1\n---\nport: 2", `f.yaml:3:1: a second document starts here; this file holds one`},
		{"empty", "# nothing\n", `f.yaml: the file is empty`},
		{"not a mapping", "- a", `f.yaml:1:1: expected keys and values, found a list`},
		{"syntax", "port: 1\nmain: {file: a", `this is not YAML: `},
		{"unknown anchor", "main: *x", `f.yaml: this is not YAML: unknown anchor 'x' referenced; look at`},
		{"all at once", "prot: 1\non: 2\nlimit: x", "f.yaml:1:1: unknown key \"prot\"; did you mean \"port\"?\nf.yaml:2:5: on: expected true or false, found the number 2\nf.yaml:3:8: limit: expected a whole number, found the text \"x\""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got settings
			err := strictyaml.Decode("f.yaml", []byte(tc.yaml), &got)
			require.ErrorContains(t, err, tc.want)
			var e *strictyaml.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "f.yaml", e.File)
		})
	}
}

func TestSyntaxErrorNamesTheLine(t *testing.T) {
	t.Parallel()
	var e *strictyaml.Error
	err := strictyaml.Decode("f.yaml", []byte("port: 1\non: true\n  limit: 3\n"), &settings{})
	require.ErrorAs(t, err, &e)
	require.InDelta(t, 3, e.Line, 1, "%v", err)
}

func TestHostileFilesAreCheapAndRefused(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ","))
	}
	for name, tc := range map[string]struct{ yaml, want string }{
		"bomb":       {strings.Replace(bomb, "x,x,x,x,x,x,x,x,x,x", "[],[],[],[],[],[],[],[],[],[]", 1), "more than 100000 values"},
		"bad bomb":   {bomb, "more mistakes follow from here; fix the first 50"},
		"self":       {"k: &k [*k]", "nested deeper than 32 levels"},
		"size":       {strings.Repeat("#", 1<<20+1), "the limit is 1048576"},
		"flow depth": {"k: " + strings.Repeat("[", 200_000), "this is not YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type tree []tree
			var into struct {
				K tree `yaml:"k"`
			}
			err := strictyaml.Decode("f.yaml", []byte(tc.yaml), &into)
			require.ErrorContains(t, err, tc.want)
			require.Less(t, len(err.Error()), 10_000)
		})
	}
}

func TestAliasesWork(t *testing.T) {
	t.Parallel()
	var got settings
	require.NoError(t, strictyaml.Decode("f.yaml", []byte("servers:\n  - &s {name: a}\n  - *s\nmain: {file: b}\n"), &got))
	require.Equal(t, "a", got.Servers[1].Name.Value)
}

func TestDecodeAll(t *testing.T) {
	t.Parallel()
	var kinds []string
	err := strictyaml.DecodeAll("f.yaml", []byte("---\nmode: skip\n---\n---\nmode: [x]\nprot: 1\n---\nmode: deny\n"), func(doc *strictyaml.Doc) error {
		mode, ok := doc.Text("mode")
		kinds = append(kinds, fmt.Sprintf("%d %v %s", doc.Pos.Line, ok, mode.Value))
		var s settings
		return doc.Decode(&s)
	})
	require.Equal(t, []string{"2 true skip", "5 false ", "8 true deny"}, kinds)
	require.EqualError(t, err, "f.yaml:5:7: mode: expected text, found a list\nf.yaml:6:1: unknown key \"prot\"; did you mean \"port\"?")
	sentinel := errors.New("from each")
	require.ErrorIs(t, strictyaml.DecodeAll("f.yaml", []byte("a: 1"), func(*strictyaml.Doc) error { return sentinel }), sentinel)
}

func TestDecodeIntoNonsense(t *testing.T) {
	t.Parallel()
	var n int
	require.Error(t, strictyaml.Decode("f.yaml", []byte("a: 1"), &n))
	require.Error(t, strictyaml.Decode("f.yaml", []byte("a: 1"), settings{}))
	require.Error(t, strictyaml.Decode("f.yaml", []byte("a: 1"), nil))
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("servers: &a [{name: x}, *a]\n---\n"))
	f.Add([]byte("a: !!binary aGk=\n<<: {b: c}\n? [x]\n: y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got settings
		err := strictyaml.Decode("f.yaml", data, &got)
		if err == nil {
			return
		}
		var e *strictyaml.Error
		if !errors.As(err, &e) || e.Msg == "" || e.File != "f.yaml" {
			t.Fatalf("error without a place: %v", err)
		}
	})
}
