package signing

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// reread reads every signature back, as Artifactory serves it now to whoever asks. That a server reported the right checksum
// when it took a file says nothing about what it serves, nor about what others wrote there since. What is not there, or is
// larger than any signature, is left to prove; an answer that says neither is an error.
func (r *run) reread(ctx context.Context, w *work) error {
	for i := range w.parts {
		for j := range w.parts[i].files {
			f := &w.parts[i].files[j]
			failed := func(err error) error {
				return &storeError{op: "reading back " + f.String(), refused: reason.StoreRefused, err: err}
			}
			spots, err := shelf.Back(ctx, r.client, w.subject, f.name, f.format.Name)
			if err != nil {
				return failed(err)
			}
			f.served = nil
			for _, spot := range spots {
				content, err := spot.Read(ctx)
				switch {
				case errors.Is(err, artifact.ErrGone): // said of the artifact this would mean something else
				case errors.Is(err, artifactory.ErrTooLarge):
					f.served = append(f.served, make([]byte, verify.MaxSize+1))
				case err != nil:
					return failed(err)
				default:
					f.served = append(f.served, content)
				}
			}
		}
	}
	return nil
}

// prove asks the verifier that users run, which shares no code with what made the signatures, about what was read back:
// under each name there has to be a signature by the pinned key over the digest that Artifactory reports now, and one that
// proves as much as ours.
func (r *run) prove(ctx context.Context, w *work, now artifact.Digest) error {
	digests := verify.Digests(maps.Clone(w.digests))
	digests[crypto.SHA256] = now[:]
	for _, p := range w.parts {
		for _, f := range p.files {
			err := errors.New("nothing is there")
			for _, content := range f.served {
				if err = verify.Signature(f.format.Name, p.key.PublicKey, digests, content); err == nil {
					err = r.asGood(ctx, w, &p, &f, content)
				}
				if err == nil {
					break
				}
			}
			if err != nil {
				r.metrics.storedCheckFailures.Inc()
				return &unstoredError{file: f.String(), found: fmt.Sprintf("%s, by key %s: %v", f.String(), p.key.Name, err)}
			}
		}
	}
	return nil
}
