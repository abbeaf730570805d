package notarytest

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Key is a key that signs artifacts: *sealtest.Key is one, and *hsm.Signer.
type Key interface {
	seal.Signer
	Name() string
}

// Use is the use of a key on some bytes by one grant, from its intent to its outcome.
type Use struct {
	*notary.Use
	Intent ledger.Intent
	realm  *Realm
}

// public is how the service knows the key.
func (r *Realm) public(key Key) hsm.Public {
	r.t.Helper()
	p, err := hsm.NewPublic(key.Name(), "release", key.Public())
	require.NoError(r.t, err)
	return p
}

// Begin has the ledger and the log hold the intent to use the key on what has this digest.
func (r *Realm) Begin(key Key, subject artifact.Digest, formats ...string) *Use {
	r.t.Helper()
	var grant [16]byte
	_, _ = rand.Read(grant[:])
	public := r.public(key)
	in := ledger.Intent{
		GrantID: hex.EncodeToString(grant[:]), Ref: artifact.Ref{Instance: "main", Repo: "libs-staging-local", Path: "app/app.tgz"}, Subject: subject,
		KeyName: public.Name, KeySPKI: public.SPKI, Formats: formats, Policy: "release", Rule: "release.yaml:1 (release)", PolicySet: artifact.Digest{1}, EventID: 1,
	}
	ctx := r.t.Context()
	use := r.Notary.For(r.config.Configuration, public)
	require.NoError(r.t, use.Ready(ctx))
	require.NoError(r.t, r.Notary.Place(ctx, &in))
	in, err := r.Ledger.Begin(ctx, in)
	require.NoError(r.t, err)
	u := &Use{Use: use, Intent: in, realm: r}
	require.NoError(r.t, u.Intend(ctx, in, ""))
	return u
}

// Seal signs as the service does, from the intent to the outcome, and returns the signature files by their format.
func (r *Realm) Seal(key Key, d seal.Digests, formats ...string) map[string][]byte {
	r.t.Helper()
	u := r.Begin(key, d.SHA256(), formats...)
	files, err := seal.SealAll(r.t.Context(), key, d, Formats(r.t, formats...), u.Context())
	require.NoError(r.t, err)
	u.Keep(files)
	r.Notary.Ended(r.t.Context(), u.Use)
	return files
}

// Keep has the ledger keep what was made.
func (u *Use) Keep(files map[string][]byte) {
	u.realm.t.Helper()
	var rows []ledger.Signature
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rows = append(rows, ledger.Signature{
			Subject: u.Intent.Subject, KeyName: u.Intent.KeyName, KeySPKI: u.Intent.KeySPKI, Format: name, Content: files[name], IntentID: u.Intent.ID,
		})
	}
	require.NoError(u.realm.t, u.realm.Ledger.Sealed(u.realm.t.Context(), u.Intent.ID, rows))
}

// Formats looks formats up.
func Formats(t testing.TB, names ...string) (out []seal.Format) {
	t.Helper()
	for _, name := range names {
		f, ok := seal.Lookup(name)
		require.True(t, ok, name)
		out = append(out, f)
	}
	return out
}

// Entry is one leaf of the log.
type Entry struct {
	Index uint64
	Leaf  audit.Leaf
}

// Entries reads the whole log.
func (r *Realm) Entries() (all []Entry) {
	r.t.Helper()
	require.NoError(r.t, r.Log.Leaves(r.t.Context(), 0, func(index uint64, raw []byte) error {
		leaf, err := audit.ParseLeaf(raw)
		require.NoError(r.t, err)
		all = append(all, Entry{index, leaf})
		return nil
	}))
	return all
}

// Of picks the leaves of one kind.
func Of[L audit.Leaf](all []Entry) map[uint64]L {
	found := map[uint64]L{}
	for _, e := range all {
		if l, ok := e.Leaf.(L); ok {
			found[e.Index] = l
		}
	}
	return found
}
