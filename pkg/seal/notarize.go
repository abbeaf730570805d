package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"golang.org/x/sync/errgroup"
)

// signed is one signature and what a notary attested of it.
type signed struct {
	claim
	token   []byte
	entries map[bool]*rekor.TransparencyLogEntry // by whether they name the certificate
}

// notarize has every signature stamped and recorded: one time-stamp for each that goes into a file with room for it, then
// one entry for each signature and way of naming its key. Nothing is recorded of a signature that does not verify, and
// nothing while a time-stamp lacks.
func notarize(ctx context.Context, n Notary, pub crypto.PublicKey, certificate []byte, drafts []draft, made map[string]*signed) error {
	wanted := map[string]map[bool]bool{} // ways of naming, by the digest that was signed
	for _, d := range drafts {
		digest := string(d.digest)
		if wanted[digest] == nil {
			wanted[digest] = map[bool]bool{}
		}
		if d.naming != nameless {
			wanted[digest][d.naming == byCertificate && certificate != nil] = true
		}
	}
	for _, s := range made {
		if err := verifySignature(pub, s.claim); err != nil {
			return err
		}
	}
	group, ctx2 := errgroup.WithContext(ctx)
	for digest, ways := range wanted {
		if len(ways) == 0 {
			ways[certificate != nil] = true
			continue // nobody could read the time-stamp
		}
		group.Go(func() (err error) {
			s := made[digest]
			s.token, err = n.Stamp(ctx2, bytes.Clone(s.signature))
			if err == nil && len(s.token) == 0 {
				err = fmt.Errorf("an empty one")
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrNotStamped, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return recordAll(ctx, n, pub, certificate, wanted, made)
}

func recordAll(ctx context.Context, n Notary, pub crypto.PublicKey, certificate []byte, wanted map[string]map[bool]bool, made map[string]*signed) error {
	type order struct {
		by        *signed
		certified bool
		entry     *rekor.TransparencyLogEntry
	}
	var orders []*order
	for digest, ways := range wanted {
		for certified := range ways {
			orders = append(orders, &order{by: made[digest], certified: certified})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, o := range orders {
		group.Go(func() (err error) {
			r := Record{Digest: bytes.Clone(o.by.digest), Hash: o.by.hash, Signature: bytes.Clone(o.by.signature), PublicKey: pub}
			if o.certified {
				r.Certificate = bytes.Clone(certificate)
			}
			if o.entry, err = n.Record(ctx, r); err == nil {
				err = r.heldBy(o.entry)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrNotLogged, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, o := range orders {
		o.by.entries[o.certified] = o.entry
	}
	return nil
}

// The kind of the entries that logs of Rekor's second version hold.
const (
	entryKind    = "hashedrekord"
	entryVersion = "0.0.2"
)

// heldBy refuses an entry that is not about this very use of the key, or comes without what proves it. The proof itself is
// judged by those who know the log's key.
func (r Record) heldBy(e *rekor.TransparencyLogEntry) error {
	proof := e.GetInclusionProof()
	switch kind := e.GetKindVersion(); {
	case kind.GetKind() != entryKind || kind.GetVersion() != entryVersion:
		return fmt.Errorf("the entry is of the kind %q %q, expected %q %q", kind.GetKind(), kind.GetVersion(), entryKind, entryVersion)
	case e.GetIntegratedTime() != 0 || e.GetInclusionPromise() != nil:
		return fmt.Errorf("the entry has a time or a promise of its own, which verifiers of this kind refuse")
	case proof.GetCheckpoint().GetEnvelope() == "" || len(e.GetLogId().GetKeyId()) == 0:
		return fmt.Errorf("the entry comes without the checkpoint of its log")
	case proof.GetLogIndex() != e.GetLogIndex() || proof.GetTreeSize() <= e.GetLogIndex():
		return fmt.Errorf("the entry is number %d, its proof is of number %d in a log of %d", e.GetLogIndex(), proof.GetLogIndex(), proof.GetTreeSize())
	}
	var body struct {
		Spec struct {
			Entry struct {
				Data struct {
					Digest []byte `json:"digest"`
				} `json:"data"`
				Signature struct {
					Content  []byte `json:"content"`
					Verifier struct {
						Certificate struct {
							Raw []byte `json:"rawBytes"`
						} `json:"x509Certificate"`
						PublicKey struct {
							Raw []byte `json:"rawBytes"`
						} `json:"publicKey"`
					} `json:"verifier"`
				} `json:"signature"`
			} `json:"hashedRekordV002"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return fmt.Errorf("the entry cannot be read: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(r.PublicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	if r.Certificate != nil {
		spki = nil
	}
	said := body.Spec.Entry
	if !bytes.Equal(said.Data.Digest, r.Digest) || !bytes.Equal(said.Signature.Content, r.Signature) ||
		!bytes.Equal(said.Signature.Verifier.Certificate.Raw, r.Certificate) || !bytes.Equal(said.Signature.Verifier.PublicKey.Raw, spki) {
		return fmt.Errorf("entry %d is about another signature", e.GetLogIndex())
	}
	return nil
}
