package notary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Purpose is what artifact keys are used for.
const Purpose = "sign"

var _ seal.Notary = (*Use)(nil)

// Use is a grant's use of one key, from its intent to its outcome: one signature or a few. It is the seal.Notary of what is
// signed in it, and remembers that for the outcome. A nil Use attests nothing. It is safe for concurrent use.
type Use struct {
	notary   *Notary
	key      hsm.Public
	identity string
	intent   ledger.Intent

	mu          sync.Mutex
	announced   bool
	index       uint64 // of the intent's leaf, once announced
	certificate artifact.Digest
	made        []audit.Use
	unsure      time.Time // when the log did not say whether it had taken a leaf about the use
}

// For prepares the use of a key, under the name of the signing configuration that granted it, or none. Nothing happens yet.
func (n *Notary) For(configuration string, key hsm.Public) *Use {
	if n == nil {
		return nil
	}
	return &Use{notary: n, key: key, identity: n.identity(configuration, key.Name)}
}

// Place marks an intent, before the ledger has it, with where the log is going to tell of it.
func (n *Notary) Place(ctx context.Context, in *ledger.Intent) error {
	if n == nil {
		return nil
	}
	size, err := n.Records.Size(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	in.LogOrigin, in.LogFrom = n.Records.Origin(), size
	return nil
}

// Intend tells the log what the key is about to be used for, and who asked for it by name. Only when it returned nil may the
// key be used. The intent is in the ledger, and is marked with its Place. Whatever it returns, the use has to be Ended.
func (u *Use) Intend(ctx context.Context, in ledger.Intent, asked string) error {
	if u == nil {
		return nil
	}
	u.intent = in
	u.notary.enter(u)
	index, err := u.notary.add(ctx, "intent", audit.Intent{
		ID: uint64(in.ID), Replica: u.notary.config.Replica, Grant: in.GrantID, Event: uint64(max(in.EventID, 0)), Asked: asked,
		Instance: in.Ref.Instance, Repo: in.Ref.Repo, Path: in.Ref.Path, Subject: in.Subject, Key: in.KeyName, SPKI: in.KeySPKI,
		Purpose: Purpose, Formats: in.Formats, Policy: in.Policy, Rule: in.Rule, PolicySet: in.PolicySet, At: in.StartedAt,
	})
	if errors.Is(err, audit.ErrUnconfirmed) {
		u.doubt(time.Now())
	}
	if err != nil {
		return fmt.Errorf("announcing the use of key %s: %w", in.KeyName, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.announced, u.index = true, index
	return nil
}

// Context is what seal.SealAll is told of the use.
func (u *Use) Context() seal.Context {
	if u == nil {
		return seal.Context{}
	}
	return seal.Context{Notary: u}
}

// Certificate implements seal.Notary.
func (u *Use) Certificate(ctx context.Context) ([]byte, error) {
	der, err := u.notary.certificates.get(ctx, u.key, u.identity)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.certificate = digestOf(der)
	return der, nil
}

// Signed implements seal.Notary.
func (u *Use) Signed(signature []byte) { u.note(signature, func(*audit.Use) {}) }

// Stamp implements seal.Notary.
func (u *Use) Stamp(ctx context.Context, signature []byte) (token []byte, err error) {
	defer u.notary.metrics.time("stamp")(&err)
	token, _, err = u.notary.Clock.Stamp(ctx, signature)
	if u.notary.clock.saw(err); err != nil {
		return nil, err
	}
	u.note(signature, func(m *audit.Use) { m.Timestamp = digestOf(token) })
	return token, nil
}

// Record implements seal.Notary.
func (u *Use) Record(ctx context.Context, r seal.Record) (_ *rekor.TransparencyLogEntry, err error) {
	by := audit.Verifier{Certificate: r.Certificate}
	if r.Certificate == nil {
		by.PublicKey = r.PublicKey
	}
	body, err := audit.HashedRekord(r.Digest, r.Hash, r.Signature, by)
	if err != nil {
		return nil, fmt.Errorf("making the log entry: %w", err)
	}
	defer u.notary.metrics.time("record")(&err)
	proof, err := u.notary.Records.Append(ctx, body)
	u.notary.proofs.saw(err)
	if in, ok := errors.AsType[*audit.Unproven](err); ok {
		u.note(r.Signature, func(m *audit.Use) { m.Entries = append(m.Entries, in.Index) })
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLog, err)
	}
	u.note(r.Signature, func(m *audit.Use) { m.Entries = append(m.Entries, proof.Index) })
	return proof.Entry(body), nil
}

// note changes what is remembered of a signature.
func (u *Use) note(signature []byte, change func(*audit.Use)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	digest := digestOf(signature)
	i := slices.IndexFunc(u.made, func(m audit.Use) bool { return m.Signature == digest })
	if i < 0 {
		i, u.made = len(u.made), append(u.made, audit.Use{Signature: digest})
	}
	change(&u.made[i])
}
