package trust

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekorverify "github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// checkLog holds that every log entry is of this signature and proven, and notes the first.
func (v *Verifier) checkLog(e *entity, material root.TrustedMaterial, f *Finding) error {
	if len(e.entries) == 0 {
		if e.leaf != nil {
			return fmt.Errorf("%w: there is none", ErrLogProof)
		}
		return nil
	}
	for _, entry := range e.entries {
		l, ok := v.logs[hex.EncodeToString(entry.GetLogId().GetKeyId())]
		if !ok {
			return fmt.Errorf("%w: it is %s, with the logId %x", ErrLogUnknown, saidOrigin(entry), entry.GetLogId().GetKeyId())
		}
		if err := l.check(entry); err != nil {
			return fmt.Errorf("%w: log %s, entry %d: %w", ErrLogProof, l.origin, entry.GetLogIndex(), err)
		}
		switch {
		case f.At.IsZero() && !l.window.To.IsZero():
			return fmt.Errorf("%w: the log %s ended at %s, and no time-stamp tells that this is older", ErrLogProof, l.origin, l.window.To.Format(time.RFC3339))
		case !f.At.IsZero() && !l.window.holds(f.At):
			return fmt.Errorf("%w: stamped at %s, when the log %s is not listed", ErrLogProof, f.At.Format(time.RFC3339), l.origin)
		}
	}
	// The entry that sigstore-go makes of the bundle is in the tree; the bytes that are given were found there above.
	// Both lie at one index of one tree, so that they are the same.
	if _, err := verify.VerifyTlogEntry(e.bundle, material, 1, false); err != nil {
		return fmt.Errorf("%w: it is not of this signature, key and digest: %w", ErrLogProof, err)
	}
	first := e.entries[0]
	f.LogOrigin, f.LogIndex = v.logs[hex.EncodeToString(first.GetLogId().GetKeyId())].origin, uint64(first.GetLogIndex())
	return nil
}

// saidOrigin is how a log calls itself in a checkpoint that nobody can verify.
func saidOrigin(entry *rekorv1.TransparencyLogEntry) string {
	origin, _, _ := strings.Cut(entry.GetInclusionProof().GetCheckpoint().GetEnvelope(), "\n")
	return fmt.Sprintf("%.100q by its own word", origin)
}

// check holds the entry as it is given against the checkpoint that the log signed: the bytes of its body, and what the
// proof says of itself, which sigstore-go does not read.
func (l knownLog) check(entry *rekorv1.TransparencyLogEntry) error {
	proof := entry.GetInclusionProof()
	cp, err := rekorverify.VerifyCheckpoint(proof.GetCheckpoint().GetEnvelope(), l.verifier)
	if err != nil {
		return fmt.Errorf("the checkpoint is not the log's: %w", err)
	}
	if proof.GetTreeSize() < 0 || uint64(proof.GetTreeSize()) != cp.Size || !bytes.Equal(proof.GetRootHash(), cp.Hash) {
		return fmt.Errorf("the proof is for the size %d and the root %x, the checkpoint has %d and %x", proof.GetTreeSize(), proof.GetRootHash(), cp.Size, cp.Hash)
	}
	if proof.GetLogIndex() != entry.GetLogIndex() {
		return fmt.Errorf("the proof is for the index %d", proof.GetLogIndex())
	}
	if err := rekorverify.VerifyInclusionProof(entry, cp); err != nil {
		return errors.Join(errors.New("the tree does not hold its bytes"), err)
	}
	return nil
}
