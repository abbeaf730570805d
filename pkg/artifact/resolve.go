package artifact

import (
	"context"
	"fmt"
)

// kinds is the table of artifact kinds; the first that claims a reference resolves it.
var kinds = []struct {
	kind    Kind
	claims  func(Ref) bool
	resolve func(context.Context, Source, Ref) ([]Subject, error)
}{
	{KindFile, isFile, resolveFile},
}

// Resolve answers which subjects a reference means, with facts read afresh from the source.
// A missing item is ErrGone.
func Resolve(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	for _, k := range kinds {
		if k.claims(ref) {
			return k.resolve(ctx, src, ref)
		}
	}
	return nil, fmt.Errorf("no artifact kind claims %s", ref)
}
