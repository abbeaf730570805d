package artifact

import (
	"context"
	"fmt"
)

// KindFile is a plain file: one subject, the digest of its bytes.
const KindFile Kind = "file"

func isFile(Ref) bool { return true }

func resolveFile(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	info, err := src.Info(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", ref, err)
	}
	if info.SHA256.IsZero() {
		return nil, fmt.Errorf("resolving %s: Artifactory reports no SHA-256; run its checksum migration for this item", ref)
	}
	return []Subject{{Kind: KindFile, Info: info}}, nil
}
