package signing

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxSignature bounds a signature file in bytes; ours have ten thousand at most.
const maxSignature = 128 << 10

// inspection is what stands beside an artifact, held against what policy wants there.
type inspection struct {
	missing []string
	wrong   []string
	bare    []string // they verify, and would prove more if they were made now
	reasons []reason.Reason
}

func (s *inspection) complete() bool { return len(s.missing) == 0 && len(s.wrong) == 0 }

// inspect verifies every signature file that the orders want, with its pinned key over the bytes that are there now. A
// file is read only when it is not one that the ledger has kept. Files that are not on the pages at hand are asked for
// when there is a reason to believe that they exist: others would be looked for in vain, one request each.
func (p *pass) inspect(ctx context.Context, subject artifact.Subject, orders []policy.Order, kept []ledger.Signature, distrusted distrusts, expected bool) (*inspection, error) {
	if subject.Kind != artifact.KindFile {
		return p.inspectShelf(ctx, subject, orders, kept, distrusted)
	}
	state, item := &inspection{}, artifactory.Item{Info: subject.Info}
	v := &verifier{pass: p, item: item, digests: seal.FromSHA256(item.SHA256)}
	taken := make(map[string]bool)
	for _, order := range orders {
		key, err := p.Service.maker(order, p.Service.serving(ctx, order, kept, distrusted))
		if err != nil {
			return nil, err
		}
		for _, name := range order.Formats {
			format, ok := seal.Lookup(name)
			if !ok {
				return nil, fmt.Errorf("the format %q is unknown", name)
			}
			file := seal.FileName(item.Ref.Name(), name, key.Name, !taken[name])
			taken[name] = true
			var ours []byte
			if s := inForce(kept, key, name); s != nil {
				ours = s.Content
			}
			problem, err := v.file(ctx, file, format, key, ours, expected)
			if named := seal.FileName(item.Ref.Name(), name, key.Name, false); err == nil && problem != "" && problem != reason.SignatureMissing && named != file {
				var second reason.Code // where what stands under the first name could not be replaced
				if second, err = v.file(ctx, named, format, key, ours, expected); second == "" {
					problem = ""
				}
			}
			if err != nil {
				return nil, err
			}
			state.add(item, file, key.Name, problem)
		}
	}
	return state, nil
}

func (s *inspection) add(item artifactory.Item, file, key string, problem reason.Code) {
	if problem == "" {
		return
	}
	r := reason.Reason{
		Code: problem, Message: "a signature that policy wants does not stand beside the artifact as it should", Found: file,
		Expected: "a signature by " + key + " over " + item.SHA256.String(), Fix: "hallmark sign " + item.Ref.String(), Who: "release managers",
	}
	switch problem {
	case reason.SignatureMissing:
		s.missing = append(s.missing, file)
		r.Found = "no " + file
	case reason.TrustLevelLow:
		s.bare = append(s.bare, file)
		r.Message = "a signature stands there that does not prove what those that are made now do: certificate, log entry, time-stamp"
	default:
		s.wrong = append(s.wrong, file)
	}
	s.reasons = append(s.reasons, r)
}

// verifier holds the digests of one artifact, which are made when a key needs others than Artifactory reports.
type verifier struct {
	*pass
	item    artifactory.Item
	digests seal.Digests
}

// file says what is wrong with a signature file: nothing, that it is missing, why it does not verify, or that it proves too
// little.
func (v *verifier) file(ctx context.Context, name string, format seal.Format, key hsm.Public, ours []byte, expected bool) (reason.Code, error) {
	ref := v.item.Ref.Beside(name)
	digest, here := v.near(ref.Path)
	if !here && !expected {
		return reason.SignatureMissing, nil
	}
	content := ours
	if !here && ours != nil {
		info, err := v.client.Info(ctx, ref)
		if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrNotFile) {
			return reason.SignatureMissing, nil
		}
		if err != nil {
			return "", err
		}
		digest = info.SHA256
	}
	same := ours != nil && artifact.Attachment{Content: ours}.SHA256() == digest
	if !same {
		var err error
		content, err = v.client.Read(ctx, ref, maxSignature)
		switch {
		case errors.Is(err, artifact.ErrGone), errors.Is(err, artifactory.ErrNotFile), errors.Is(err, artifactory.ErrPath):
			return reason.SignatureMissing, nil
		case errors.Is(err, artifactory.ErrTooLarge):
			return reason.SignatureInvalid, nil
		case err != nil:
			return "", err
		}
	}
	err := v.verify(ctx, key, format, content, same)
	problem := seal.Problem(err)
	switch {
	case problem == reason.Undecided:
		return "", err
	case problem == "" && v.Service.lacks(ctx, format, key, v.digests, content):
		return reason.TrustLevelLow, nil
	}
	return problem, nil
}

// verify holds a file against one key. For a key that signs another digest than Artifactory reports, the artifact is read,
// unless the file is the very one that was verified when it was made.
func (v *verifier) verify(ctx context.Context, k hsm.Public, format seal.Format, content []byte, ours bool) error {
	if hint, ok := format.KeyHint(content); ok && hint != k.SPKI {
		return seal.ErrWrongKey
	}
	if v.digests[k.Hash] == nil {
		if ours {
			return nil
		}
		sum := k.Hash.New()
		if err := v.client.Pull(ctx, v.item.Info, sum); err != nil {
			return fmt.Errorf("hashing the artifact: %w", err)
		}
		more := seal.Digests{k.Hash: sum.Sum(nil)}
		for h, d := range v.digests {
			more[h] = d
		}
		v.digests = more
	}
	return format.Verify(k.PublicKey, v.digests, content)
}
