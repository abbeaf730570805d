package audit

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What an account holds at most. An honest log has as many open intents as there are signers at work.
const (
	maxOpen         = 1 << 16
	maxLoose        = 1 << 12
	maxCertificates = 1 << 16
	maxReplicas     = 100
)

// Closed is an intent that ended with signatures.
type Closed struct {
	Index      uint64 // of the intent
	Outcome    uint64 // index of its outcome
	Intent     Intent
	Signatures []artifact.Digest // SHA-256 of the raw signatures, as the entries hold them
}

// account follows what happens to keys, leaf by leaf: an intent, the signatures made under it, its outcome.
type account struct {
	report    *Report
	clock     time.Time // the newest time, unless it went back since
	closed    func(Closed) error
	announced map[artifact.Digest]OpenedKey
	certs     *recent
	drafted   *recent                    // essences of certificates that were announced
	drafts    map[artifact.Digest]uint64 // those that were not issued yet, by their essence: the index
	keys      map[artifact.Digest]*keyAccount
	open      map[uint64]*openIntent
	loose     map[uint64]*looseEntry
	intents   bits // which entries are intents
	rekords   bits // which entries are signatures
}

// openIntent is an intent that has not ended.
type openIntent struct {
	Intent
	index uint64
}

// looseEntry is a signature that no outcome has named yet.
type looseEntry struct {
	index     uint64
	made      keyUse
	abandoned bool // an intent under which it can have been made was given up since
}

// keyAccount is what is open of one key, oldest first.
type keyAccount struct {
	open  []uint64
	loose []uint64
}

func newAccount(report *Report, closed func(Closed) error) *account {
	return &account{
		report: report, closed: closed, certs: newRecent(maxCertificates), drafted: newRecent(maxCertificates),
		drafts: map[artifact.Digest]uint64{}, keys: map[artifact.Digest]*keyAccount{},
		open: map[uint64]*openIntent{}, loose: map[uint64]*looseEntry{},
	}
}

// take accounts for one entry.
func (a *account) take(index uint64, e entry) error {
	if e.leaf == nil {
		a.report.Leaves["unknown"]++
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogLeafUnknown, Message: "the entry is none of the kinds that this log has", Found: fmt.Sprintf("%.300s", e.err),
			Expected: "an intent, an outcome, a signature, a certificate or a start", Fix: "read it: hallmark audit show " + fmt.Sprint(index), Who: security,
		}))
		return nil
	}
	a.report.Leaves[e.leaf.Kind()]++
	switch l := e.leaf.(type) {
	case Start:
		a.start(index, l)
	case Draft:
		a.draft(index, l)
	case Certificate:
		a.certificate(index, l)
	case Intent:
		a.intent(index, l)
	case Rekord:
		a.rekord(index, e.made)
	case Outcome:
		return a.outcome(index, l)
	}
	return nil
}

func (a *account) at(index uint64, t time.Time, replica string) {
	a.ordered(index, t)
	if a.report.First.IsZero() || t.Before(a.report.First) {
		a.report.First = t
	}
	if t.After(a.report.Last) {
		a.report.Last = t
	}
	if replica != "" && !slices.Contains(a.report.Replicas, replica) && len(a.report.Replicas) < maxReplicas {
		a.report.Replicas = append(a.report.Replicas, replica)
	}
}

// start announces keys; those of the process before are gone.
func (a *account) start(index uint64, s Start) {
	a.at(index, s.At, s.Replica)
	a.announced = make(map[artifact.Digest]OpenedKey, len(s.Keys))
	for _, k := range s.Keys {
		a.announced[k.SPKI] = k
	}
	a.dropDrafts()
}

// announcedKey reports a key that the running process had not announced.
func (a *account) announcedKey(index uint64, what string, spki artifact.Digest) {
	if _, ok := a.announced[spki]; ok {
		return
	}
	a.report.Add(about(index, reason.Reason{
		Code: reason.LogKeyUnannounced, Message: what + " of a key that the service did not announce when it started", Found: "the key sha256:" + spki.String(),
		Expected: "a key of the last start", Fix: "find out whose key it is, and who could write to the log", Who: security,
	}))
}

func (a *account) intent(index uint64, in Intent) {
	a.intents.set(index)
	a.at(index, in.At, in.Replica)
	a.announcedKey(index, "an intent", in.SPKI)
	if in.Policy == "" || in.PolicySet.IsZero() {
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogGrantMissing, Message: "a key was to be used without a policy that allows it", Found: "an intent by the grant " + in.Grant,
			Expected: "the policy that granted it", Fix: "find out what ran in place of the service", Who: security,
		}))
	}
	if len(a.open) >= maxOpen { // more than there can be signers
		for _, i := range slices.Sorted(maps.Keys(a.open))[:maxOpen/2] {
			a.overdue(a.open[i])
		}
	}
	a.open[index] = &openIntent{in, index}
	k := a.key(in.SPKI)
	k.open = append(k.open, index)
}

