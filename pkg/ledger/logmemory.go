package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrCheckpoint means that a log's checkpoint contradicts the one that was signed before it: the log is smaller, or another
// log of the same size. Whoever signed it would show two histories to the world.
var ErrCheckpoint = errors.New("the checkpoint contradicts one that was signed before")

type checkpointOp struct {
	origin string
	size   uint64
	root   []byte
	err    error // told to this caller alone
}

// RememberCheckpoint makes the checkpoint the last one of its log. It has to be called before the checkpoint is used, and is
// ErrCheckpoint when it is smaller than the last one, or has another root at the same size.
func (l *Ledger) RememberCheckpoint(ctx context.Context, origin string, size uint64, root []byte) error {
	op := &checkpointOp{origin: origin, size: size, root: bytes.Clone(root)}
	if err := l.checkpoints.Do(ctx, op); err != nil {
		return err
	}
	return op.err
}

// rememberCheckpoints decides in the statement that writes, so that no two writers pass each other.
func rememberCheckpoints(ctx context.Context, tx *sql.Tx, ops []*checkpointOp) error {
	for _, op := range ops {
		op.err = nil
		res, err := tx.ExecContext(ctx, `INSERT INTO log_memory (origin, size, root) VALUES ($1, $2, $3)
			ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root
			WHERE log_memory.size < excluded.size OR log_memory.size = excluded.size AND log_memory.root = excluded.root`,
			op.origin, int64(op.size), hex.EncodeToString(op.root))
		if err != nil {
			return fmt.Errorf("remembering a checkpoint: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			op.err = fmt.Errorf("log %s at size %d with root %x: %w", op.origin, op.size, op.root, ErrCheckpoint)
		}
	}
	return nil
}

// LastCheckpoint is the last checkpoint of a log; size 0 when none is remembered.
func (l *Ledger) LastCheckpoint(ctx context.Context, origin string) (size uint64, root []byte, err error) {
	var text string
	var n int64
	err = l.read.QueryRowContext(ctx, `SELECT size, root FROM log_memory WHERE origin = $1`, origin).Scan(&n, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, nil
	}
	if err == nil {
		root, err = hex.DecodeString(text)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading the last checkpoint of log %s: %w", origin, err)
	}
	return uint64(n), root, nil
}

type certificateOp struct {
	origin string
	digest artifact.Digest
	index  uint64
}

// CertificateLogged notes that a certificate stands in a log.
func (l *Ledger) CertificateLogged(ctx context.Context, origin string, digest artifact.Digest, index uint64) error {
	return l.certificates.Do(ctx, &certificateOp{origin, digest, index})
}

func noteCertificates(ctx context.Context, tx *sql.Tx, ops []*certificateOp) error {
	for _, op := range ops {
		if _, err := tx.ExecContext(ctx, `INSERT INTO log_certificate (origin, sha256, log_index) VALUES ($1, $2, $3) ON CONFLICT (origin, sha256) DO NOTHING`,
			op.origin, op.digest.String(), int64(op.index)); err != nil {
			return fmt.Errorf("noting a certificate: %w", err)
		}
	}
	return nil
}

// HasCertificate reports whether CertificateLogged was told of the certificate.
func (l *Ledger) HasCertificate(ctx context.Context, origin string, digest artifact.Digest) (bool, error) {
	var n int
	err := l.read.QueryRowContext(ctx, `SELECT count(*) FROM log_certificate WHERE origin = $1 AND sha256 = $2`, origin, digest.String()).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("looking for a certificate that was logged: %w", err)
	}
	return n > 0, nil
}
