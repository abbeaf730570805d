package account

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// maxOpen is how many signatures or intents may wait for their outcome; those of before count as open then.
const maxOpen = 1 << 16

// Log takes one log into the books.
type Log struct {
	books  *Books
	reader *audit.Reader
	head   audit.Head
	number uint16
	signed map[[32]byte]waiting // by signature and key
	begun  map[uint64]entry     // intents by index
	keys   map[artifact.Digest]artifact.Digest
}

type waiting struct {
	index uint64
	id    [32]byte
}

// Log begins with a log, which is read at this head. Leaf and Closed follow its replay, and Done ends it.
func (b *Books) Log(r *audit.Reader, head audit.Head) *Log {
	l := &Log{
		books: b, reader: r, head: head, number: uint16(len(b.logs)),
		signed: map[[32]byte]waiting{}, begun: map[uint64]entry{}, keys: map[artifact.Digest]artifact.Digest{},
	}
	b.logs = append(b.logs, l)
	return l
}

// Leaf takes one entry.
func (l *Log) Leaf(index uint64, leaf audit.Leaf) {
	b := l.books
	switch leaf := leaf.(type) {
	case audit.Rekord:
		spki := l.verifier(leaf.Verifier)
		id := useOf(sha256.Sum256(leaf.Signature), spki, artifact.Digest{}) // whose bytes they are its outcome tells
		if l.signed[id] = (waiting{index, id}); len(l.signed) > maxOpen {
			l.unnamed()
		}
	case audit.Certificate:
		if cert, err := x509.ParseCertificate(leaf.DER); err == nil && slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) {
			b.keys.used(cert.PublicKey)
		}
	case audit.Start:
		for _, k := range leaf.Keys {
			if k.Use == "artifact" {
				b.keys.pin(Pin{k.Name, k.SPKI}, true)
			}
		}
	case audit.Intent:
		e := entry{id: wide(intentOf(l.head.Origin, leaf.ID)), of: said(leaf), index: index, log: l.number}
		if l.begun[index] = e; len(l.begun) > maxOpen {
			l.unended()
		}
	case audit.Outcome:
		if e, ok := l.begun[leaf.Intent]; ok {
			delete(l.begun, leaf.Intent)
			if leaf.Result == audit.Sealed {
				e.state = completed
			}
			put(&b.intents, e)
		}
	}
}

// Closed takes an intent that ended with signatures.
func (l *Log) Closed(c audit.Closed) {
	for _, s := range c.Signatures {
		delete(l.signed, useOf(s, c.Intent.SPKI, artifact.Digest{}))
		put(&l.books.uses, entry{
			id: useOf(s, c.Intent.SPKI, c.Intent.Subject), of: intentOf(l.head.Origin, c.Intent.ID), index: c.Outcome, log: l.number, state: completed,
		})
	}
}

// Done ends the log with what its replay came to.
func (l *Log) Done(report *audit.Report) {
	l.unnamed()
	l.unended()
	if b := l.books; !report.First.IsZero() && (b.first.IsZero() || report.First.Before(b.first)) {
		b.first = report.First
	}
}

func (l *Log) unnamed() {
	for _, w := range l.signed {
		put(&l.books.uses, entry{id: w.id, index: w.index, log: l.number})
	}
	clear(l.signed)
}

func (l *Log) unended() {
	for _, e := range l.begun {
		put(&l.books.intents, e)
	}
	clear(l.begun)
}

// verifier is the key of a signature. Most signatures have the certificate or key of one shortly before.
func (l *Log) verifier(v audit.Verifier) artifact.Digest {
	if v.Certificate == nil {
		return l.books.keys.used(v.PublicKey)
	}
	sum := artifact.Digest(sha256.Sum256(v.Certificate))
	if spki, ok := l.keys[sum]; ok {
		return spki
	}
	var pub crypto.PublicKey
	pub, err := v.Key()
	if err != nil {
		return artifact.Digest{}
	}
	if len(l.keys) >= maxOpen {
		clear(l.keys)
	}
	l.keys[sum] = l.books.keys.used(pub)
	return l.keys[sum]
}

// said is what an intent says that the ledger knows, too.
func said(in audit.Intent) [16]byte {
	return half([]byte(in.Grant), []byte(strconv.FormatUint(in.Event, 10)), []byte(in.Instance), []byte(in.Repo), []byte(in.Path), in.Subject[:], []byte(in.Key), in.SPKI[:],
		[]byte(strings.Join(in.Formats, ",")), []byte(in.Policy), []byte(in.Rule), in.PolicySet[:])
}
