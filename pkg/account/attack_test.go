package account_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Whoever can write the ledger, place files, and use a key: nothing that they write silences the alarm.
func TestLedgerAndLogDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(r *rig)
		want []reason.Code
	}{
		"a signature without the log": {
			func(r *rig) { r.sealed(r.begin("a", "a", ""), []byte("sig")) }, []reason.Code{reason.LogUseMissing, reason.LedgerUnlogged},
		},
		"a signature without a log, of before there was one": {func(r *rig) {
			r.sealedAt(r.begin("evil", "evil", ""), "raw", r.use(r.key, "evil", "evil"), time.Now().AddDate(-1, 0, 0))
		}, []reason.Code{reason.LedgerUnlogged}},
		"a signature that the log does not tell of": {
			func(r *rig) { r.sealed(r.begin("a", "a", origin), []byte("sig")) }, []reason.Code{reason.LogUseMissing, reason.LogIntentMissing},
		},
		"a signature of the future": {func(r *rig) {
			r.sealedAt(r.begin("evil", "evil", origin), "raw", r.use(r.key, "evil", "evil"), time.Now().AddDate(1, 0, 0))
			r.forge(`UPDATE intent SET started_at = (SELECT max(made_at) FROM signature) WHERE path = 'evil'`)
		}, []reason.Code{reason.LogUseMissing, reason.LogIntentMissing, reason.SignatureUnlogged}},
		"a signature of a log that there is not": {
			func(r *rig) { r.sealed(r.begin("evil", "evil", "no-such-log.example"), r.use(r.key, "evil", "evil")) }, []reason.Code{reason.LedgerLogUnknown},
		},
		"another signature than the log's": {
			func(r *rig) { in := r.begin("a", "a", origin); r.logged(in, "a"); r.sealed(in, []byte("sig")) },
			[]reason.Code{reason.LogUseMissing, reason.LedgerUseMissing},
		},
		"an entry that the ledger lacks": {func(r *rig) { r.logged(r.begin("a", "a", origin), "a") }, []reason.Code{reason.LedgerUseMissing}},
		"an entry of an intent it never had": {
			func(r *rig) { in := r.intent("a", "a", origin); in.ID = 1 << 50; r.logged(in, "a") }, []reason.Code{reason.LedgerUseMissing},
		},
		"an entry under another's intent": {
			func(r *rig) { in := r.intent("b", "b", origin); in.ID = 1; r.logged(in, "b") }, []reason.Code{reason.LedgerUseMissing},
		},
		"a row under an intent that was told": {func(r *rig) {
			in := r.intent("evil", "evil", origin)
			in.ID = 1
			require.ErrorIs(r.t, r.ledger.Sealed(r.t.Context(), 1, []ledger.Signature{{
				Subject: in.Subject, KeyName: in.KeyName, KeySPKI: in.KeySPKI, Format: "raw", Content: r.use(r.key, "evil", "evil"), IntentID: 1,
			}}), ledger.ErrNotLive)
		}, []reason.Code{reason.LogUseMissing, reason.SignatureUnlogged}},
		"a row of an intent that there is not": {func(r *rig) {
			r.sealed(r.begin("evil", "evil", ""), r.use(r.key, "evil", "evil"))
			r.forge(`UPDATE signature SET intent_id = 999 WHERE intent_id = 2`)
		}, []reason.Code{reason.LedgerIntentUnknown, reason.SignatureUnlogged}},
		"an intent that was taken away": {
			func(r *rig) { r.forge(`DELETE FROM intent`) }, []reason.Code{reason.LedgerIntentUnknown},
		},
		"a signature that was taken away": {
			func(r *rig) { r.forge(`DELETE FROM signature`) }, []reason.Code{reason.LedgerUseMissing},
		},
		"a file under the digest of another": {func(r *rig) {
			evil := r.use(r.key, "evil", "evil")
			r.forge(`UPDATE signature SET content_sha256 = $1`, artifact.Attachment{Content: evil}.SHA256().String())
		}, []reason.Code{reason.LedgerContentWrong, reason.SignatureUnlogged}},
		"a file that is a signature of ours in one format, and of another in another": {func(r *rig) {
			in := r.begin("twice", "twice", origin)
			ours, evil, sum := r.logged(in, "twice").Signature, r.use(r.key, "evil", "evil"), sha256.Sum256([]byte("evil"))
			b64 := base64.StdEncoding.EncodeToString
			both := fmt.Sprintf(`{"payload":"eA==","payloadType":"x","signatures":[{"keyid":"k","sig":%q}],"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":%q},"signature":%q}}`,
				b64(ours), b64(sum[:]), b64(evil))
			r.sealedAt(in, "evidence", []byte(both), time.Time{})
			require.NoError(r.t, r.art.Delete("dev", repo, "evil.sig"))
			r.put("evil.sigstore.json", both)
		}, []reason.Code{reason.SignatureUnlogged}},
		"what is no signature": {
			func(r *rig) { r.forge(`UPDATE signature SET format = 'cosign'`) }, []reason.Code{reason.LedgerContentWrong, reason.LedgerUseMissing},
		},
		"a row that cannot be read": {
			func(r *rig) { r.forge(`UPDATE signature SET key_spki = 'x'`) }, []reason.Code{reason.LedgerContentWrong, reason.LedgerUseMissing},
		},
		"a signature for other bytes": {
			func(r *rig) { r.forge(`UPDATE signature SET subject = $1`, strings.Repeat("ab", 32)) }, []reason.Code{reason.LogUseMissing, reason.LedgerUseMissing},
		},
		"a signature under another intent": {
			func(r *rig) { r.sign("more", "more"); r.forge(`UPDATE signature SET intent_id = 3 - intent_id`) }, []reason.Code{reason.LedgerIntentWrong, reason.LedgerIntentWrong},
		},
		"an intent that was written anew": {
			func(r *rig) { r.forge(`UPDATE intent SET path = 'elsewhere'`) }, []reason.Code{reason.LedgerIntentWrong},
		},
		"an intent of the log alone": {func(r *rig) {
			in := r.begin("a", "a", origin)
			require.NoError(r.t, r.ledger.Abandon(r.t.Context(), in.ID, "no wish"))
			r.abandoned(in, "a")
			r.forge(`DELETE FROM intent WHERE id = 2`)
		}, []reason.Code{reason.LedgerIntentMissing}},
		"a signature that was given up stands": {func(r *rig) {
			in := r.begin("a", "a", origin)
			require.NoError(r.t, r.ledger.Abandon(r.t.Context(), in.ID, "no wish"))
			r.put("a", "a")
			r.put("a.sig", string(r.abandoned(in, "a")))
		}, []reason.Code{reason.SignatureUnpublished}},
		"a signature that was given up is kept": {func(r *rig) {
			in := r.begin("a", "a", origin)
			r.sealed(in, r.abandoned(in, "a"))
		}, []reason.Code{reason.LogUseMissing}},
		"a signature that hides in a great file": {
			func(r *rig) { r.put("evil.sigstore.json", "{}"+strings.Repeat(" ", 1<<20)) }, []reason.Code{reason.SignatureUnread},
		},
		"a signature behind another": {func(r *rig) {
			pae := sha256.Sum256([]byte("DSSEv1 1 x 1 x"))
			evil, err := r.key.Sign(r.t.Context(), pae[:])
			require.NoError(r.t, err)
			r.put("evil.vsa.json", fmt.Sprintf(`{"dsseEnvelope":{"payload":"eA==","payloadType":"x","signatures":[{"sig":"eA=="},{"sig":%q}]}}`, base64.StdEncoding.EncodeToString(evil)))
		}, []reason.Code{reason.SignatureUnlogged}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "P-256")
			r.sign("good.tgz", "good")
			c.do(r)
			until := time.Now().Add(time.Minute)
			if strings.Contains(name, "future") {
				until = time.Now().Add(-time.Minute)
			}
			require.Equal(t, c.want, r.compareAt(until, repo))
		})
	}
}

