package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Origin is what the ledger knows of a signature file that somebody has in hand.
type Origin struct {
	Signature              // without content
	Ref       artifact.Ref // the artifact that it was first made for; zero when that is not known
	Here      bool         // the bytes that it is over stood at the place that was asked about, as far as is known
}

var origins = `SELECT s.content_sha256, s.subject, s.key_spki, s.format, s.key_name, s.made_at, s.intent_id,
		COALESCE(i.instance, ''), COALESCE(i.repo, ''), COALESCE(i.path, ''),
		CASE WHEN i.repo = $101 AND i.path = $102 AND i.instance = $103
			OR EXISTS (SELECT 1 FROM outcome o WHERE o.repo = $101 AND o.path = $102 AND o.instance = $103 AND o.subject = s.subject)
			OR EXISTS (SELECT 1 FROM promotion_item p WHERE p.target_repo = $101 AND p.target_path = $102 AND p.instance = $103 AND p.subject = s.subject)
			OR EXISTS (SELECT 1 FROM event e WHERE e.repo = $101 AND e.path = $102 AND e.instance = $103 AND e.sha256 = s.subject)
		THEN 1 ELSE 0 END
	FROM signature_ever s LEFT JOIN intent i ON i.id = s.intent_id
	WHERE s.content_sha256 IN (` + placeholders() + `)`

// Origins looks signature files up by the digests of their contents: which of them this service made, and for what. Those
// that the ledger has never held are left out. The announcement of bytes at the place counts as their having stood there:
// it tells a changed artifact from a foreign signature, and nothing is ever allowed for it.
func (l *Ledger) Origins(ctx context.Context, at artifact.Ref, contents []artifact.Digest) (map[artifact.Digest]Origin, error) {
	texts := make([]string, len(contents))
	for i, d := range contents {
		texts[i] = d.String()
	}
	found := make(map[artifact.Digest]Origin)
	err := eachChunk(texts, func(some []any) error {
		return l.each(ctx, origins, append(some, at.Repo, at.Path, at.Instance), func(rows *sql.Rows) error {
			var o Origin
			var content, subject, spki string
			var made, here int64
			if err := rows.Scan(&content, &subject, &spki, &o.Format, &o.KeyName, &made, &o.IntentID, &o.Ref.Instance, &o.Ref.Repo, &o.Ref.Path, &here); err != nil {
				return err
			}
			digest, err := parseDigest(content)
			if err == nil {
				o.Subject, err = parseDigest(subject)
			}
			if err == nil {
				o.KeySPKI, err = parseDigest(spki)
			}
			o.MadeAt, o.Here = fromMicros(made), here == 1
			found[digest] = o
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("looking up what signatures were made for: %w", err)
	}
	return found, nil
}
