package signing_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// attesting is what stands between a notary and its log and clock: it can be told to fail.
type attesting struct {
	mu         sync.Mutex
	begin, end func(what string) error
	memory     *audittest.Memory
}

func (a *attesting) watch(begin, end func(what string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin, a.end = begin, end
}

func (a *attesting) around(what string, do func() error) error {
	a.mu.Lock()
	begin, end := a.begin, a.end
	a.mu.Unlock()
	if begin == nil {
		return do()
	}
	if err := begin(what); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return end(what)
}

type watchedLog struct {
	notary.Log
	*attesting
}

func (l watchedLog) around(raw []byte, do func() error) error {
	leaf, err := audit.ParseLeaf(raw)
	if err != nil {
		return err
	}
	return l.attesting.around("log "+leaf.Kind(), do)
}

func (l watchedLog) Add(ctx context.Context, raw []byte) (index uint64, err error) {
	err = l.around(raw, func() (err error) { index, err = l.Log.Add(ctx, raw); return err })
	return index, err
}

func (l watchedLog) Append(ctx context.Context, raw []byte) (p audit.Proof, err error) {
	err = l.around(raw, func() (err error) { p, err = l.Log.Append(ctx, raw); return err })
	return p, err
}

func (l watchedLog) Prove(ctx context.Context, index uint64, raw []byte) (p audit.Proof, err error) {
	err = l.attesting.around("log proof", func() (err error) { p, err = l.Log.Prove(ctx, index, raw); return err })
	return p, err
}

type watchedClock struct {
	trust.Clock
	*attesting
}

func (c watchedClock) Stamp(ctx context.Context, signature []byte) (token []byte, at time.Time, err error) {
	err = c.around("stamp", func() (err error) { token, at, err = c.Clock.Stamp(ctx, signature); return err })
	return token, at, err
}

// enthrone gives the rig a realm, or the realm the rig's new ledger. The log remembers its checkpoints apart, because it
// signs some of them at times of its own.
func (r *rig) enthrone() {
	r.t.Helper()
	switch {
	case !r.attested:
		return
	case r.realm != nil:
		r.realm.Restart(r.ledger)
	default:
		r.attest.memory = audittest.NewMemory()
		var keys []hsm.Public
		keys = append(keys, r.keys.Keys()...)
		r.realm = notarytest.NewWith(r.t, notarytest.Config{
			Ledger: r.ledger, Keys: keys, Still: true,
			Log:    func(l notary.Log) notary.Log { return watchedLog{l, &r.attest} },
			Clock:  func(c trust.Clock) trust.Clock { return watchedClock{c, &r.attest} },
			Memory: func(audit.Memory) audit.Memory { return r.attest.memory },
		})
	}
	if r.cold {
		return
	}
	for _, k := range r.keys.Keys() { // issued before anything is counted
		_, err := r.realm.Notary.For("", k).Certificate(r.t.Context())
		require.NoError(r.t, err)
	}
}

// requireProven holds what is stored beside a file to the trusted root.
func (r *rig) requireProven(path, content string) {
	r.t.Helper()
	d := seal.FromSHA256(sha256Of(content))
	stored, err := r.art.Content(repo, path+".sigstore.json")
	require.NoError(r.t, err)
	k, _ := r.keys.Key(key)
	found, err := r.realm.Verifier().Verify(stored, k.PublicKey, d[crypto.SHA256])
	require.NoError(r.t, err)
	require.Equal(r.t, trust.LevelRoot, found.Level)
	require.Equal(r.t, r.realm.Origin, found.LogOrigin)
	require.Equal(r.t, trust.KeyIdentity(r.realm.Issuer, key), found.Identity)
}

func TestSignedWithProof(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	r.upload("app/a.tgz", "hello")
	ev := r.event("app/a.tgz")
	ev.Caller = "ann"
	require.NoError(t, r.service.Do(t.Context(), ev))
	r.requireSigned("app/a.tgz", "hello")
	r.requireProven("app/a.tgz", "hello")
	for _, in := range notarytest.Of[audit.Intent](r.realm.Entries()) {
		require.Equal(t, "ann", in.Asked)
		require.Equal(t, "app/a.tgz", in.Path)
		require.Equal(t, uint64(ev.ID), in.Event)
		require.Equal(t, r.policies.Load().Digest(), in.PolicySet)
	}
	r.upload("app/b.tgz", "hello")
	require.NoError(t, r.do("app/b.tgz"))
	r.requireProven("app/b.tgz", "hello")
	require.Equal(t, 1, r.uses(), "the same bytes, the same signature")
	require.Equal(t, uint64(1), r.realm.RequireSound().Sealed)
}

// Certificates name the signing configuration that granted the use.
func TestIdentityOfAConfiguration(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true, policy: `kind: SigningConfiguration
name: router-releases
owner: release-managers
lane: release
sign: [{key: ` + key + `, formats: [sigstore]}]
---
kind: SigningPolicy
name: p
owner: release-managers
match: {repositories: [` + repo + `], paths: ["app/**"]}
configuration: router-releases
`})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	k, _ := r.keys.Key(key)
	found, err := r.realm.Verifier().Verify(r.kept("hello", "sigstore"), k.PublicKey, seal.FromSHA256(sha256Of("hello"))[crypto.SHA256])
	require.NoError(t, err)
	require.Equal(t, trust.ConfigurationIdentity(r.realm.Issuer, "router-releases"), found.Identity)
}