// abandoned uses the key with the log's knowledge, and gives up what it made.
func (r *rig) abandoned(in ledger.Intent, content string) []byte {
	r.t.Helper()
	add := func(l audit.Leaf) uint64 {
		body, err := l.Marshal()
		require.NoError(r.t, err)
		at, err := r.write.Add(r.t.Context(), body)
		require.NoError(r.t, err)
		return at
	}
	i := announced(in)
	i.Replica, i.Purpose, i.Key, i.SPKI, i.Subject, i.At = "one", "sign", in.KeyName, in.KeySPKI, in.Subject, time.Now()
	intent, sum := add(i), sha256.Sum256([]byte(content))
	signature, err := r.key.Sign(r.t.Context(), sum[:])
	require.NoError(r.t, err)
	entry := add(audit.Rekord{Digest: sum[:], Hash: crypto.SHA256, Signature: signature, Verifier: audit.Verifier{PublicKey: r.key.Public()}})
	add(audit.Outcome{Intent: intent, Result: audit.Abandoned, Why: "no wish", At: time.Now(), Uses: []audit.Use{{Signature: sha256.Sum256(signature), Entries: []uint64{entry}}}})
	return signature
}

// A key that no process ever opened is looked for when the configuration knows it, and that its public half is missing is told.
func TestKeyThatTheLogNeverHad(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	other := sealtest.NewKey(t, "P-256", "other-2026")
	r.use(other, "evil.tgz", "evil")
	require.Empty(t, r.compare(repo), "a key that nobody knows of is none of ours")

	config := account.Config{Known: []string{origin}, Pins: []account.Pin{{Name: "other-2026", SPKI: spki(t, other)}}}
	b := r.books(time.Now(), config, repo)
	require.Len(t, b.All, 1)
	require.Equal(t, reason.KeyUnread, b.All[0].Code)
	require.Equal(t, config.Pins, b.Lacking())
	config.Keys = []crypto.PublicKey{other.Public()}
	b = r.books(time.Now(), config, repo)
	require.Len(t, b.All, 1)
	require.Equal(t, reason.SignatureKeyUnlogged, b.All[0].Code)
	require.Contains(t, b.All[0].Found, "other-2026")
}

// Signatures from without a log are known by what they are, whatever their rows say; one more is an alarm again.
func TestUnloggedSignaturesAreAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	for i := range 3 {
		name := fmt.Sprint("old", i)
		r.sealedAt(r.begin(name, name, ""), "raw", r.use(r.key, name, name), time.Now().AddDate(-1, 0, 0))
	}
	alarms := func(known artifact.Digest) (alarms int, set artifact.Digest) {
		b := r.books(time.Now().Add(time.Minute), account.Config{Known: []string{origin}, Unlogged: known}, repo)
		require.Len(t, b.All, 1)
		require.Equal(t, reason.LedgerUnlogged, b.All[0].Code)
		_, text, _ := strings.Cut(b.All[0].Found, "sha256:")
		set, err := artifact.ParseDigest(text)
		require.NoError(t, err)
		return b.Alarms(), set
	}
	n, set := alarms(artifact.Digest{})
	require.Equal(t, 1, n)
	n, _ = alarms(set)
	require.Zero(t, n)
	r.sealedAt(r.begin("evil", "evil", ""), "raw", r.use(r.key, "evil", "evil"), time.Now().AddDate(-1, 0, 0))
	n, more := alarms(set)
	require.Equal(t, 1, n)
	require.NotEqual(t, set, more)
}
