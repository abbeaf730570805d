package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// MaxContent is how much of a signature's content a view reads: more than any signature that this program stores has.
const MaxContent = 1<<20 + 1

// Made is a signature as the ledger has it, believed in nothing.
type Made struct {
	Signature                     // the content cut off at MaxContent
	ContentSHA256 artifact.Digest // as the row says; zero: it says none, as rows of old
	Ref           artifact.Ref    // what it was first made for
	LogOrigin     string          // of its intent; "" for none
	Known         bool            // its intent is in the ledger
	Wrong         error           // why the row cannot be read; what could be read is set
}

// EachMade hands over every signature of the ledger, those whose place another one took included, in no order. Memory does not grow with their number.
func (v *View) EachMade(ctx context.Context, each func(Made) error) error {
	err := v.l.each(ctx, `SELECT s.subject, s.key_spki, s.format, s.key_name, substr(s.content, 1, 1048577), s.content_sha256, s.made_at, s.intent_id,
			CASE WHEN i.id IS NULL THEN 0 ELSE 1 END, COALESCE(i.instance, ''), COALESCE(i.repo, ''), COALESCE(i.path, ''), COALESCE(i.log_origin, '')
		FROM signature_ever s LEFT JOIN intent i ON i.id = s.intent_id`, nil, func(rows *sql.Rows) error {
		var m Made
		var subject, spki, content string
		var made int64
		var known int
		if err := rows.Scan(&subject, &spki, &m.Format, &m.KeyName, &m.Content, &content, &made, &m.IntentID, &known, &m.Ref.Instance, &m.Ref.Repo, &m.Ref.Path, &m.LogOrigin); err != nil {
			return err
		}
		var errs [3]error
		m.Subject, errs[0] = parseDigest(subject)
		m.KeySPKI, errs[1] = parseDigest(spki)
		m.ContentSHA256, errs[2] = parseDigest(content)
		m.MadeAt, m.Known, m.Wrong = fromMicros(made), known == 1, errors.Join(errs[:]...)
		return each(m)
	})
	if err != nil {
		return fmt.Errorf("reading the ledger's signatures: %w", err)
	}
	return nil
}

// Announced is an intent of the ledger that names a log.
type Announced struct {
	Intent
	Live   bool  // it has not ended
	Sealed bool  // it ended, with signatures
	Told   bool  // the ledger says at which entry the log tells of its end
	Wrong  error // why the row cannot be read; what could be read is set
}

// EachAnnounced hands over every intent of the ledger that names a log, in no order. Memory does not grow with their number.
func (v *View) EachAnnounced(ctx context.Context, each func(Announced) error) error {
	err := v.l.each(ctx, `SELECT id, grant_id, instance, repo, path, subject, key_name, key_spki, formats, policy, rule, policy_set, event_id, started_at, log_origin, state,
			CASE WHEN log_outcome >= 0 THEN 1 ELSE 0 END
		FROM intent WHERE log_origin <> ''`, nil, func(rows *sql.Rows) error {
		var a Announced
		var subject, spki, formats, set string
		var started int64
		var state, told int
		if err := rows.Scan(&a.ID, &a.GrantID, &a.Ref.Instance, &a.Ref.Repo, &a.Ref.Path, &subject, &a.KeyName, &spki, &formats, &a.Policy, &a.Rule, &set, &a.EventID,
			&started, &a.LogOrigin, &state, &told); err != nil {
			return err
		}
		var errs [3]error
		a.Subject, errs[0] = parseDigest(subject)
		a.KeySPKI, errs[1] = parseDigest(spki)
		a.PolicySet, errs[2] = parseDigest(set)
		a.Formats, a.StartedAt, a.Live, a.Sealed, a.Told = strings.Split(formats, ","), fromMicros(started), state == 0, state == 1, told == 1
		a.Wrong = errors.Join(errs[:]...)
		return each(a)
	})
	if err != nil {
		return fmt.Errorf("reading the ledger's intents: %w", err)
	}
	return nil
}

// MadeAt is when the ledger says that the signature in a file was made; false when it knows no such file.
func (v *View) MadeAt(ctx context.Context, content artifact.Digest) (time.Time, bool, error) {
	found, err := v.l.Origins(ctx, artifact.Ref{}, []artifact.Digest{content})
	o, ok := found[content]
	return o.MadeAt, ok, err
}
