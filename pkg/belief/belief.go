// Package belief keeps for ever what verifiers must believe: the logs and authorities of all replicas, every key that ever
// signed artifacts, and every identity that certificates were issued for. Configuration forgets, and knows one replica;
// signatures outlive both.
//
// The ledger stores it and is not believed: each row is a statement signed by the key of an issuing authority, and a row that
// no authority of ours vouches for is nothing. Who writes to the ledger can take statements away, or put back an earlier one;
// he cannot add a log, an authority, a key or an identity.
package belief

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Config is what the configuration says, which always counts.
type Config struct {
	Root   []byte              // trusted_root.json of this replica alone: its log, its authorities, its clocks
	Former [][]byte            // trusted roots that are believed besides
	Keys   []trust.ExportedKey // that sign artifacts
	Issuer string              // of certificates
	// Vouchers are the keys of issuing authorities that are configured. Each of them signs every statement, so that one that
	// is about to go vouches for the one that comes.
	Vouchers []trust.Signer
}

// Ledger stores statements; *ledger.Ledger is one.
type Ledger interface {
	Believe(ctx context.Context, all ...ledger.Belief) error
	Beliefs(ctx context.Context) ([]ledger.Belief, error)
	TrustNumbers(ctx context.Context) (ledger.TrustNumbers, error)
}

// Held is what is believed at a moment. It is not changed.
type Held struct {
	Root       []byte          // trusted_root.json
	Digest     artifact.Digest // of the root
	Verifier   *trust.Verifier
	Keys       []trust.ExportedKey      // those that are configured first; no two of one name
	Identities []trust.ExportedIdentity // that certificates of the issuer were issued for
	Unvouched  []Unvouched
}

// Unvouched are statements that nobody who is believed has signed: somebody's who wrote to the ledger, or those of an
// authority of ours that the configuration has forgotten.
type Unvouched struct {
	Voucher string // pin of the key that signed them, as the ledger says
	Count   int
}

// Beliefs is safe for concurrent use.
type Beliefs struct {
	config Config
	ledger Ledger
	log    *slog.Logger

	reading chan struct{} // holds a token while the ledger is read
	now     atomic.Pointer[weighed]
}

type weighed struct {
	Held
	number int64 // of the newest statement that it rests on
}

// Open has the authorities vouch for what the configuration says, and for all that was believed before.
func Open(ctx context.Context, c Config, l Ledger, log *slog.Logger) (*Beliefs, error) {
	b := &Beliefs{config: c, ledger: l, log: log, reading: make(chan struct{}, 1)}
	b.now.Store(&weighed{number: -1})
	rows, err := l.Beliefs(ctx)
	if err != nil {
		return nil, err
	}
	own, err := c.statements(rows)
	if err != nil {
		return nil, fmt.Errorf("preparing what verifiers must believe: %w", err)
	}
	if err := b.vouch(ctx, rows, own); err != nil {
		return nil, fmt.Errorf("preparing what verifiers must believe: %w", err)
	}
	held, err := b.Held(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range held.Unvouched {
		log.WarnContext(ctx, "the ledger holds statements about what verifiers must believe by a key that no trusted root or configured issuing authority names; they are left aside",
			slog.String("voucher", u.Voucher), slog.Int("statements", u.Count))
	}
	return b, nil
}

// Held is what is believed now, by all replicas that share the ledger. It asks the ledger for one number, and reads on when
// that has changed. When the ledger cannot be read it is an error, beside what was believed before.
func (b *Beliefs) Held(ctx context.Context) (Held, error) {
	n, err := b.ledger.TrustNumbers(ctx)
	if now := b.now.Load(); err != nil || n.Belief == now.number {
		return now.Held, err
	}
	select {
	case b.reading <- struct{}{}:
		defer func() { <-b.reading }()
	case <-ctx.Done():
		return b.now.Load().Held, context.Cause(ctx)
	}
	if now := b.now.Load(); n.Belief == now.number {
		return now.Held, nil
	}
	rows, err := b.ledger.Beliefs(ctx)
	if err != nil {
		return b.now.Load().Held, err
	}
	held, err := Weigh(b.config, rows)
	if err != nil {
		return b.now.Load().Held, fmt.Errorf("weighing what verifiers must believe: %w", err)
	}
	b.now.Store(&weighed{held, n.Belief}) // what was written since that number was read is read again
	return held, nil
}

// Now is Held, or what was believed before.
func (b *Beliefs) Now(ctx context.Context) Held {
	held, err := b.Held(ctx)
	if err != nil {
		b.log.WarnContext(ctx, "what other replicas want believed cannot be read; what was believed before counts", slog.String("err", err.Error()))
	}
	return held
}

// Identity keeps an identity before the first certificate is issued for it.
func (b *Beliefs) Identity(ctx context.Context, identity trust.ExportedIdentity) error {
	if slices.Contains(b.now.Load().Identities, identity) {
		return nil
	}
	s, err := identityStatement(b.config.Issuer, identity)
	if err == nil {
		err = b.vouch(ctx, nil, []statement{s})
	}
	if err == nil {
		_, err = b.Held(ctx)
	}
	if err != nil {
		return fmt.Errorf("keeping the identity %s for verifiers: %w", identity.URI, err)
	}
	return nil
}

// vouch has each authority sign what it has not signed yet.
func (b *Beliefs) vouch(ctx context.Context, rows []ledger.Belief, all []statement) error {
	var signed []ledger.Belief
	for _, v := range b.config.Vouchers {
		spki, err := PinOf(v.Public())
		if err != nil {
			return err
		}
		for _, s := range all {
			row := ledger.Belief{Kind: s.kind, Subject: s.subject, Voucher: spki, Content: s.content}
			if slices.ContainsFunc(rows, func(r ledger.Belief) bool {
				return r.Kind == row.Kind && r.Subject == row.Subject && r.Voucher == spki && r.Content == row.Content && s.signedBy(v.Public(), r.Signature)
			}) {
				continue
			}
			if row.Signature, err = s.sign(ctx, v); err != nil {
				return fmt.Errorf("signing a statement for verifiers: %w", err)
			}
			signed = append(signed, row)
		}
	}
	return b.ledger.Believe(ctx, signed...)
}

// publicKeys are those of the configured authorities.
func (c Config) publicKeys() (all []crypto.PublicKey) {
	for _, v := range c.Vouchers {
		all = append(all, v.Public())
	}
	return all
}
