package verify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

const artifactText = "what was built"

// believing is a trust in the realm's root and in the identity of its certificates.
func believing(t testing.TB, r *verifytest.Realm) verify.Trust {
	t.Helper()
	root, err := verify.ReadRoot(r.TrustedRoot())
	require.NoError(t, err)
	return verify.Trust{Root: root, Identities: []verify.Identity{{Issuer: verify.Exactly(verifytest.Issuer), Subject: verify.Exactly(verifytest.Identity)}}}
}

// pinning is a trust in the realm's root and in one key.
func pinning(t testing.TB, r *verifytest.Realm, key *sealtest.Key) verify.Trust {
	t.Helper()
	trust := believing(t, r)
	trust.Identities, trust.Keys = nil, []verify.Key{{Name: "release", Public: key.Public()}}
	return trust
}

// Every kind of bundle under every algorithm, by certificate and by key, with all that proves it and with less.
func TestLevels(t *testing.T) {
	t.Parallel()
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r, key := verifytest.New(t), sealtest.NewKey(t, algorithm, "release")
			d := verify.Digests(sealtest.Digests(t, artifactText))
			for format, image := range map[string]bool{"sigstore": false, "cosign": true} {
				order := verifytest.Order{Key: key, Content: []byte(artifactText), Image: image, More: 3}
				full := r.Bundle(order)
				f, err := verify.Artifact(believing(t, r), format, d, full)
				require.NoError(t, err)
				require.Equal(t, verify.LevelCertificate, f.Level)
				require.Equal(t, verifytest.Now, f.At)
				require.Equal(t, []string{verifytest.Identity, verifytest.Issuer, verifytest.Origin}, []string{f.Identity, f.Issuer, f.Log})
				require.NotNil(t, f.LogIndex)
				require.Empty(t, f.Key)
				var parts []string
				for _, p := range f.Parts {
					parts = append(parts, p.Name)
					require.NotEmpty(t, p.Rests)
					require.NotEmpty(t, p.Checked)
				}
				require.Equal(t, []string{"bytes", "signature", "log", "time", "certificate", "identity", "key"}, parts)

				f, err = verify.Artifact(pinning(t, r, key), format, d, full)
				require.NoError(t, err)
				require.Equal(t, verify.LevelCertificate, f.Level)
				require.Equal(t, "release", f.Key)

				f, err = verify.Artifact(verify.Trust{Keys: []verify.Key{{Public: key.Public()}}}, format, d, full)
				require.NoError(t, err, "the key alone")
				require.Equal(t, verify.LevelKey, f.Level)
				require.Zero(t, f.At)

				order.Bare = true
				f, err = verify.Artifact(pinning(t, r, key), format, d, r.Bundle(order))
				require.NoError(t, err)
				require.Equal(t, verify.LevelKey, f.Level)
				require.Equal(t, verifytest.Now, f.At, "a key's signature has a date too")
				require.Equal(t, verifytest.Origin, f.Log)
				_, err = verify.Artifact(believing(t, r), format, d, r.Bundle(order))
				require.ErrorIs(t, err, verify.ErrWrongKey)
			}
		})
	}
}

// A key that nobody vouched for still bounds what its certificate proves, and proves nothing without.
func TestOnlyCertified(t *testing.T) {
	t.Parallel()
	r, key := verifytest.New(t), sealtest.NewKey(t, "P-256", "release")
	d := verify.Digests(sealtest.Digests(t, artifactText))
	order := verifytest.Order{Key: key, Content: []byte(artifactText)}
	certified := r.Bundle(order)
	order.Bare = true
	bare := r.Bundle(order)
	raw, err := key.Sign(t.Context(), d[key.Hash()])
	require.NoError(t, err)
	trust := believing(t, r)
	trust.Keys = []verify.Key{{Name: "release", Public: key.Public(), OnlyCertified: true}}
	f, err := verify.Artifact(trust, "sigstore", d, certified)
	require.NoError(t, err)
	require.Equal(t, verify.LevelCertificate, f.Level)
	require.Equal(t, "release", f.Key)
	for format, content := range map[string][]byte{"sigstore": bare, "sigstore-key": bare, "raw": raw} {
		_, err = verify.Artifact(trust, format, d, content)
		require.ErrorIs(t, err, verify.ErrWrongKey, format)
		require.ErrorContains(t, err, "the key release counts only with a certificate")
	}
	trust.Keys[0].Distrusted = verifytest.Now
	_, err = verify.Artifact(trust, "sigstore", d, certified)
	require.ErrorIs(t, err, verify.ErrDistrusted)
	trust.Keys[0].Distrusted, trust.Root = time.Time{}, nil
	_, err = verify.Artifact(trust, "sigstore", d, certified)
	require.ErrorIs(t, err, verify.ErrWrongKey, "without a root there is nothing that vouches for anything")
}

