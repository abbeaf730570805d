// Package shelf knows where the signatures of an artifact stand: beside a file, in the registry of an image, with the
// evidence of a release bundle. One file per kind of artifact, one line per kind in the table below. It reads and writes
// through the Artifactory edge and judges nothing: whatever stands there can have been put there by anybody.
package shelf

import (
	"context"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Spot is a place that may hold a signature.
type Spot struct {
	Name   string // of the file beside the artifact, or what the registry or the evidence service calls it
	Format string // of pkg/seal
	// Read returns what stands there, at most MaxSignature bytes: artifact.ErrGone when that is nothing,
	// artifactory.ErrTooLarge when it is more.
	Read func(ctx context.Context) ([]byte, error)
}

// MaxSignature bounds a signature in bytes; ours have ten thousand at most.
const MaxSignature = 128 << 10

// Query says which signatures are of interest: those that one of the keys made in one of the formats.
type Query struct{ Keys, Formats []string }

// shelf is where the signatures of one kind of artifact stand.
type shelf struct {
	kind artifact.Kind
	look func(ctx context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error)
	put  func(ctx context.Context, c *artifactory.Client, s artifact.Subject, name string, f seal.Format, content []byte) (string, error)
	back func(ctx context.Context, c *artifactory.Client, s artifact.Subject, name, format string) ([]Spot, error)
}

// shelves is the table of kinds.
var shelves = []shelf{files, images, bundles}

func of(s artifact.Subject) (shelf, error) {
	for _, sh := range shelves {
		if sh.kind == s.Kind {
			return sh, nil
		}
	}
	return shelf{}, fmt.Errorf("%s is of the kind %q, which has no signatures", s.Ref, s.Kind)
}

// Look lists where signatures of the subject may stand, in two lists: the likelier spots first.
func Look(ctx context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error) {
	sh, err := of(s)
	if err != nil {
		return nil, nil, err
	}
	return sh.look(ctx, c, s, q)
}

// Put stores a signature and returns the name it stands under. It returns nil only when what is stored was seen to be
// equal; putting the same again changes nothing. For a file, name is the signature file's; other kinds name their own.
func Put(ctx context.Context, c *artifactory.Client, s artifact.Subject, name string, f seal.Format, content []byte) (string, error) {
	sh, err := of(s)
	if err != nil {
		return "", err
	}
	return sh.put(ctx, c, s, name, f, content)
}

// Back lists where a signature of the format that Put stored under the name is to be read again: as Artifactory serves it
// now to whoever asks. There is more than one spot where signatures share a name, and none where nothing stands.
func Back(ctx context.Context, c *artifactory.Client, s artifact.Subject, name, format string) ([]Spot, error) {
	sh, err := of(s)
	if err != nil {
		return nil, err
	}
	return sh.back(ctx, c, s, name, format)
}
