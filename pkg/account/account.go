// Package account holds the log of every use of a key against what else there is: the signatures that the ledger keeps, and
// those that stand in the repositories. It follows a replay of the log, opens no key, and changes nothing.
package account

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// batch is how many ended intents are looked up in the ledger together.
const batch = 500

// Books compares. Give it every leaf and every closed intent of a replay, then call Ledger, then Repository for each
// repository. It is for one goroutine. What it holds does not grow with the log but for a bit an intent.
type Books struct {
	audit.Findings
	view    *ledger.View
	last    int64 // intent of the ledger
	waiting []audit.Closed
	told    []uint64 // bit by bit: the ledger's intents whose signatures the log has
	keys    map[artifact.Digest]crypto.PublicKey
	names   []string // of keys
	started time.Time
}

// New begins a comparison with the ledger.
func New(ctx context.Context, view *ledger.View) (*Books, error) {
	last, err := view.LastIntent(ctx)
	if err != nil {
		return nil, err
	}
	return &Books{view: view, last: last, keys: map[artifact.Digest]crypto.PublicKey{}}, nil
}

// maxKeys is how many keys are remembered.
const maxKeys = 1000

// Leaf learns of the keys that the log has signatures of.
func (b *Books) Leaf(l audit.Leaf) {
	switch l := l.(type) {
	case audit.Rekord:
		if pub, err := l.Verifier.Key(); err == nil {
			b.key(pub)
		}
	case audit.Certificate:
		if cert, err := x509.ParseCertificate(l.DER); err == nil && slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) {
			b.key(cert.PublicKey)
		}
	case audit.Start:
		for _, k := range l.Keys {
			if k.Use == "artifact" && !slices.Contains(b.names, k.Name) && len(b.names) < maxKeys {
				b.names = append(b.names, k.Name)
			}
		}
	}
}

func (b *Books) key(pub crypto.PublicKey) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err == nil && len(b.keys) < maxKeys {
		b.keys[sha256.Sum256(der)] = pub
	}
}

// Closed holds one intent that ended with signatures against the ledger.
func (b *Books) Closed(ctx context.Context, c audit.Closed) error {
	if b.waiting = append(b.waiting, c); len(b.waiting) < batch {
		return nil
	}
	return b.flush(ctx)
}

func (b *Books) flush(ctx context.Context) error {
	subjects := make([]artifact.Digest, len(b.waiting))
	for i, c := range b.waiting {
		subjects[i] = c.Intent.Subject
	}
	kept, err := b.view.SignaturesOf(ctx, subjects)
	if err != nil {
		return err
	}
	for _, c := range b.waiting {
		b.judge(c, kept[c.Intent.Subject])
	}
	b.waiting = b.waiting[:0]
	return nil
}

// judge holds an intent against what the ledger keeps of its bytes.
func (b *Books) judge(c audit.Closed, rows []ledger.Signature) {
	b.tell(int64(c.Intent.ID))
	kept := map[artifact.Digest]bool{}
	for _, s := range rows {
		if s.KeySPKI != c.Intent.SPKI {
			continue
		}
		signature, err := signatureIn(s.Format, s.Content)
		if err == nil {
			kept[signature] = true
		}
		if s.IntentID == int64(c.Intent.ID) && !slices.Contains(c.Signatures, signature) {
			b.missing(ledger.Made{Signature: s, Ref: artifact.Ref{Repo: c.Intent.Repo, Path: c.Intent.Path}}, "a signature that its intent's outcome does not name", &c.Outcome)
		}
	}
	for _, s := range c.Signatures {
		if !kept[s] {
			b.Add(audit.Finding{Index: &c.Outcome, Alarm: true, Reason: reason.Reason{
				Code: reason.LedgerUseMissing, Message: "a key was used, and the ledger does not have what came of it",
				Found:    fmt.Sprintf("the signature sha256:%s by %s for %s/%s in the log alone", s, c.Intent.Key, c.Intent.Repo, c.Intent.Path),
				Expected: "the same signature in the ledger", Fix: "was the ledger put back from a backup? If it was not, find out who wrote to it, or used the key", Who: "security officers",
			}})
		}
	}
}

// tell remembers that the log has an intent. Its number is whatever the log says.
func (b *Books) tell(id int64) {
	if id <= 0 || id > b.last {
		return
	}
	if b.told == nil {
		b.told = make([]uint64, b.last/64+1)
	}
	b.told[id/64] |= 1 << (id % 64)
}

func (b *Books) has(id int64) bool {
	return id > 0 && id/64 < int64(len(b.told)) && b.told[id/64]&(1<<(id%64)) != 0
}

func signatureIn(format string, content []byte) (artifact.Digest, error) {
	f, ok := seal.Lookup(format)
	if !ok {
		return artifact.Digest{}, fmt.Errorf("the format %q is unknown", format)
	}
	in, err := f.Inside(content)
	if err != nil {
		return artifact.Digest{}, err
	}
	return sha256.Sum256(in.Signature), nil
}

// Ledger ends the comparison with the ledger: every signature that the log has to tell of is told of. Signatures from after a
// moment may be under way and are left out.
func (b *Books) Ledger(ctx context.Context, report *audit.Report, until time.Time) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	b.started = report.First
	return b.view.EachMade(ctx, report.Origin, report.Replicas, report.First, func(m ledger.Made) error {
		switch {
		case b.has(m.IntentID) && m.LogOrigin != "", m.MadeAt.After(until):
		case m.LogOrigin == "":
			b.missing(m, "a signature that was made without the log, which was there already", nil)
		default:
			b.missing(m, "a signature that no outcome tells of", nil)
		}
		return nil
	})
}

func (b *Books) missing(m ledger.Made, found string, index *uint64) {
	b.Add(audit.Finding{Index: index, Alarm: true, Reason: reason.Reason{
		Code: reason.LogUseMissing, Message: "the ledger has a signature that the log does not account for",
		Found:    fmt.Sprintf("%s: %s by %s for %s, of %s", found, m.Format, m.KeyName, strings.TrimPrefix(m.Ref.String(), "/"), m.MadeAt.Format(time.RFC3339)),
		Expected: "the same signature in the log", Fix: "find out what used the key, or who wrote to the ledger; distrust the key until then", Who: "security officers",
	}})
}
