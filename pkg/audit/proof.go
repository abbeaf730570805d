package audit

import (
	"bytes"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// Proof shows that a leaf stands in the log under a signed checkpoint. It is complete: whoever has the leaf, the proof
// and the log's public key needs to ask nobody.
type Proof struct {
	Index      uint64   // of the leaf, from 0
	Size       uint64   // leaves under the checkpoint
	Root       []byte   // of the tree of that size
	Hashes     [][]byte // from the leaf's neighbour up (RFC 6962)
	Checkpoint string   // the signed note
	LogID      []byte   // 32 bytes that name the log's key in a trusted root
}

// Entry is the proof as it stands in a Sigstore bundle; body is the Rekord leaf it is for. It has no integrated time and
// no promise of inclusion: this log gives neither, and stock clients refuse both.
func (p Proof) Entry(body []byte) *rekor.TransparencyLogEntry {
	return &rekor.TransparencyLogEntry{
		LogIndex:    int64(p.Index),
		LogId:       &common.LogId{KeyId: p.LogID},
		KindVersion: &rekor.KindVersion{Kind: KindRekord, Version: rekordVersion},
		InclusionProof: &rekor.InclusionProof{
			LogIndex:   int64(p.Index),
			RootHash:   p.Root,
			TreeSize:   int64(p.Size),
			Hashes:     p.Hashes,
			Checkpoint: &rekor.Checkpoint{Envelope: p.Checkpoint},
		},
		CanonicalizedBody: bytes.Clone(body),
	}
}
