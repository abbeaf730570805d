package strictyaml_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

func TestSchemaOf(t *testing.T) {
	t.Parallel()
	type inner struct {
		Name  strictyaml.Located[string]   `yaml:"name" required:"true" doc:"what it is called"`
		Modes []strictyaml.Located[string] `yaml:"modes" required:"true"`
	}
	type all struct {
		Pos   strictyaml.Pos
		Inner *inner             `yaml:"inner" required:"true" doc:"the inner"`
		Wait  time.Duration      `yaml:"wait" default:"10s" doc:"how long"`
		Level level              `yaml:"level"`
		Mode  string             `yaml:"mode" required:"true" oneof:"skip,deny"`
		Tags  map[string]float64 `yaml:"tags" required:"true"`
		Count *int               `yaml:"count" default:"3" doc:"how many"`
		Port  uint16             `yaml:"port"`
		On    bool               `yaml:"on" default:"true" doc:"whether"`
		Other string
	}
	got, err := json.MarshalIndent(strictyaml.SchemaOf(&all{}), "", "  ")
	require.NoError(t, err)
	require.JSONEq(t, `{
	  "type": "object", "additionalProperties": false, "required": ["inner", "mode", "tags"],
	  "properties": {
	    "inner": {"type": "object", "description": "the inner", "additionalProperties": false, "required": ["name", "modes"], "properties": {
	      "name": {"type": "string", "description": "what it is called", "minLength": 1},
	      "modes": {"type": "array", "items": {"type": "string"}, "minItems": 1}
	    }},
	    "wait": {"type": "string", "description": "how long (default: 10s)"},
	    "level": {"type": "string"},
	    "mode": {"type": "string", "enum": ["skip", "deny"]},
	    "tags": {"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1},
	    "count": {"type": "integer", "description": "how many (default: 3)", "default": 3},
	    "port": {"type": "integer", "minimum": 0},
	    "on": {"type": "boolean", "description": "whether (default: true)", "default": true}
	  }
	}`, string(got))
}
