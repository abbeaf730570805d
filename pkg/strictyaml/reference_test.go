package strictyaml_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

func TestReference(t *testing.T) {
	t.Parallel()
	var got []string
	for _, f := range strictyaml.Reference(&settings{}) {
		line := f.Path + " | " + f.Type + " | " + f.Default + " | " + f.Doc
		if f.Required {
			line += " | required"
		}
		got = append(got, line)
	}
	require.Equal(t, []string{
		"mode | skip or deny |  | what to do",
		"servers | list of keys and values |  | ",
		"servers[].name | text |  |  | required",
		"servers[].timeout | duration | 10s | how long to wait",
		"servers[].webhookSecrets | list of keys and values |  | ",
		"servers[].webhookSecrets[].file | text |  | path of the file | required",
		"tags | names, each with text |  | ",
		"workers | whole number |  | ",
		"port | whole number |  | ",
		"ratio | number |  | ",
		"on | true or false |  | ",
		"limit | whole number |  | ",
		"level | text |  | ",
		"main | keys and values |  | ",
		"main.file | text |  | path of the file | required",
		"matrix | list of list of text |  | ",
		"func | whole number |  | ",
	}, got)
}
