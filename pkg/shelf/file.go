package shelf

import (
	"context"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// files: a signature is a file beside its artifact, named after it. What it costs to look does not grow with what lies
// there: only names under which one of the keys can have signed are of interest.
var files = shelf{kind: artifact.KindFile, look: lookBeside, put: putBeside, back: backBeside}

func lookBeside(_ context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error) {
	often := slices.DeleteFunc(slices.Clone(q.Formats), func(name string) bool {
		f, _ := seal.Lookup(name)
		return f.Seldom
	})
	first := seal.Candidates(s.Ref.Name(), nil, often) // the names without a key are the likeliest
	for _, candidate := range first {
		likely = append(likely, Beside(c, s.Ref, candidate.Name, candidate.Format))
	}
	for _, candidate := range seal.Candidates(s.Ref.Name(), q.Keys, q.Formats) {
		if !slices.Contains(first, candidate) {
			rest = append(rest, Beside(c, s.Ref, candidate.Name, candidate.Format))
		}
	}
	return likely, rest, nil
}

// Beside is the spot of one signature file.
func Beside(c *artifactory.Client, ref artifact.Ref, name, format string) Spot {
	return Spot{Name: name, Format: format, Read: func(ctx context.Context) ([]byte, error) {
		return c.Read(ctx, ref.Beside(name), MaxSignature)
	}}
}

func putBeside(ctx context.Context, c *artifactory.Client, s artifact.Subject, name string, f seal.Format, content []byte) (string, error) {
	return name, c.Store(ctx, artifact.Attachment{Ref: s.Ref.Beside(name), MediaType: f.MediaType, Content: content})
}

func backBeside(_ context.Context, c *artifactory.Client, s artifact.Subject, name, format string) ([]Spot, error) {
	return []Spot{Beside(c, s.Ref, name, format)}, nil
}
