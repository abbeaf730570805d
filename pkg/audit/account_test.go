package audit_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A log that tells of every use of a key has no findings, whatever its size.
func TestReplayOfAnHonestLog(t *testing.T) {
	t.Parallel()
	for _, uses := range []int{0, 1, 85, 86, 171} { // 256 entries are 85 uses and the start
		s := newStory(t).uses(uses)
		var closed []audit.Closed
		leaves := uint64(0)
		var progress []uint64
		report := s.replay(s.write(), audit.Replay{
			Kept:     []audit.Kept{kept(s.head(0)), kept(s.head(1)), kept(s.head(len(s.leaves)))},
			Closed:   func(c audit.Closed) error { closed = append(closed, c); return nil },
			Leaf:     func(i uint64, _ audit.Leaf) error { require.Equal(t, leaves, i); leaves++; return nil },
			Progress: func(done uint64) { progress = append(progress, done) },
		})
		require.Empty(t, report.All, "%d uses", uses)
		require.EqualValues(t, uses, report.Sealed)
		require.EqualValues(t, len(s.leaves), leaves)
		require.Equal(t, leaves, progress[len(progress)-1])
		require.True(t, slices.IsSorted(progress))
		require.Equal(t, []string{"one"}, report.Replicas)
		require.Len(t, closed, uses)
		for _, c := range closed {
			require.Len(t, c.Signatures, 1)
			require.Equal(t, c.Index+2, c.Outcome)
		}
	}
}

// Many signers at work at once, crashes and restarts are no alarm.
func TestReplayOfABusyLog(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	cert := s.issue(s.key)
	var open []func()
	for range 40 {
		in := s.newIntent()
		i := s.add(in)
		open = append(open, func() {
			bare := s.sign(s.key, in.Subject)
			certified := bare
			certified.Verifier = audit.Verifier{Certificate: cert}
			other := s.sign(s.key, sha256.Sum256([]byte("a statement")))
			a, b, c := s.add(certified), s.add(bare), s.add(other)
			o := s.sealed(i, useOf(bare, a, b), useOf(other, c))
			o.Certificate = sha256.Sum256(cert)
			s.add(o)
		})
	}
	slices.Reverse(open)
	for _, end := range open[1:] {
		end()
	}
	s.add(audit.Outcome{Intent: 42, Result: audit.Abandoned, Why: "the token is away", At: s.now}) // the one left open

	in := s.newIntent()
	crashed := s.add(in)
	s.add(s.sign(s.key, in.Subject))
	s.add(audit.Draft{TBS: draftOf(t, s.certificate(s.key))}) // and the process dies
	s.use()
	s.start(s.key)
	s.add(audit.Outcome{Intent: crashed, Result: audit.Abandoned, Why: "the process ended", At: s.now})
	s.use()

	report := s.replay(s.write(), audit.Replay{})
	require.Zero(t, report.Alarms(), "%v", report.All)
	require.Equal(t, []reason.Code{reason.LogDraftDropped, reason.LogEntryAbandoned}, codesOf(report))
	require.EqualValues(t, 41, report.Sealed)
	require.EqualValues(t, 2, report.Abandoned)
}

