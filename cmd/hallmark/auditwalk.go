package main

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// maxOpen bounds the entries of a walk whose key is not known yet. In an honest log they are those under way together.
const maxOpen = 10_000

// auditWalk goes back through a log and takes the newest entries that a filter wants. Whose key an entry is about may be
// known only from one before it: an outcome names its intent, and a signature or a certificate a public key, which the
// intent or the start before it calls by a name. Until that is met the entry is open.
type auditWalk struct {
	filter auditFilter
	last   int

	found []*auditFound // the newest first
	open  []*auditFound // of those, the newest first
	taken int
	past  bool // what stands before is too old
}

type auditFound struct {
	auditEntry
	spki   artifact.Digest // whose name is to be learnt; zero: of the intent
	intent uint64

	taken, dropped bool // neither: it is open
}

// back takes some entries, which come in their order, and says whether there is need for those before.
func (w *auditWalk) back(entries []audit.Entry) (more bool, err error) {
	for _, e := range slices.Backward(entries) {
		w.learn(e)
		if !w.past && w.taken < w.last && w.filter.takes(e) {
			w.add(e)
		}
	}
	w.past = w.past || !w.filter.reaches(entries)
	return !w.enough(), nil
}

// add takes an entry, or keeps it open.
func (w *auditWalk) add(e audit.Entry) {
	f := &auditFound{auditEntry: describe(e)}
	switch l := e.Leaf.(type) {
	case audit.Intent:
		f.taken = w.named(l.Key, l.SPKI)
	case audit.Start:
		f.taken = slices.ContainsFunc(l.Keys, func(k audit.OpenedKey) bool { return w.named(k.Name, k.SPKI) })
	case audit.Outcome:
		f.intent = l.Intent
	case audit.Rekord:
		f.spki = spkiIn(l.Verifier)
	case audit.Draft:
		if c, err := l.Parse(); err == nil {
			f.spki = sha256.Sum256(c.RawSubjectPublicKeyInfo)
		}
	case audit.Certificate:
		if c, err := x509.ParseCertificate(l.DER); err == nil {
			f.spki = sha256.Sum256(c.RawSubjectPublicKeyInfo)
		}
	}
	switch {
	case w.filter.key == "":
		f.taken = true
	case f.taken || f.spki.IsZero() && f.Kind != "outcome":
	case !f.spki.IsZero() && !w.filter.spki.IsZero():
		f.taken = f.spki == w.filter.spki
	case len(w.open) < maxOpen:
		w.open, w.found = append(w.open, f), append(w.found, f)
		return
	}
	if f.taken {
		w.found, w.taken = append(w.found, f), w.taken+1
	}
}

// named reports whether a key is the one that is asked for.
func (w *auditWalk) named(name string, spki artifact.Digest) bool {
	return name == w.filter.key || !w.filter.spki.IsZero() && spki == w.filter.spki
}

// learn settles what was open until this entry. A start names every key of the process that wrote what comes after it.
func (w *auditWalk) learn(e audit.Entry) {
	intent, _ := e.Leaf.(audit.Intent)
	start, isStart := e.Leaf.(audit.Start)
	dropped := false
	w.open = slices.DeleteFunc(w.open, func(f *auditFound) (settled bool) {
		switch {
		case f.spki.IsZero():
			settled, f.taken = f.intent >= e.Index, f.intent == e.Index && w.named(intent.Key, intent.SPKI)
		case f.spki == intent.SPKI:
			settled, f.taken = true, w.named(intent.Key, intent.SPKI)
		case isStart:
			settled = true
			f.taken = slices.ContainsFunc(start.Keys, func(k audit.OpenedKey) bool { return k.SPKI == f.spki && w.named(k.Name, k.SPKI) })
		}
		if f.taken {
			w.taken++
		}
		f.dropped = settled && !f.taken
		dropped = dropped || f.dropped
		return settled
	})
	if dropped {
		w.found = slices.DeleteFunc(w.found, func(f *auditFound) bool { return f.dropped })
	}
}

// enough reports whether nothing that stands before can change what is listed.
func (w *auditWalk) enough() bool {
	if w.past {
		return len(w.open) == 0
	}
	for i, f := range w.found {
		if i == w.last {
			return true
		}
		if !f.taken {
			return false
		}
	}
	return len(w.found) >= w.last
}

// listed are the entries, the oldest first. What is still open at the beginning of the log is of no key.
func (w *auditWalk) listed() []auditEntry {
	list := []auditEntry{}
	for _, f := range w.found {
		if f.taken && len(list) < w.last {
			list = append(list, f.auditEntry)
		}
	}
	slices.Reverse(list)
	return list
}
