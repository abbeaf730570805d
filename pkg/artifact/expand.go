package artifact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrUnpromoted means that something was said to be promoted and its record names no promotion, or none yet.
var ErrUnpromoted = errors.New("no promotion is on record")

// Occasion is why a reference is expanded.
type Occasion int

// The occasions.
const (
	Asked    Occasion = iota // it is new, or somebody asked for it: every part counts, wherever it is
	Promoted                 // it arrived in other repositories: the parts there count
)

// Expansion is what belongs to a reference and is worked on each for itself.
type Expansion struct {
	Parts    []Ref     // each once, at most maxParts
	Lacking  Lack      // what should belong to it and cannot be worked on
	Promoted time.Time // of the newest promotion on record, in the words of who promoted; zero when there is none
}

// maxParts bounds the parts of one expansion.
const maxParts = 250_000

// Lack counts what is lacking and tells the first of it. The zero value lacks nothing.
type Lack struct {
	Count int
	Told  []string // at most maxTold
}

// maxTold and maxWords, in bytes, bound what is told, for names come from outside.
const (
	maxTold  = 10
	maxWords = 200
)

// Add counts one more and says what it is.
func (l *Lack) Add(format string, args ...any) {
	if l.Count++; l.Count > maxTold {
		return
	}
	words := fmt.Sprintf(format, args...)
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "") + "…"
	}
	l.Told = append(l.Told, words)
}

// String is one line for people.
func (l Lack) String() string {
	told := strings.Join(l.Told, "; ")
	if more := l.Count - len(l.Told); more > 0 {
		told += fmt.Sprintf("; and %d more", more)
	}
	return told
}

// Expands reports whether what a reference means is of a kind that has parts.
func (m Meaning) Expands() bool { return m.expand() != nil }

func (m Meaning) expand() func(context.Context, Source, Ref, Occasion) (Expansion, error) {
	if i := slices.IndexFunc(kinds, func(k kind) bool { return k.kind == m.Kind }); i >= 0 {
		return kinds[i].expand
	}
	return nil
}

// Expand finds the parts of what Resolve answered, with facts read afresh from the source. Parts are places where to
// look and nothing more: each is resolved, and decided by policy, for itself.
func Expand(ctx context.Context, src Source, m Meaning, o Occasion) (Expansion, error) {
	expand := m.expand()
	if expand == nil {
		return Expansion{}, nil
	}
	x, err := expand(ctx, src, m.Ref, o)
	if err != nil {
		return Expansion{}, fmt.Errorf("looking for the parts of %s: %w", m.Ref, err)
	}
	return x, nil
}