// Whatever a log does not account for has its own code.
func TestReplayAccounts(t *testing.T) {
	t.Parallel()
	late := rigTime.Add(16 * time.Minute)
	for name, c := range map[string]struct {
		tell  func(s *story)
		codes []reason.Code
	}{
		"an intent without outcome": {
			func(s *story) { s.add(s.newIntent()); s.now = late }, []reason.Code{reason.LogIntentOpen},
		},
		"an intent without outcome, and later entries": {
			func(s *story) { s.add(s.newIntent()); s.now = late; s.use() }, []reason.Code{reason.LogIntentOpen},
		},
		"a signature of an intent without outcome": {
			func(s *story) { in := s.newIntent(); s.add(in); s.add(s.sign(s.key, in.Subject)); s.now = late },
			[]reason.Code{reason.LogIntentOpen, reason.LogEntryUnaccounted},
		},
		"a signature without intent": {
			func(s *story) { s.add(s.sign(s.key, artifact.Digest{1})) }, []reason.Code{reason.LogEntryUnaccounted},
		},
		"a signature under an intent of another key": {
			func(s *story) {
				other := newKey(t)
				s.start(s.key, other)
				s.add(s.newIntent())
				s.add(s.sign(other, artifact.Digest{1}))
			}, []reason.Code{reason.LogEntryUnaccounted},
		},
		"a second signature beside the one that is told of": {
			func(s *story) {
				in := s.newIntent()
				i := s.add(in)
				r := s.sign(s.key, in.Subject)
				e := s.add(r)
				s.add(s.sign(s.key, artifact.Digest{1}))
				s.add(s.sealed(i, useOf(r, e)))
				s.use()
			}, []reason.Code{reason.LogEntryUnaccounted},
		},
		"an outcome without entries": {
			func(s *story) { s.add(s.sealed(s.add(s.newIntent()))) }, []reason.Code{reason.LogOutcomeEmpty},
		},
		"a use without entries": {
			func(s *story) {
				in := s.newIntent()
				i := s.add(in)
				r := s.sign(s.key, in.Subject)
				e := s.add(r)
				s.add(s.sealed(i, useOf(r, e), useOf(s.sign(s.key, in.Subject))))
			}, []reason.Code{reason.LogOutcomeEmpty},
		},
		"two outcomes": {
			func(s *story) { i, _, _ := s.use(); s.add(s.sealed(i)) }, []reason.Code{reason.LogOutcomeWrong},
		},
		"an outcome of no intent": {
			func(s *story) { s.add(s.sealed(0)) }, []reason.Code{reason.LogOutcomeWrong},
		},
		"an outcome of an intent to come": {
			func(s *story) { s.add(s.sealed(7)) }, []reason.Code{reason.LogOutcomeWrong},
		},
		"an outcome with the entry of another": {
			func(s *story) {
				_, e, _ := s.use()
				i := s.add(s.newIntent())
				s.add(s.sealed(i, audit.Use{Signature: artifact.Digest{1}, Entries: []uint64{e}}))
			}, []reason.Code{reason.LogOutcomeWrong, reason.LogOutcomeEmpty},
		},
		"an outcome with an entry that is none": {
			func(s *story) {
				s.add(s.sealed(s.add(s.newIntent()), audit.Use{Signature: artifact.Digest{1}, Entries: []uint64{0}}))
			}, []reason.Code{reason.LogOutcomeWrong, reason.LogOutcomeEmpty},
		},
		"an outcome with an entry from before its intent": {
			func(s *story) {
				s.add(s.newIntent()) // a cover that never ends
				r := s.sign(s.key, artifact.Digest{1})
				e := s.add(r)
				s.add(s.sealed(s.add(s.newIntent()), useOf(r, e)))
			}, []reason.Code{reason.LogOutcomeWrong, reason.LogOutcomeEmpty},
		},
		"an outcome with another signature": {
			func(s *story) {
				in := s.newIntent()
				i := s.add(in)
				e := s.add(s.sign(s.key, in.Subject))
				s.add(s.sealed(i, useOf(s.sign(s.key, in.Subject), e)))
			}, []reason.Code{reason.LogOutcomeWrong, reason.LogOutcomeEmpty, reason.LogEntryUnaccounted},
		},
		"an outcome with another certificate": {
			func(s *story) {
				cert := s.issue(s.key)
				in := s.newIntent()
				i := s.add(in)
				r := s.sign(s.key, in.Subject)
				r.Verifier = audit.Verifier{Certificate: cert}
				e := s.add(r)
				s.add(s.sealed(i, useOf(r, e)))
			}, []reason.Code{reason.LogOutcomeWrong, reason.LogOutcomeEmpty, reason.LogEntryUnaccounted},
		},
		"a certificate that was not logged": {
			func(s *story) {
				cert := s.certificate(s.key)
				in := s.newIntent()
				i := s.add(in)
				r := s.sign(s.key, in.Subject)
				r.Verifier = audit.Verifier{Certificate: cert}
				o := s.sealed(i, useOf(r, s.add(r)))
				o.Certificate = sha256.Sum256(cert)
				s.add(o)
			}, []reason.Code{reason.LogCertificateUnlogged},
		},
		"a certificate of an unknown key": {
			func(s *story) { s.issue(newKey(t)) }, []reason.Code{reason.LogKeyUnannounced, reason.LogKeyUnannounced},
		},
		"a certificate that nothing announced": {
			func(s *story) { s.add(audit.Certificate{DER: s.certificate(s.key)}) }, []reason.Code{reason.LogCertificateUndrafted},
		},
		"a certificate that was announced later": {
			func(s *story) {
				cert := s.certificate(s.key)
				s.add(audit.Certificate{DER: cert})
				s.add(audit.Draft{TBS: draftOf(t, cert)})
				s.add(audit.Certificate{DER: cert})
			}, []reason.Code{reason.LogCertificateUndrafted},
		},
		"a signature with a certificate of which only the draft was logged": {
			func(s *story) {
				cert := s.certificate(s.key)
				s.add(audit.Draft{TBS: draftOf(t, cert)})
				in := s.newIntent()
				i := s.add(in)
				r := s.sign(s.key, in.Subject)
				r.Verifier = audit.Verifier{Certificate: cert}
				o := s.sealed(i, useOf(r, s.add(r)))
				o.Certificate = sha256.Sum256(cert)
				s.add(o)
				s.add(audit.Certificate{DER: cert})
			}, []reason.Code{reason.LogCertificateUnlogged},
		},
		"a key that was not announced": {
			func(s *story) { s.key = newKey(t); s.use() }, []reason.Code{reason.LogKeyUnannounced, reason.LogKeyUnannounced},
		},
		"a key that the last start did not announce any more": {
			func(s *story) { s.start(newKey(t)); s.use() }, []reason.Code{reason.LogKeyUnannounced, reason.LogKeyUnannounced},
		},
		"a clock that was set back": {
			func(s *story) {
				s.now = s.now.Add(-6 * time.Minute)
				s.use()
				s.now = s.now.Add(-4 * time.Minute)
				s.use()
			}, []reason.Code{reason.LogTimeBackwards},
		},
		"an intent without a policy": {
			func(s *story) {
				in := s.newIntent()
				in.Policy = ""
				s.add(audit.Outcome{Intent: s.add(in), Result: audit.Abandoned, At: s.now})
			}, []reason.Code{reason.LogGrantMissing},
		},
		"an entry that is no leaf":    {func(s *story) { s.raw([]byte(`{"kind":"something"}`)) }, []reason.Code{reason.LogLeafUnknown}},
		"an entry of no bytes":        {func(s *story) { s.raw(nil) }, []reason.Code{reason.LogLeafUnknown}},
		"a leaf of another version":   {func(s *story) { s.raw([]byte(`{"apiVersion":"2","kind":"hallmark-start","spec":{}}`)) }, []reason.Code{reason.LogLeafUnknown}},
		"a signature that is no such": {func(s *story) { forged(s) }, []reason.Code{reason.LogSignatureInvalid}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t).uses(3)
			s.t = t
			c.tell(s)
			report := s.replay(s.write(), audit.Replay{})
			require.Equal(t, c.codes, codesOf(report))
			require.Equal(t, len(c.codes), report.Alarms())
			for _, f := range report.All {
				require.NotNil(t, f.Index)
				require.NotEmpty(t, f.Message)
				require.NotEmpty(t, f.Found)
				require.NotEmpty(t, f.Expected)
				require.NotEmpty(t, f.Fix)
				require.Contains(t, f.Text(), "entry ")
			}
		})
	}
}

