package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Rows are read together until there are so many, or so many bytes of them.
const (
	batchRows  = 512
	batchBytes = 8 << 20
)

// Ledger compares the logs with the ledger, both ways. Call it once every log is Done. What happened after the moment may be under
// way and is not judged.
func (b *Books) Ledger(ctx context.Context, until time.Time) error {
	b.until = until
	var batch []row
	size := 0
	err := b.view.EachMade(ctx, func(m ledger.Made) error {
		batch, size = append(batch, row{Made: m}), size+len(m.Content)
		if len(batch) < batchRows && size < batchBytes {
			return nil
		}
		b.rows(batch)
		batch, size = batch[:0], 0
		return nil
	})
	if err != nil {
		return err
	}
	b.rows(batch)
	if err := b.view.EachAnnounced(ctx, func(a ledger.Announced) error { b.announced(a); return nil }); err != nil {
		return err
	}
	b.judgeUnlogged()
	b.judgeOthers()
	return b.missingInLedger(ctx)
}

// row is a signature of the ledger, and what is inside.
type row struct {
	ledger.Made
	signature artifact.Digest // of the raw signature
	content   artifact.Digest // of the file
	err       error           // why it is no signature
}

func (b *Books) rows(rows []row) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for part := range 8 {
		group.Go(func() error {
			for i := part; i < len(rows); i += 8 {
				rows[i].read()
			}
			return nil
		})
	}
	_ = group.Wait()
	for i := range rows {
		b.row(&rows[i])
	}
}

func (r *row) read() {
	r.content = sha256.Sum256(r.Content)
	if r.err = r.Wrong; r.err != nil {
		return
	}
	f, ok := seal.Lookup(r.Format)
	if !ok {
		r.err = fmt.Errorf("the format %.100q is unknown", r.Format)
		return
	}
	in, err := f.Inside(r.Content)
	if err == nil && len(in) > 1 {
		err = fmt.Errorf("there are %d signatures in it", len(in))
	}
	if err != nil {
		r.err = err
		return
	}
	r.signature = sha256.Sum256(in[0].Signature)
}

// row judges one signature of the ledger.
func (b *Books) row(r *row) {
	if r.err != nil {
		b.rowWrong(r, reason.LedgerContentWrong, "the ledger has a signature that is none", r.err.Error(), "a signature as the service stores it")
		return
	}
	id := useOf(r.signature, r.KeySPKI, r.Subject)
	here := b.log(r.LogOrigin) != nil
	logged, own, given := false, false, false
	found := find(&b.uses, id[:])
	for i := range found {
		found[i].seen = true
		logged = logged || found[i].state == completed
		own = own || found[i].of == intentOf(r.LogOrigin, uint64(r.IntentID))
	}
	for _, e := range find(&b.uses, id[:16]) {
		given = given || e.state == open
	}
	switch {
	case !r.ContentSHA256.IsZero() && r.ContentSHA256 != r.content:
		b.rowWrong(r, reason.LedgerContentWrong, "the ledger has a signature under the digest of another file",
			"sha256:"+r.ContentSHA256.String()+" where it is sha256:"+r.content.String(), "the digest of the signature file")
	case !r.Known:
		b.rowWrong(r, reason.LedgerIntentUnknown, "the ledger has a signature of an intent that it does not have", fmt.Sprint("the intent ", r.IntentID), "an intent, made before the key was used")
	case logged && (own || !here): // signatures of RSA keys are the same in every log, and without one
		put(&b.files, fileOf(r.content, r.Format))
	case logged:
		b.rowWrong(r, reason.LedgerIntentWrong, "the ledger has a signature under another intent than the log", fmt.Sprintf("the intent %d of the log %s", r.IntentID, r.LogOrigin), "the intent that the log tells of")
	case here && b.underWay(r.MadeAt):
		b.recent++
	case here && given:
		b.missing(r, "a signature that no outcome names")
	case here:
		b.missing(r, "a signature that no outcome tells of")
	case r.LogOrigin == "":
		b.unlogged(r, id)
	default:
		b.other(r.LogOrigin).signatures++
		put(&b.told, entry{id: id, state: elsewhere})
		put(&b.files, fileOf(r.content, r.Format))
	}
}

func (r *row) text() string {
	return fmt.Sprintf("%s by %s for %s, of %s", r.Format, r.KeyName, strings.TrimPrefix(r.Ref.String(), "/"), r.MadeAt.Format(time.RFC3339))
}

func (b *Books) rowWrong(r *row, code reason.Code, message, found, expected string) {
	b.alarm(reason.Reason{Code: code, Message: message, Found: found + ": " + r.text(), Expected: expected, Fix: "find out who wrote to the ledger, and what for; until then take no signature of it for the service's own"})
}

