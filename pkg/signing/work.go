package signing

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// busyWait is how long a job steps back when another one is signing the same bytes with the same key.
const busyWait = 100 * time.Millisecond

// work is what steps 3 to 8 share about one subject.
type work struct {
	decision policy.Decision
	subject  artifact.Subject
	intents  []intent
	files    []file
}

// intent is one durable permission to use one key, and the formats still to be made with it.
type intent struct {
	record  ledger.Intent
	formats []seal.Format
}

// file is one signature file that the grant wants beside the artifact.
type file struct {
	name    string
	key     string
	format  seal.Format
	content []byte // nil until made
}

// intend is step 3. It lists the files the grant wants, fills in those whose signatures exist already (same bytes, same
// key, same format: one signature), and records an intent for each key that is still needed.
func (r *run) intend(ctx context.Context, d policy.Decision) (*work, error) {
	w := &work{decision: d, subject: d.Grant.Subject()}
	made, err := r.Ledger.Signatures(ctx, w.subject.SHA256)
	if err != nil {
		return nil, fmt.Errorf("looking for signatures of the same bytes: %w", err)
	}
	type slot struct {
		spki   artifact.Digest
		format string
	}
	have := make(map[slot][]byte, len(made))
	for _, m := range made {
		have[slot{m.KeySPKI, m.Format}] = m.Content
	}

	taken := make(map[string]bool) // formats whose plain file name is in use
	for _, order := range d.Grant.Orders() {
		key, ok := r.Keys.Key(order.Key)
		if !ok {
			return nil, fmt.Errorf("policy %s names key %q, which the key ring does not hold", d.Policy, order.Key)
		}
		var missing []seal.Format
		var names []string
		for _, name := range order.Formats {
			format, ok := seal.Lookup(name)
			if !ok {
				return nil, fmt.Errorf("policy %s names format %q, which is unknown", d.Policy, name)
			}
			content := have[slot{key.SPKI, name}]
			if content == nil {
				missing, names = append(missing, format), append(names, name)
			}
			w.files = append(w.files, file{
				name:    seal.FileName(r.ref.Name(), name, order.Key, !taken[name]),
				key:     order.Key,
				format:  format,
				content: content,
			})
			taken[name] = true
		}
		if len(missing) == 0 {
			r.metrics.reused.Inc()
			continue
		}
		w.intents = append(w.intents, intent{formats: missing, record: ledger.Intent{
			GrantID:   d.Grant.ID(),
			Ref:       r.ref,
			Subject:   w.subject.SHA256,
			KeyName:   order.Key,
			KeySPKI:   key.SPKI,
			Formats:   names,
			Policy:    d.Policy,
			Rule:      d.Rule,
			PolicySet: d.Grant.SetDigest(),
			EventID:   r.event.ID,
		}})
	}
	for i := range w.intents {
		w.intents[i].record, err = r.Ledger.Begin(ctx, w.intents[i].record)
		if err != nil {
			begun := *w
			begun.intents = w.intents[:i]
			switch {
			case errors.Is(err, ledger.ErrSealed):
				err = job.After(0, err) // made in the meantime by another job: look again and reuse
			case errors.Is(err, ledger.ErrBusy):
				err = job.After(busyWait, err)
			default:
				err = fmt.Errorf("recording the intent to use key %s: %w", w.intents[i].record.KeyName, err)
			}
			return nil, r.abandon(ctx, &begun, err)
		}
	}
	return w, nil
}

// pull is step 4. The stream ends in hash functions; nothing is kept.
func (r *run) pull(ctx context.Context, w *work) (seal.Digests, error) {
	further := make(map[crypto.Hash]hash.Hash)
	for _, in := range w.intents {
		if key, _ := r.Keys.Key(in.record.KeyName); key.Hash != crypto.SHA256 && further[key.Hash] == nil {
			further[key.Hash] = key.Hash.New()
		}
	}
	if err := r.client.Pull(ctx, w.subject.Info, slices.Collect(maps.Values(further))...); err != nil {
		return nil, &storeError{op: "pulling the artifact", err: err}
	}
	digests := seal.FromSHA256(w.subject.SHA256)
	for h, sum := range further {
		digests[h] = sum.Sum(nil)
	}
	return digests, nil
}

// seal is step 5. The grant opens the key; one signature per key serves all its formats.
func (r *run) seal(ctx context.Context, w *work, digests seal.Digests) error {
	for _, in := range w.intents {
		signer, err := r.Keys.Signer(w.decision.Grant, in.record.KeyName)
		if err != nil {
			return &keyError{key: in.record.KeyName, err: err}
		}
		made, err := seal.SealAll(ctx, signer, digests, in.formats)
		if err != nil {
			return &keyError{key: in.record.KeyName, err: err}
		}
		for i, f := range w.files {
			if content, ok := made[f.format.Name]; ok && f.key == in.record.KeyName && f.content == nil {
				w.files[i].content = content
			}
		}
	}
	return nil
}

// check is step 6. A file that does not verify with the pinned key never leaves the process.
func (r *run) check(ctx context.Context, w *work, digests seal.Digests) error {
	now := time.Now()
	for _, in := range w.intents {
		key, _ := r.Keys.Key(in.record.KeyName)
		var rows []ledger.Signature
		made := make(map[string][]byte, len(in.formats))
		for _, f := range w.files {
			if f.key != in.record.KeyName || !in.covers(f.format) {
				continue
			}
			made[f.format.Name] = f.content
			rows = append(rows, ledger.Signature{
				Subject: w.subject.SHA256, KeyName: f.key, KeySPKI: key.SPKI, Format: f.format.Name,
				Content: f.content, MadeAt: now, IntentID: in.record.ID,
			})
		}
		if err := seal.VerifyAll(key.PublicKey, digests, made); err != nil {
			r.metrics.selfCheckFailures.Inc()
			return &keyError{key: in.record.KeyName, err: fmt.Errorf("checking our own files: %w", err)}
		}
		if err := r.Ledger.Sealed(ctx, in.record.ID, rows); err != nil {
			return fmt.Errorf("recording the signatures of key %s: %w", in.record.KeyName, err)
		}
	}
	return nil
}

// attach is step 7. Properties come last: they say "signed" only when every file is stored and the bytes are still the
// same.
func (r *run) attach(ctx context.Context, w *work) error {
	for _, f := range w.files {
		a := artifact.Attachment{Ref: r.ref.Beside(f.name), MediaType: f.format.MediaType, Content: f.content}
		if err := r.client.Store(ctx, a); err != nil {
			return &storeError{op: "storing " + f.name, err: err}
		}
	}
	now, err := r.client.Info(ctx, r.ref)
	if err != nil {
		return &storeError{op: "reading the artifact's digest again", err: err}
	}
	if now.SHA256 != w.subject.SHA256 {
		return &changedError{was: w.subject.SHA256, is: now.SHA256}
	}
	if err := r.client.Merge(ctx, r.ref, signedProperties(w)); err != nil {
		return &markError{err: err}
	}
	return nil
}

func (in intent) covers(f seal.Format) bool {
	for _, have := range in.formats {
		if have.Name == f.Name {
			return true
		}
	}
	return false
}
