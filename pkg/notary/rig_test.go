package notary_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

var errFull = errors.New("no space left on device")

// flaky is a log that fails on demand.
type flaky struct {
	notary.Log
	mu   sync.Mutex
	fail func(leaf audit.Leaf) cut
}

// cut is what the caller hears instead of an answer, before or after the leaf is in the log.
type cut struct{ before, after error }

func (f *flaky) on(fail func(audit.Leaf) cut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *flaky) verdict(raw []byte) cut {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return cut{}
	}
	leaf, err := audit.ParseLeaf(raw)
	if err != nil {
		return cut{before: err}
	}
	return f.fail(leaf)
}

func (f *flaky) Add(ctx context.Context, raw []byte) (uint64, error) {
	c := f.verdict(raw)
	if c.before != nil {
		return 0, c.before
	}
	index, err := f.Log.Add(ctx, raw)
	if err == nil && c.after != nil {
		return 0, c.after
	}
	return index, err
}

func (f *flaky) Append(ctx context.Context, raw []byte) (audit.Proof, error) {
	c := f.verdict(raw)
	if c.before != nil {
		return audit.Proof{}, c.before
	}
	p, err := f.Log.Append(ctx, raw)
	if _, ok := errors.AsType[*audit.Unproven](c.after); ok && err == nil {
		return audit.Proof{}, &audit.Unproven{Index: p.Index, Err: errFull}
	}
	if err == nil && c.after != nil {
		return audit.Proof{}, c.after
	}
	return p, err
}

// realm is one whose log fails on demand.
func realm(t *testing.T, c notarytest.Config) (*notarytest.Realm, *flaky) {
	t.Helper()
	f := &flaky{}
	c.Log = func(l notary.Log) notary.Log {
		f.Log = l
		return f
	}
	return notarytest.NewWith(t, c), f
}

func key(t *testing.T) *sealtest.Key {
	t.Helper()
	return sealtest.NewKey(t, "P-256", "release-2026")
}

func digests(content string) seal.Digests {
	return seal.FromSHA256(sha256.Sum256([]byte(content)))
}

func subject(content string) artifact.Digest { return sha256.Sum256([]byte(content)) }

// made signs without keeping what it makes.
func made(t *testing.T, u *notarytest.Use, k *sealtest.Key, content string, formats ...string) map[string][]byte {
	t.Helper()
	files, err := seal.SealAll(t.Context(), k, digests(content), notarytest.Formats(t, formats...), u.Context())
	require.NoError(t, err)
	return files
}

// one is the only leaf of its kind that holds.
func one[L audit.Leaf](t *testing.T, r *notarytest.Realm, holds func(L) bool) (uint64, L) {
	t.Helper()
	var at uint64
	var found L
	n := 0
	for index, l := range notarytest.Of[L](r.Entries()) {
		if holds(l) {
			at, found = index, l
			n++
		}
	}
	require.Equal(t, 1, n)
	return at, found
}

func intentOf(t *testing.T, r *notarytest.Realm, in ledger.Intent) (uint64, audit.Intent) {
	t.Helper()
	return one(t, r, func(l audit.Intent) bool { return l.ID == uint64(in.ID) })
}

// outcomeOf is the one outcome of an intent that was announced.
func outcomeOf(t *testing.T, r *notarytest.Realm, in ledger.Intent) (uint64, audit.Outcome) {
	t.Helper()
	index, _ := intentOf(t, r, in)
	return one(t, r, func(l audit.Outcome) bool { return l.Intent == index })
}

// requireAccounted means that the ledger finds nothing that the log does not account for.
func requireAccounted(t *testing.T, r *notarytest.Realm) {
	t.Helper()
	open, err := r.Ledger.Unaccounted(t.Context(), r.Origin, 0, 100)
	require.NoError(t, err)
	require.Empty(t, open)
}

func requireOpen(t *testing.T, r *notarytest.Realm, n int) {
	t.Helper()
	open, err := r.Ledger.Unaccounted(t.Context(), r.Origin, 0, 100)
	require.NoError(t, err)
	require.Len(t, open, n)
}

func mustPublic(t *testing.T, k *sealtest.Key) hsm.Public {
	t.Helper()
	p, err := hsm.NewPublic(k.Name(), "release", k.Public())
	require.NoError(t, err)
	return p
}
