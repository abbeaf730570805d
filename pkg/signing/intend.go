package signing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// busyWait is how long a job steps back when another one is signing the same bytes with the same key.
const busyWait = 100 * time.Millisecond

// work is what steps 3 to 8 share about one subject.
type work struct {
	decision policy.Decision
	subject  artifact.Subject
	parts    []part       // in the policy's order
	digests  seal.Digests // of the subject's bytes, once pulled
}

// part is one key of the grant, with the signature files it makes.
type part struct {
	key     hsm.Public
	files   []file
	missing []seal.Format // still to be made; none when every signature exists already
	intent  ledger.Intent // without a number unless something is missing
	use     *notary.Use   // nil as long as there is no intent, and without a notary
}

// overBytes reports whether the signatures are over the subject's bytes. Those of other kinds are over a statement that
// names the bytes by their SHA-256.
func (w *work) overBytes() bool { return w.subject.Kind == artifact.KindFile }

// file is one signature that the grant wants.
type file struct {
	name    string // "" until it is stored, for a kind whose shelf names its signatures
	format  seal.Format
	content []byte   // nil until made
	served  [][]byte // what stands under the name, once it was stored and read back
}

func (f *file) String() string {
	if f.name != "" {
		return f.name
	}
	return "a signature (" + f.format.Name + ")"
}

// intend is step 3. It lists the files that the grant wants, fills in those whose signatures exist already (same bytes,
// same key, same format: one signature), and records an intent for each key that is still needed. A bundle from before there
// was a notary, or that a notary vouched for whom nobody believes any more, is made anew, once.
func (r *run) intend(ctx context.Context, d policy.Decision) (*work, error) {
	w := &work{decision: d, subject: d.Grant.Subject()}
	kept, err := r.Ledger.Signatures(ctx, w.subject.SHA256)
	if err != nil {
		return nil, fmt.Errorf("looking for signatures of the same bytes: %w", err)
	}
	distrusted, err := r.Ledger.Distrusted(ctx)
	if err != nil {
		return nil, err
	}
	taken := make(map[string]bool) // formats whose plain file name is in use
	for _, order := range d.Grant.Orders() {
		p, err := r.plan(ctx, d, order, kept, distrusted, taken)
		if err != nil {
			return nil, err
		}
		w.parts = append(w.parts, p)
	}
	for i := range w.parts {
		p := &w.parts[i]
		if len(p.missing) == 0 {
			r.metrics.reused.Inc()
			continue
		}
		if err := r.begin(ctx, d.Grant, p); err != nil {
			return nil, r.abandon(ctx, w, err)
		}
	}
	return w, nil
}

// begin records one intent, in the ledger and then in the log, which is told its number. Nothing is recorded while it is known
// that no signature could be attested.
func (r *run) begin(ctx context.Context, g *policy.Grant, p *part) error {
	use := r.Notary.For(g.Configuration(), p.key)
	if err := use.Ready(ctx); err != nil {
		return &attestError{key: p.key.Name, err: err}
	}
	if err := r.Notary.Place(ctx, &p.intent); err != nil {
		return &attestError{key: p.key.Name, err: err}
	}
	begun, err := r.Ledger.Begin(ctx, p.intent)
	if errors.Is(err, ledger.ErrDistrusted) { // a moment ago
		err = &distrustError{distrust: ledger.Distrust{KeyName: p.key.Name, From: time.Now().UTC()}}
	}
	if err != nil {
		return fmt.Errorf("recording the intent to use key %s: %w", p.key.Name, err)
	}
	p.intent, p.use = begun, use
	if err := p.use.Intend(ctx, begun, r.event.Caller); err != nil {
		return &attestError{key: p.key.Name, err: err}
	}
	return nil
}

// plan is what one key has to do. It refuses a file that could not be stored before the key is used for it.
func (r *run) plan(ctx context.Context, d policy.Decision, order policy.Order, kept []ledger.Signature, distrusted distrusts, taken map[string]bool) (part, error) {
	serving := r.serving(ctx, order, kept, distrusted)
	key, err := r.maker(order, serving)
	if err != nil {
		return part{}, &keyError{key: order.Key, err: err}
	}
	p := part{key: key, intent: ledger.Intent{
		GrantID: d.Grant.ID(), Replaces: map[string]int64{}, Ref: r.ref, Subject: d.Grant.Subject().SHA256, KeyName: key.Name, KeySPKI: key.SPKI,
		Policy: d.Policy, Rule: d.Rule, PolicySet: d.Grant.SetDigest(), EventID: r.event.ID,
	}}
	for _, name := range order.Formats {
		format, ok := seal.Lookup(name)
		if !ok {
			return part{}, fmt.Errorf("policy %s names format %q, which is unknown", d.Policy, name)
		}
		f := file{format: format}
		if d.Grant.Subject().Kind == artifact.KindFile {
			f.name = seal.FileName(r.ref.Name(), name, key.Name, !taken[name])
			taken[name] = true
			if _, err := artifact.NewRef(r.ref.Instance, r.ref.Repo, r.ref.Beside(f.name).Path); err != nil {
				return part{}, &pathError{fmt.Errorf("naming a signature file: %w", err)}
			}
		}
		if s := inForce(serving, key, name); s != nil {
			f.content = s.Content
		} else {
			p.missing, p.intent.Formats = append(p.missing, format), append(p.intent.Formats, name)
			if s := inForce(kept, key, name); s != nil {
				p.intent.Replaces[name] = s.IntentID
			}
		}
		p.files = append(p.files, f)
	}
	if no, is := distrusted[key.SPKI]; is && len(p.missing) > 0 {
		return part{}, &distrustError{no}
	}
	return p, nil
}

// inForce is the signature of a key in a format; nil when there is none.
func inForce(kept []ledger.Signature, k hsm.Public, format string) *ledger.Signature {
	i := slices.IndexFunc(kept, func(s ledger.Signature) bool { return s.KeySPKI == k.SPKI && s.Format == format && !s.Former })
	if i < 0 {
		return nil
	}
	return &kept[i]
}
