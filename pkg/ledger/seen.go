package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Seen lists the repositories of an instance in which work on these bytes has ended, however it did, sorted: Artifactory
// reported that they stood there. They need not stand there any more.
func (l *Ledger) Seen(ctx context.Context, instance string, subject artifact.Digest) ([]string, error) {
	repos := []string{}
	err := l.each(ctx, `SELECT DISTINCT repo FROM outcome WHERE subject = $1 AND instance = $2 ORDER BY repo`, []any{subject.String(), instance}, func(rows *sql.Rows) error {
		var repo string
		err := rows.Scan(&repo)
		repos = append(repos, repo)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking up where bytes were seen: %w", err)
	}
	return repos, nil
}
