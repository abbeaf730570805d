package signing

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// store stores one signature. For a file, where a file has the name already and may not be replaced, it is looked at:
//   - A signature by the same key over the same bytes is as good, if it proves as much. That is so after the ledger was
//     lost; ECDSA signatures are never equal twice.
//   - One that proves less, from before there was a notary, and a signature of the same bytes by another of our keys stay,
//     as when a development signature came along with a promoted artifact. Ours takes the name that bears its key, which
//     every gate looks at.
//   - Anything else stays in the way: it would be taken for ours.
func (r *run) store(ctx context.Context, w *work, p *part, f *file) error {
	name, err := shelf.Put(ctx, r.client, w.subject, f.name, f.format, f.content)
	if err == nil {
		f.name = name
		return nil
	}
	if no, ok := errors.AsType[*artifactory.Refused](err); !ok || no.Status != http.StatusForbidden || w.subject.Kind != artifact.KindFile {
		return err
	}
	stored, unread := r.client.Read(ctx, r.ref.Beside(f.name), seal.MaxSize)
	if unread != nil {
		return err
	}
	mine := f.format.Verify(p.key.PublicKey, w.digests, stored) == nil
	if mine && r.asGood(ctx, w, p, f, stored) == nil {
		return nil
	}
	named := seal.FileName(r.ref.Name(), f.format.Name, p.key.Name, false)
	another := mine || slices.ContainsFunc(r.Keys.Keys(), func(k hsm.Public) bool { // not one that signs a digest which was not needed
		return k.SPKI != p.key.SPKI && f.format.Verify(k.PublicKey, w.digests, stored) == nil
	})
	if f.name == named || !another {
		return err
	}
	f.name = named
	return r.store(ctx, w, p, f)
}

// asGood says what a stored signature file by the same key lacks that ours has.
func (r *run) asGood(ctx context.Context, w *work, p *part, f *file, stored []byte) error {
	if bytes.Equal(stored, f.content) || r.proof(ctx, f.format, p.key, w.digests, f.content) != nil {
		return nil
	}
	return r.proof(ctx, f.format, p.key, w.digests, stored)
}