var errNone = errors.New("not now")

// Without log or time nothing is signed or published, whoever asks learns why, and nothing is lost.
func TestNothingIsPublishedWithoutProof(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	for i, c := range []struct {
		what string
		err  error
		code reason.Code
		uses int
	}{
		{"log hallmark-intent", errNone, reason.LogUnavailable, 0},
		{"log hashedrekord", errNone, reason.LogUnavailable, 1},
		{"stamp", fmt.Errorf("%w: %w", trust.ErrTimeUnavailable, errNone), reason.TimeUnavailable, 1},
	} {
		path, content, before := r.path("late"), fmt.Sprint("content ", i), r.uses()
		r.upload(path, content)
		r.attest.watch(func(what string) error {
			if what == c.what {
				return c.err
			}
			return nil
		}, func(string) error { return nil })
		require.ErrorIs(t, r.do(path), errNone)
		require.Equal(t, c.uses, r.uses()-before, c.what)
		o := r.outcome(path)
		require.Equal(t, ledger.Failed, o.State)
		require.Equal(t, c.code, o.Reasons[0].Code)
		require.NotEmpty(t, o.Reasons[0].Fix)
		require.Empty(t, r.signatureFiles(path))
		r.requireHonest(path)
		require.Empty(t, r.kept0(content), "what is not proven is not kept")

		r.attest.watch(nil, nil)
		require.NoError(t, r.do(path))
		r.requireProven(path, content)
	}
	report := r.realm.RequireSound()
	require.Equal(t, uint64(3), report.Sealed)
	require.Equal(t, uint64(2), report.Abandoned, "one was never announced")
}

// While the clock is down, or the log proves nothing, retries spend neither signatures nor entries of ledger and log.
func TestRetriesSpendNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	for _, c := range []struct {
		down []string
		err  error
		code reason.Code
	}{
		{[]string{"stamp"}, fmt.Errorf("%w: %w", trust.ErrTimeUnavailable, errNone), reason.TimeUnavailable},
		{[]string{"log hashedrekord", "log proof"}, errNone, reason.LogUnavailable},
	} {
		path, before := r.path("late"), r.uses()
		r.upload(path, path)
		r.attest.watch(func(what string) error {
			if slices.Contains(c.down, what) {
				return c.err
			}
			return nil
		}, func(string) error { return nil })
		require.ErrorIs(t, r.do(path), errNone)
		told := len(r.realm.Entries())
		for range 5 {
			require.ErrorIs(t, r.do(path), errNone)
			require.Equal(t, c.code, r.outcome(path).Reasons[0].Code)
		}
		require.Equal(t, 1, r.uses()-before)
		require.Len(t, r.realm.Entries(), told)
		r.attest.watch(nil, nil)
		require.NoError(t, r.do(path))
		r.requireProven(path, path)
		require.Equal(t, 2, r.uses()-before)
	}
	report := r.realm.RequireSound()
	require.Equal(t, uint64(2), report.Sealed)
	require.Equal(t, uint64(2), report.Abandoned)
}