// A certificate of a key that is not pinned counts in the lane of its name; where one name is of both, in neither. Of a pinned
// key the lane is known, and nothing else decides.
func TestLanesOfIdentities(t *testing.T) {
	t.Parallel()
	r, key := verifytest.New(t), sealtest.NewKey(t, "P-256", "release")
	d, b := verify.Digests(sealtest.Digests(t, artifactText)), r.Bundle(verifytest.Order{Key: key, Content: []byte(artifactText)})
	for name, c := range map[string]struct {
		lanes []string // of the identity
		lane  string   // that counts
		ok    bool
	}{
		"any":         {[]string{""}, "release", true},
		"of the lane": {[]string{"release"}, "release", true},
		"all lanes":   {[]string{"development"}, "", true},
		"of another":  {[]string{"development"}, "release", false},
		"of both":     {[]string{"release", "development"}, "release", false},
	} {
		trust := believing(t, r)
		id := trust.Identities[0]
		trust.Identities, trust.Lane = nil, c.lane
		for _, lane := range c.lanes {
			id.Lane = lane
			trust.Identities = append(trust.Identities, id)
		}
		_, err := verify.Artifact(trust, "sigstore", d, b)
		if c.ok {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, verify.ErrLane, name)
		}
		trust.Keys = []verify.Key{{Public: key.Public(), Lane: "release"}}
		_, err = verify.Artifact(trust, "sigstore", d, b)
		require.NoError(t, err, name)
	}
}

// What a named key lacks is no fault, and lowers nothing; what a certificate lacks is in the table of attacks.
func TestLessThanAll(t *testing.T) {
	t.Parallel()
	r, key := verifytest.New(t), sealtest.NewKey(t, "P-256", "release")
	d := verify.Digests(sealtest.Digests(t, artifactText))
	for _, o := range []verifytest.Order{{NoEntry: true}, {NoStamp: true}, {NoEntry: true, NoStamp: true}} {
		o.Key, o.Content, o.Bare = key, []byte(artifactText), true
		b := r.Bundle(o)
		f, err := verify.Artifact(pinning(t, r, key), "sigstore", d, b)
		require.NoError(t, err)
		require.Equal(t, verify.LevelKey, f.Level)
		require.Equal(t, o.NoStamp, f.At.IsZero())
		require.Equal(t, o.NoEntry, f.Log == "")
		_, err = verify.Artifact(believing(t, r), "sigstore", d, b)
		require.ErrorIs(t, err, verify.ErrWrongKey)
	}
}

// Keys have their time, and a signature is held against it by what an authority says of its time, never by the clock here.
func TestWindows(t *testing.T) {
	t.Parallel()
	r, key := verifytest.New(t), sealtest.NewKey(t, "P-256", "release")
	d := verify.Digests(sealtest.Digests(t, artifactText))
	dated, undated := r.Bundle(verifytest.Order{Key: key, Content: []byte(artifactText), Bare: true}), r.Bundle(verifytest.Order{Key: key, Content: []byte(artifactText), Bare: true, NoStamp: true})
	before, after := verifytest.Now.Add(-time.Hour), verifytest.Now.Add(time.Hour)
	for name, c := range map[string]struct {
		key            verify.Key
		lane           string
		dated, undated error
	}{
		"no bounds":            {verify.Key{}, "", nil, nil},
		"begun":                {verify.Key{From: before}, "", nil, nil},
		"to begin":             {verify.Key{From: after}, "", verify.ErrNotYet, nil},
		"to begin tomorrow":    {verify.Key{From: after.AddDate(0, 0, 1)}, "", verify.ErrNotYet, verify.ErrNotYet},
		"retired since":        {verify.Key{Retired: after}, "", nil, verify.ErrRetired},
		"retired before":       {verify.Key{Retired: before}, "", verify.ErrRetired, verify.ErrRetired},
		"to retire":            {verify.Key{Retired: after.AddDate(0, 0, 1)}, "", nil, nil},
		"at its last moment":   {verify.Key{Retired: verifytest.Now}, "", nil, verify.ErrRetired},
		"distrusted since":     {verify.Key{Distrusted: after}, "", nil, verify.ErrDistrusted},
		"distrusted before":    {verify.Key{Distrusted: before}, "", verify.ErrDistrusted, verify.ErrDistrusted},
		"distrusted from then": {verify.Key{Distrusted: verifytest.Now}, "", verify.ErrDistrusted, verify.ErrDistrusted},
		"distrusted later on":  {verify.Key{Distrusted: after.AddDate(1, 0, 0)}, "", nil, verify.ErrDistrusted},
		"retired, distrusted":  {verify.Key{Retired: before, Distrusted: before}, "", verify.ErrDistrusted, verify.ErrDistrusted},
		"of the lane":          {verify.Key{Lane: "release"}, "release", nil, nil},
		"of another lane":      {verify.Key{Lane: "development"}, "release", verify.ErrLane, verify.ErrLane},
		"of no lane":           {verify.Key{}, "release", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trust := pinning(t, r, key)
			c.key.Public = key.Public()
			trust.Keys, trust.Lane, trust.Now = []verify.Key{c.key}, c.lane, verifytest.Now.Add(2*time.Hour)
			_, err := verify.Artifact(trust, "sigstore", d, dated)
			require.ErrorIs(t, err, c.dated)
			_, err = verify.Artifact(trust, "sigstore", d, undated)
			require.ErrorIs(t, err, c.undated)
			trust.Root = nil // then nothing is dated
			_, err = verify.Artifact(trust, "sigstore", d, dated)
			require.ErrorIs(t, err, c.undated)
		})
	}
}
