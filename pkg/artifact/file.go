package artifact

import (
	"context"
	"fmt"
)

// KindFile is a plain file: one subject, the digest of its bytes. The digest is zero when Artifactory has none; nobody may
// conclude anything about such a subject.
const KindFile Kind = "file"

func isFile(Ref) bool { return true }

func resolveFile(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	info, err := src.Info(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", ref, err)
	}
	return []Subject{{Kind: KindFile, Info: info}}, nil
}