func sha256Of(content string) artifact.Digest { return sha256.Sum256([]byte(content)) }

// kept0 is what the ledger keeps of some bytes.
func (r *rig) kept0(content string) []ledger.Signature {
	r.t.Helper()
	kept, err := r.ledger.Signatures(r.t.Context(), sha256Of(content))
	require.NoError(r.t, err)
	return kept
}

// A bundle that lacks its proof, or whose proof does not hold, never leaves the process, also one that was kept.
func TestOwnBundlesAreHeldToTheTrustedRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	stranger := notarytest.NewWith(t, notarytest.Config{Name: "mallory"})
	r.service.Trusted.Verifier = stranger.Verifier() // as after a mistake in the configuration
	r.upload("app/a.tgz", "hello")
	require.ErrorIs(t, r.do("app/a.tgz"), trust.ErrTimestamp)
	require.Equal(t, reason.KeyUnavailable, r.outcome("app/a.tgz").Reasons[0].Code)
	require.Empty(t, r.signatureFiles("app/a.tgz"))
	require.Empty(t, r.kept0("hello"))

	r.service.Trusted.Verifier = r.realm.Verifier()
	require.NoError(t, r.do("app/a.tgz"))
	r.service.Trusted.Verifier = stranger.Verifier()
	r.upload("app/b.tgz", "hello")
	require.ErrorIs(t, r.do("app/b.tgz"), trust.ErrTimestamp, "it is made anew, and no better")
	require.Equal(t, reason.KeyUnavailable, r.outcome("app/b.tgz").Reasons[0].Code)
	require.Empty(t, r.signatureFiles("app/b.tgz"))
}

// A kept bundle of a log that another replica told of later serves without another use of the key; one of a log that nobody
// told of is made anew.
func TestKeptBundleOfAnotherLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	m := r.realm.Material()
	m.Logs[0].Public = sealtest.NewKey(t, "P-256", "log of another").Public()
	root, err := trust.BuildRoot(m)
	require.NoError(t, err)
	v, err := trust.NewVerifier(root)
	require.NoError(t, err)
	known := r.service.Trusted
	now := facts.Trusted{Verifier: v}
	r.service.Trusted = facts.Trusted{Verifier: v, Renew: func(context.Context) facts.Trusted { return now }}
	r.upload("app/b.tgz", "hello")
	require.ErrorIs(t, r.do("app/b.tgz"), trust.ErrLogUnknown, "what was made instead is in that log, too")
	require.Empty(t, r.signatureFiles("app/b.tgz"))
	require.Equal(t, 2, r.uses())

	now = known
	require.NoError(t, r.do("app/b.tgz"))
	r.requireProven("app/b.tgz", "hello")
	require.Equal(t, 2, r.uses())
}

// provenWay is what signing one file with proof does to the outside, in order.
var provenWay = []string{
	"GET info", "commit", "log hallmark-intent", "GET bytes", "stamp", "log hashedrekord", "commit", "PUT file", "PUT file", "GET bytes", "GET bytes", "GET info",
	"PATCH properties", "log hallmark-outcome", "commit", "commit",
}

// coldWay is the same for the first signature of a process.
var coldWay = slices.Insert(slices.Clone(provenWay), slices.Index(provenWay, "commit"), "log hallmark-draft", "log hallmark-certificate")

