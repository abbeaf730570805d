package policy

import (
	"bytes"
	"encoding/json"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Schema returns a JSON Schema (draft 2020-12) of one policy document, made from the Go types, so that editors complete
// and check policies while they are written. Every document that loads is valid by it. It knows the form only: which
// keys, formats and patterns there are, and what no form can say, is for Load.
func Schema() []byte {
	types := []struct {
		kind string
		of   *strictyaml.Schema
	}{
		{kindSigning, strictyaml.SchemaOf(SigningPolicy{})},
		{kindGate, strictyaml.SchemaOf(GatePolicy{})},
		{kindConfiguration, strictyaml.SchemaOf(SigningConfiguration{})},
	}
	s := &strictyaml.Schema{
		Dialect:     "https://json-schema.org/draft/2020-12/schema",
		Comment:     "Made from the code by make generate. Do not edit.",
		Title:       "Hallmark policy",
		Description: "what is signed, and what a gate lets in: docs/policies.md",
		Type:        "object",
		Required:    []string{"kind"},
		Properties:  map[string]*strictyaml.Schema{"kind": types[0].of.Properties["kind"]},
		Defs:        map[string]*strictyaml.Schema{},
	}
	for _, t := range types {
		s.Defs[t.kind] = t.of
		s.AllOf = append(s.AllOf, &strictyaml.Schema{
			If: &strictyaml.Schema{
				Required:   []string{"kind"}, // or what has none would be held to every kind
				Properties: map[string]*strictyaml.Schema{"kind": {Const: t.kind}},
			},
			Then: &strictyaml.Schema{Ref: "#/$defs/" + t.kind},
		})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s) // cannot fail: plain values into memory
	return out.Bytes()
}