// forged has the form of a signature, is told of as it should be, and was never made by the key: the log's writer refuses
// it, so that it is put together by hand.
func forged(s *story) {
	in := s.newIntent()
	i := s.add(in)
	good := s.sign(s.key, in.Subject)
	body, err := good.Marshal()
	require.NoError(s.t, err)
	other := s.sign(s.key, artifact.Digest{9})
	e := s.raw(replaceSignature(s.t, body, good.Signature, other.Signature))
	s.add(s.sealed(i, useOf(other, e)))
}

// Grace is for what is under way, by the clock of who asks and not before the log's own newest entry.
func TestReplayGrace(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(2)
	s.add(s.newIntent())
	dir := s.write()
	for name, c := range map[string]struct {
		how   audit.Replay
		open  uint64
		codes []reason.Code
	}{
		"now":          {audit.Replay{AsOf: rigTime}, 1, []reason.Code{}},
		"just in time": {audit.Replay{AsOf: rigTime.Add(audit.Grace)}, 1, []reason.Code{}},
		"too late":     {audit.Replay{AsOf: rigTime.Add(audit.Grace + 1)}, 0, []reason.Code{reason.LogIntentOpen}},
		"long grace":   {audit.Replay{AsOf: rigTime.Add(time.Hour), Grace: time.Hour}, 1, []reason.Code{}},
	} {
		report := s.replay(dir, c.how)
		require.Equal(t, c.codes, codesOf(report), name)
		require.Equal(t, c.open, report.Open, name)
	}
	s.now = rigTime.Add(time.Hour)
	s.use()
	require.Equal(t, []reason.Code{reason.LogIntentOpen}, codesOf(s.replay(s.write(), audit.Replay{AsOf: rigTime})), "a clock that is behind excuses nothing")
}

// An error of a call ends the replay.
func TestReplayEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(2)
	r := openDir(t, s.write())
	head, err := r.Head(t.Context(), s.keys())
	require.NoError(t, err)
	enough := errors.New("enough")
	_, err = r.Replay(t.Context(), audit.Replay{Head: head, Closed: func(audit.Closed) error { return enough }})
	require.ErrorIs(t, err, enough)
	_, err = r.Replay(t.Context(), audit.Replay{Head: head, Leaf: func(uint64, audit.Leaf) error { return enough }})
	require.ErrorIs(t, err, enough)
}
