package artifact

import "context"

// KindFile is a plain file: one subject, the digest of its bytes. The digest is zero when Artifactory has none; nobody may
// conclude anything about such a subject.
const KindFile Kind = "file"

func isFile(Repository, Ref) bool { return true }

func resolveFile(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	info, err := src.Info(ctx, ref)
	if err != nil {
		return nil, err
	}
	return []Subject{{Kind: KindFile, Info: info}}, nil
}
