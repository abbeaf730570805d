package signing

import (
	"context"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// The properties are for search only and never evidence: anyone with the right to annotate can write them.
const (
	propState  = "hallmark.state"
	propSHA256 = "hallmark.sha256"
	propKeys   = "hallmark.keys"
	propPolicy = "hallmark.policy"
	propReason = "hallmark.reason"
)

// maxReason bounds hallmark.reason in bytes. Artifactory's limit is 2,400 characters and it is seen to cut silently.
const maxReason = 500

func signedProperties(w *work) map[string][]string {
	var keys []string
	for _, p := range w.parts {
		keys = append(keys, p.key.Name)
	}
	return Mark(w.subject.SHA256, keys, w.decision.Policy)
}

// Mark is what the properties of a signed artifact say: the digest that was signed, with which keys, by which policy.
func Mark(digest artifact.Digest, keys []string, policy string) map[string][]string {
	return map[string][]string{
		propState:  {"signed"},
		propSHA256: {digest.String()},
		propKeys:   keys,
		propPolicy: {policy},
		propReason: nil,
	}
}

// takesMarks reports whether what is of a kind can have properties. A release bundle is frozen with all it has; what marks
// it is its evidence.
func takesMarks(kind artifact.Kind) bool { return kind != artifact.KindBundle }

// mark sets properties of the subject at hand, if it can have any.
func (r *run) mark(ctx context.Context, props map[string][]string) error {
	if !takesMarks(r.whole.Kind) {
		return nil
	}
	return r.client.Merge(ctx, r.ref, props)
}

// IsMark reports whether a property is one of Hallmark's own.
func IsMark(key string) bool { return strings.HasPrefix(key, "hallmark.") }

func deniedProperties(digest artifact.Digest, why []reason.Reason) map[string][]string {
	lines := make([]string, len(why))
	for i, w := range why {
		lines[i] = plain(w.String())
	}
	props := noProperties()
	props[propState], props[propReason] = []string{"denied"}, lines
	if !digest.IsZero() {
		props[propSHA256] = []string{digest.String()}
	}
	return props
}

// noProperties deletes all of them.
func noProperties() map[string][]string {
	return map[string][]string{propState: nil, propSHA256: nil, propKeys: nil, propPolicy: nil, propReason: nil}
}

// plain keeps a property value small and free of characters that Artifactory's other interfaces treat as syntax.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(" ._:/+-", c):
			return c
		default:
			return ' '
		}
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return s
}
