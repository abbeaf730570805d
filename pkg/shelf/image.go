package shelf

import (
	"context"
	"errors"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// images: the registry keeps signatures with the manifest: as referrers, or at the tag of cosign's older scheme. They come
// in one look; which key made one is not in its name.
var images = shelf{kind: artifact.KindImage, look: lookInRegistry, put: putInRegistry, back: backInRegistry}

// listed are the formats of the signatures that the list of referrers leads to.
var listed = []string{"cosign", "cosign-key", "vsa"}

// lookInRegistry holds what it found. Where the registry forbids the list of referrers, or more refer to the manifest than
// are read (anybody who may push can bring that about), that is a spot of its own that cannot be read, behind what is found otherwise: it matters to whom that is not enough.
func lookInRegistry(ctx context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error) {
	found, unread := c.Signatures(ctx, s)
	if unread != nil && !errors.Is(unread, artifactory.ErrReferrers) && !errors.Is(unread, artifactory.ErrTooMany) {
		return nil, nil, unread
	}
	i := slices.IndexFunc(listed, func(f string) bool { return slices.Contains(q.Formats, f) })
	for _, f := range found {
		if len(f.Content) == 0 && i >= 0 && slices.Contains(listed, f.Format) { // nobody knows which of them it is
			f.Format = listed[i]
		}
		if slices.Contains(q.Formats, f.Format) {
			likely = append(likely, inHand(f))
		}
	}
	if unread != nil && i >= 0 {
		rest = []Spot{{Name: "the list of referrers", Format: listed[i], Read: func(context.Context) ([]byte, error) { return nil, unread }}}
	}
	return likely, rest, nil
}

// inHand is the spot of a signature that was read already. One that could not be read whole is empty, and so proves
// nothing.
func inHand(f artifactory.StoredSignature) Spot {
	return Spot{Name: f.Name, Format: f.Format, Read: func(context.Context) ([]byte, error) {
		if len(f.Content) > MaxSignature {
			return nil, artifactory.ErrTooLarge
		}
		return f.Content, nil
	}}
}

func putInRegistry(ctx context.Context, c *artifactory.Client, s artifact.Subject, _ string, f seal.Format, content []byte) (string, error) {
	return c.Refer(ctx, s, f.Name, content)
}

func backInRegistry(ctx context.Context, c *artifactory.Client, s artifact.Subject, name, format string) ([]Spot, error) {
	found, err := c.Referred(ctx, s, format, name)
	spots := make([]Spot, len(found))
	for i, f := range found {
		spots[i] = inHand(f)
	}
	return spots, err
}