func (a *account) key(spki artifact.Digest) *keyAccount {
	k := a.keys[spki]
	if k == nil {
		k = &keyAccount{}
		a.keys[spki] = k
	}
	return k
}

// rekord is a use of a key: it must have an intent by now.
func (a *account) rekord(index uint64, made keyUse) {
	a.rekords.set(index)
	if made.err != nil {
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogSignatureInvalid, Message: "the entry's signature does not verify with the key that it names", Found: made.err.Error(),
			Expected: "a signature by the key sha256:" + made.spki.String(), Fix: "find out who could write to the log", Who: security,
		}))
	}
	a.announcedKey(index, "a signature", made.spki)
	if !made.certificate.IsZero() && !a.certs.has(made.certificate) {
		a.report.Add(about(index, reason.Reason{
			Code: reason.LogCertificateUnlogged, Message: "a signature with a certificate that was not logged before", Found: "the certificate sha256:" + made.certificate.String(),
			Expected: "an entry of the certificate", Fix: "find out who issued it: hallmark audit show " + fmt.Sprint(index), Who: security,
		}))
	}
	k := a.key(made.spki)
	a.settle(made.spki, k)
	if len(k.open) == 0 || len(a.loose) >= maxLoose {
		a.unaccounted(index, made, "no intent to use the key was open")
		return
	}
	a.loose[index] = &looseEntry{index: index, made: made}
	k.loose = append(k.loose, index)
}

func (a *account) unaccounted(index uint64, made keyUse, found string) {
	a.report.Add(about(index, reason.Reason{
		Code: reason.LogEntryUnaccounted, Message: "a key was used, and nothing tells by whose leave", Found: found,
		Expected: "an intent before the signature, and an outcome that names it",
		Fix:      "find out what used the key sha256:" + made.spki.String() + "; distrust it until then", Who: security,
	}))
}

// settle drops what has ended from the lists of a key. A signature that no open intent can account for any more never will be.
func (a *account) settle(spki artifact.Digest, k *keyAccount) {
	for len(k.open) > 0 && a.open[k.open[0]] == nil {
		k.open = k.open[1:]
	}
	for len(k.loose) > 0 {
		e := a.loose[k.loose[0]]
		if e != nil && len(k.open) > 0 && k.open[0] < e.index {
			break
		}
		k.loose = k.loose[1:]
		if e == nil {
			continue
		}
		delete(a.loose, e.index)
		if !e.abandoned {
			a.unaccounted(e.index, e.made, "a signature that no outcome names")
			continue
		}
		a.report.Add(Finding{Index: &e.index, Reason: reason.Reason{
			Code: reason.LogEntryAbandoned, Message: "a signature was made and logged under an intent that was given up; it was not published",
			Found: "no outcome that names it, as after a crash", Expected: "nothing else: this needs nobody",
		}})
	}
	if len(k.open) > 2*len(a.open)+64 { // behind one that stays open
		k.open = slices.DeleteFunc(k.open, func(i uint64) bool { return a.open[i] == nil })
	}
	if len(k.loose) > 2*len(a.loose)+64 {
		k.loose = slices.DeleteFunc(k.loose, func(i uint64) bool { return a.loose[i] == nil })
	}
	if len(k.open) == 0 && len(k.loose) == 0 {
		delete(a.keys, spki)
	}
}

func (a *account) overdue(in *openIntent) {
	delete(a.open, in.index)
	a.report.Add(about(in.index, reason.Reason{
		Code: reason.LogIntentOpen, Message: "a key was about to be used, and nothing tells what came of it",
		Found: fmt.Sprintf("an intent of %s to sign %s/%s with %s", in.At.Format(time.RFC3339), in.Repo, in.Path, in.Key), Expected: "an outcome",
		Fix: "start the service: it accounts for what was cut off; when it runs, find out what happened at that time", Who: "operators, then " + security,
	}))
}

// finish judges what is still open. The end of a log that breaks off is not there to be judged.
func (a *account) finish(asOf time.Time, grace time.Duration, brokenOff bool) {
	if brokenOff {
		return
	}
	if asOf.Before(a.report.Last) {
		asOf = a.report.Last
	}
	for _, index := range slices.Sorted(maps.Keys(a.open)) {
		switch in := a.open[index]; {
		case asOf.Sub(in.At) > grace:
			a.overdue(in)
		default:
			a.report.Open++
		}
	}
	for spki, k := range a.keys {
		k.open = slices.DeleteFunc(k.open, func(i uint64) bool { return a.open[i] == nil })
		a.settle(spki, k)
	}
	a.dropDrafts()
	slices.Sort(a.report.Replicas)
}
