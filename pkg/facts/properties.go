package facts

import (
	"context"
	"maps"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// ours begins the names of the properties that Hallmark sets. They are no facts about an artifact: what they say is
// Hallmark's own word, or somebody's who forged it.
const ours = "hallmark."

// takeProperties takes the properties of what policies match: of an index for the manifests that it lists, so that all of
// an image comes under one policy.
func (g *gathering) takeProperties(ctx context.Context) error {
	props, err := g.props(ctx)
	if err != nil {
		return g.fail(policy.NeedProperties, g.read(), err)
	}
	g.facts.Properties = maps.Clone(props)
	maps.DeleteFunc(g.facts.Properties, func(key string, _ []string) bool { return strings.HasPrefix(key, ours) })
	return nil
}

func (g *gathering) props(ctx context.Context) (map[string][]string, error) {
	if g.properties == nil {
		props, err := g.client.Properties(ctx, g.whole.Ref)
		if err != nil {
			return nil, err
		}
		g.properties = props
	}
	return g.properties, nil
}

// read is the right that most facts take.
func (g *gathering) read() string {
	return "the right Read on " + g.subject.Ref.Repo + " for the service's token"
}