// route is what is done, with the places from which on something holds.
type route struct {
	steps     []string
	announced int // the key may be used
	kept      int // the ledger has it
	published int // anybody may see it
	told      int // the log knows how the use ended
	noted     int // and the ledger that it does
}

func newRoute(steps []string) route {
	put, told := slices.Index(steps, "PUT file"), slices.Index(steps, "log hallmark-outcome")
	return route{steps: steps, announced: slices.Index(steps, "log hallmark-intent"), kept: put - 1, published: put, told: told, noted: told + 1}
}

// watchAll is watch, with what a notary does.
func watchAll(r *rig) *world {
	w := watch(r)
	r.attest.watch(func(what string) error {
		if w.begin(what) {
			return errCut
		}
		return nil
	}, func(string) error {
		if w.end() {
			return fmt.Errorf("%w: %w", audit.ErrUnconfirmed, errCut)
		}
		return nil
	})
	return w
}

func TestTheProvenWayIsTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{trust: true})
	w := watchAll(r)
	r.upload("app/a.tgz", "hello")
	w.plan(-1, false, false)
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, provenWay, w.list(), "intent in ledger and log before the bytes, time and log before the ledger keeps it, that before anybody sees it, the outcome last")

	r = newRig(t, setup{trust: true, cold: true})
	w = watchAll(r)
	r.upload("app/a.tgz", "hello")
	w.plan(-1, false, false)
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, coldWay, w.list(), "the draft before the certificate, that before the key is used")
}

// A process that dies at any point of the way, or meets one failure there, before or after what it was doing took effect:
// every signature is published with proof or never left the process, the work is finished, and the log accounts for every
// use of the key.
func TestProofThroughFailureAtEveryPoint(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		for _, c := range []struct{ death, cold bool }{{true, false}, {false, false}, {true, true}} {
			if d == ledger.Postgres && (!c.death || c.cold) {
				continue // a failed commit is the same everywhere
			}
			t.Run(fmt.Sprintf("death %t, cold %t", c.death, c.cold), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, setup{dialect: d, trust: true, cold: c.cold})
				way := newRoute(provenWay)
				if c.cold {
					way = newRoute(coldWay)
				}
				w := watchAll(r)
				cuts := 0
				for point, what := range way.steps {
					if d == ledger.Postgres && what != "commit" {
						continue // the rest does not concern the database
					}
					for _, after := range []bool{false, true} {
						cuts++
						where := fmt.Sprintf("%d %s, after %t", point, what, after)
						path, content := r.path("cut"), where
						r.upload(path, content)
						if c.cold {
							r.restart()
						}
						before, issued := r.uses(), r.realm.Keys.Issuing.Uses()
						w.plan(point, after, c.death)
						err := r.do(path)
						w.plan(-1, false, false)
						if c.death || point != way.told && point != way.noted {
							require.Error(t, err, where)
						}
						if point < way.announced || point == way.announced && !after {
							require.Equal(t, before, r.uses(), "the key was used before the log knew: %s", where)
						}
						if what == "log hallmark-draft" {
							require.Equal(t, issued, r.realm.Keys.Issuing.Uses(), "the issuing key was used before the log knew: %s", where)
						}
						if point < way.published || point == way.published && !after {
							require.Empty(t, r.signatureFiles(path), where)
						} else {
							require.NotEmpty(t, r.kept0(content), where)
						}
						r.requireHonest(path)
						if c.death {
							r.restart()
						}
						r.converge(path)
						r.requireSigned(path, content)
						r.requireProven(path, content)
						if point > way.kept || point == way.kept && after {
							require.Equal(t, 1, r.uses()-before, "a signature that was kept is not made again: %s", where)
						}
						require.LessOrEqual(t, r.uses()-before, 2)
					}
				}
				r.restart() // what nobody was certain of is told
				report := r.realm.RequireSound()
				require.Equal(t, uint64(cuts), report.Sealed)
			})
		}
	})
}
