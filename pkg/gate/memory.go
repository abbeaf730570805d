package gate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

const (
	// memoryTime bounds each look into the ledger. A verdict makes one when a signature verified or keys are forbidden; a
	// refusal one more when a signature file is at fault.
	memoryTime = 2 * time.Second
)

// memory is what the ledger remembers of the subject's bytes, and which keys are distrusted now, read once.
type memory struct {
	signatures []ledger.Signature
	distrusted map[artifact.Digest]ledger.Distrust
	read       bool
}

// memoryError: the ledger could not be asked.
type memoryError struct{ err error }

func (e *memoryError) Error() string { return "asking the ledger about signatures: " + e.err.Error() }
func (e *memoryError) Unwrap() error { return e.err }

// recall reads the memory.
func (in *inspection) recall(ctx context.Context) (memory, error) {
	if in.memory.read {
		return in.memory, nil
	}
	answer := make(chan memory, 1) // nobody takes what comes too late
	err := in.remember(ctx, func(ctx context.Context) error {
		m := memory{read: true}
		var errs [2]error
		m.signatures, errs[0] = in.ledger.Signatures(ctx, in.subject.SHA256)
		m.distrusted, errs[1] = in.ledger.Distrusted(ctx)
		answer <- m
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return memory{}, &memoryError{err}
	}
	in.memory = <-answer
	return in.memory, nil
}

// distrusted counts the keys that are.
func (g *Gate) distrusted() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), memoryTime)
	defer cancel()
	answer := make(chan int, 1)
	if err := within(ctx, func(ctx context.Context) error {
		now, err := g.Ledger.Distrusted(ctx)
		answer <- len(now)
		return err
	}); err != nil {
		return math.NaN()
	}
	return float64(<-answer)
}

// remember asks the ledger in bounded time, whatever its driver makes of a context.
func (in *inspection) remember(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, memoryTime)
	defer cancel()
	return within(ctx, ask)
}

// date notes when verified signatures were made: by the time-stamp in it, else by the ledger's record, which counts for that
// very file alone. What was made by somebody else's hand, or changed on the way, and is not stamped, stays undated. It also
// notes from when on the key is distrusted.
func (in *inspection) date(ctx context.Context, found []policy.Evidence) error {
	for i := range found {
		e := &found[i]
		if e.Problem != "" {
			continue
		}
		known, err := in.recall(ctx)
		if err != nil {
			return err
		}
		var recorded time.Time
		for _, s := range known.signatures {
			if in.name(s.KeySPKI) == e.Key && s.Format == e.Format && in.same(e.SHA256, s.Content) {
				recorded = s.MadeAt
			}
		}
		*e = e.Dated(recorded)
		for spki, d := range known.distrusted {
			if in.name(spki) == e.Key {
				e.Distrusted = d.From
			}
		}
	}
	return nil
}

// same reports whether a file that was read is the one that the ledger has. The evidence service takes an envelope as
// JSON; nothing says that it gives the same text back, so of envelopes the payload and the signature have to be equal.
func (in *inspection) same(read artifact.Digest, kept []byte) bool {
	if sha256.Sum256(kept) == read {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	mine, ok := in.envelopes[read]
	theirs, is := envelopeOf(kept)
	return ok && is && mine == theirs
}

// envelopeOf names the payload and the one signature of a DSSE envelope that verified, whatever its text; false for
// anything else.
func envelopeOf(content []byte) (artifact.Digest, bool) {
	var e struct {
		Payload    []byte `json:"payload"`
		Signatures []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(content, &e); err != nil || len(e.Signatures) != 1 {
		return artifact.Digest{}, false
	}
	payload, signature := sha256.Sum256(e.Payload), sha256.Sum256(e.Signatures[0].Sig)
	return sha256.Sum256(append(payload[:], signature[:]...)), true
}

// name is the configured name of a key; "" when it is not configured.
func (in *inspection) name(spki artifact.Digest) string {
	if i := slices.IndexFunc(in.trust, func(k hsm.Public) bool { return k.SPKI == spki }); i >= 0 {
		return in.trust[i].Name
	}
	return ""
}

// washed adds the signatures by forbidden keys that the ledger has and of which no file stands any more: who deletes the
// file does not undo the signature.
func (in *inspection) washed(ctx context.Context, found []policy.Evidence) ([]policy.Evidence, error) {
	for _, key := range in.demand.Forbidden() {
		if slices.ContainsFunc(found, func(e policy.Evidence) bool { return e.Problem == "" && e.Key == key }) {
			continue
		}
		known, err := in.recall(ctx)
		if err != nil {
			return nil, err
		}
		kept := known.signatures
		i := slices.IndexFunc(kept, func(s ledger.Signature) bool { return in.name(s.KeySPKI) == key })
		if i < 0 {
			continue
		}
		found = append(found, policy.Evidence{
			File: "a " + kept[i].Format + " signature", Format: kept[i].Format, Key: key, At: kept[i].MadeAt, Recorded: kept[i].MadeAt, Level: trust.LevelKey, Kept: true,
		})
	}
	return found, nil
}

// trace names the signature files that this service made for something else, and reports whether there are any: those of
// the bytes that stood here before, and those of another artifact. It is asked for refusals, and turns none around.
func (in *inspection) trace(ctx context.Context, found []policy.Evidence) (bool, error) {
	var contents []artifact.Digest
	for _, e := range found {
		if strange(e) && !slices.Contains(contents, e.SHA256) {
			contents = append(contents, e.SHA256)
		}
	}
	if len(contents) == 0 {
		return false, nil
	}
	answer := make(chan map[artifact.Digest]ledger.Origin, 1)
	err := in.remember(ctx, func(ctx context.Context) error {
		origins, err := in.ledger.Origins(ctx, in.subject.Ref, contents)
		answer <- origins
		return err
	})
	if err != nil {
		return false, &memoryError{err}
	}
	origins, named := <-answer, false
	for i := range found {
		e := &found[i]
		o, ok := origins[e.SHA256]
		if !ok || !strange(*e) || o.Subject == in.subject.SHA256 {
			continue
		}
		e.Key, e.At, named = in.name(o.KeySPKI), o.MadeAt, true
		if e.Key == "" {
			e.Key = o.KeyName
		}
		if o.Here {
			e.Problem, e.Detail = reason.SignatureWrongBytes, "it is for the bytes that stood here before, SHA-256 "+o.Subject.String()
			continue
		}
		e.Problem, e.Detail = reason.SignatureSwapped, "it is the signature of other bytes, SHA-256 "+o.Subject.String()
		if o.Ref.Repo != "" {
			e.Detail = fmt.Sprintf("it is the signature of %s, SHA-256 %s", o.Ref, o.Subject)
		}
	}
	return named, nil
}

// strange tells of a file that may be the signature of something else.
func strange(e policy.Evidence) bool {
	return !e.SHA256.IsZero() && (e.Problem == reason.SignatureWrongBytes || e.Problem == reason.SignatureInvalid)
}