func (b *Books) missing(r *row, found string) { b.alarm(missing(r, found)) }

func missing(r *row, found string) reason.Reason {
	return reason.Reason{
		Code: reason.LogUseMissing, Message: "the ledger has a signature that the log does not account for", Found: found + ": " + r.text(),
		Expected: "the same signature in the log", Fix: "find out what used the key, or who wrote to the ledger; distrust the key until then", Who: security,
	}
}

// announced judges one intent of the ledger.
func (b *Books) announced(a ledger.Announced) {
	if b.log(a.LogOrigin) == nil {
		b.other(a.LogOrigin).intents++
		return
	}
	text := fmt.Sprintf("the intent %d to sign %s with %s, of %s", a.ID, strings.TrimPrefix(a.Ref.String(), "/"), a.KeyName, a.StartedAt.Format(time.RFC3339))
	says := said(audit.Intent{
		Grant: a.GrantID, Event: uint64(max(a.EventID, 0)), Instance: a.Ref.Instance, Repo: a.Ref.Repo, Path: a.Ref.Path, Subject: a.Subject, Key: a.KeyName, SPKI: a.KeySPKI,
		Formats: a.Formats, Policy: a.Policy, Rule: a.Rule, PolicySet: a.PolicySet,
	})
	id := wide(intentOf(a.LogOrigin, uint64(a.ID)))
	found, same := find(&b.intents, id[:]), false
	for i := range found {
		found[i].seen = found[i].seen || found[i].of == says
		same = same || found[i].of == says
	}
	switch {
	case same:
	case len(found) > 0:
		for i := range found {
			found[i].seen = true
		}
		b.alarm(reason.Reason{
			Code: reason.LedgerIntentWrong, Message: "an intent says something else in the ledger than in the log", Found: text, Expected: fmt.Sprintf("what entry %d of the log %s says", found[0].index, a.LogOrigin),
			Fix: "find out who wrote to the ledger; what the log says was said before the key was used",
		})
	case a.Sealed && !b.underWay(a.StartedAt), a.Told:
		b.alarm(reason.Reason{
			Code: reason.LogIntentMissing, Message: "the ledger has an intent that was carried out, and the log does not have it", Found: text, Expected: "the same intent in the log " + a.LogOrigin,
			Fix: "find out what used the key, or who wrote to the ledger",
		})
	}
}

// missingInLedger tells what the logs have and the ledger has not.
func (b *Books) missingInLedger(ctx context.Context) error {
	for e := range all(&b.uses) {
		if e.state != completed || e.seen {
			continue
		}
		found := fmt.Sprintf("what entry %d of the log %s tells of", e.index, b.logs[e.log].head.Origin)
		if b.Counts[reason.LedgerUseMissing] < audit.MaxFindings {
			in, err := b.logs[e.log].intent(ctx, e.index)
			if err != nil {
				return err
			}
			found = fmt.Sprintf("a signature by %s for %s/%s, in the log %s alone", in.Key, in.Repo, in.Path, b.logs[e.log].head.Origin)
		}
		b.Add(audit.Finding{Index: &e.index, Alarm: true, Reason: reason.Reason{
			Code: reason.LedgerUseMissing, Message: "a key was used, and the ledger does not have what came of it", Found: found,
			Expected: "the same signature in the ledger", Fix: "was the ledger put back from a backup? If it was not, find out who wrote to it, or used the key", Who: security,
		}})
	}
	for e := range all(&b.intents) {
		if e.state == completed || e.seen { // of completed ones the signatures are missing
			continue
		}
		b.Add(audit.Finding{Index: &e.index, Alarm: true, Reason: reason.Reason{
			Code: reason.LedgerIntentMissing, Message: "a key was about to be used, and the ledger does not know of it", Found: fmt.Sprintf("an intent in the log %s alone", b.logs[e.log].head.Origin),
			Expected: "the same intent in the ledger", Fix: "was the ledger put back from a backup? If it was not, find out who wrote to it", Who: security,
		}})
	}
	return nil
}

// intent reads the intent of an outcome.
func (l *Log) intent(ctx context.Context, outcome uint64) (audit.Intent, error) {
	e, err := l.reader.Entry(ctx, l.head, outcome)
	if errors.Is(err, audit.ErrNotIncluded) || errors.Is(err, audit.ErrDamaged) || errors.Is(err, audit.ErrAbsent) {
		return audit.Intent{Key: "a key"}, nil // the replay tells of it
	}
	if err != nil {
		return audit.Intent{}, err
	}
	if o, ok := e.Leaf.(audit.Outcome); ok {
		e, err = l.reader.Entry(ctx, l.head, o.Intent)
		if in, ok := e.Leaf.(audit.Intent); ok && err == nil {
			return in, nil
		}
	}
	return audit.Intent{Key: "a key"}, nil
}
