package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ErrLog says that what should prove that the log holds the signature does not prove it.
var ErrLog = errors.New("log proof does not hold")

// ErrLogUnknown says that the log is not one of the trusted root.
var ErrLogUnknown = errors.New("the log is not in the trusted root")

// The kind of the entries that logs of Rekor's second version hold.
const (
	entryKind    = "hashedrekord"
	entryVersion = "0.0.2"
)

// Bounds of an entry: in bytes, and in hashes of its proof.
const (
	maxBody       = 64 << 10
	maxCheckpoint = 16 << 10
	maxHashes     = 64
)

// use is one use of a key, as the log holds it.
type use struct {
	key         key
	digest      []byte // what was signed
	signature   []byte
	certificate []byte // DER; nil when the entry names the bare key
}

// body is the entry about this use: canonical JSON (RFC 8785), to the byte. Everything in it is plain ASCII, so its members
// in their order without blanks are all that there is to it.
func (u use) body() ([]byte, error) {
	details, algorithm := "", "SHA2_256"
	switch public := u.key.public.(type) {
	case *ecdsa.PublicKey:
		details = "PKIX_ECDSA_P256_SHA_256"
		if u.key.hash == crypto.SHA384 {
			details, algorithm = "PKIX_ECDSA_P384_SHA_384", "SHA2_384"
		}
	case *rsa.PublicKey:
		details = "PKIX_RSA_PKCS1V15_" + strconv.Itoa(public.Size()*8) + "_SHA256"
	default:
		return nil, ErrUnsupportedKey
	}
	verifier, raw := "x509Certificate", u.certificate
	if raw == nil {
		verifier, raw = "publicKey", u.key.der
	}
	b64 := base64.StdEncoding.EncodeToString
	return []byte(`{"apiVersion":"` + entryVersion + `","kind":"` + entryKind + `","spec":{"hashedRekordV002":{"data":{"algorithm":"` + algorithm +
		`","digest":"` + b64(u.digest) + `"},"signature":{"content":"` + b64(u.signature) + `","verifier":{"keyDetails":"` + details +
		`","` + verifier + `":{"rawBytes":"` + b64(raw) + `"}}}}}}`), nil
}

// logged is an entry that a log proved to hold.
type logged struct {
	log         *logKey
	index, size uint64
}

// logs proves that the log holds this use: the entry is recomputed here, and has its place in the tree of a checkpoint that
// the log signed. Nothing that the bundle says about that is taken for granted.
func (r *Root) logs(u use, e *rekor.TransparencyLogEntry) (logged, error) {
	if err := known(e); err != nil {
		return logged{}, fmt.Errorf("%w: the log entry %w", ErrMalformed, err)
	}
	if r.logKeys[string(e.GetLogId().GetKeyId())] == nil {
		origin, _, _ := strings.Cut(e.GetInclusionProof().GetCheckpoint().GetEnvelope(), "\n")
		return logged{}, fmt.Errorf("%w: it is %.100q by its own word, with the identifier %.32x", ErrLogUnknown, origin, e.GetLogId().GetKeyId())
	}
	found, err := r.inLog(u, e)
	if err != nil {
		return logged{}, fmt.Errorf("%w: %w", ErrLog, err)
	}
	return found, nil
}

// known refuses entries of a kind that logs of this kind do not give.
func known(e *rekor.TransparencyLogEntry) error {
	switch kind := e.GetKindVersion(); {
	case kind.GetKind() != entryKind || kind.GetVersion() != entryVersion:
		return fmt.Errorf("is a %.40q %.40q, expected %q %q", kind.GetKind(), kind.GetVersion(), entryKind, entryVersion)
	case e.GetInclusionPromise() != nil || e.GetIntegratedTime() != 0:
		return errors.New("comes with a promise or a time of its own, for which nobody vouches")
	case e.GetInclusionProof().GetCheckpoint().GetEnvelope() == "" || len(e.GetCanonicalizedBody()) == 0:
		return errors.New("comes without an inclusion proof, or without its text")
	case len(e.GetCanonicalizedBody()) > maxBody || len(e.GetInclusionProof().GetHashes()) > maxHashes || len(e.GetInclusionProof().GetCheckpoint().GetEnvelope()) > maxCheckpoint:
		return errors.New("is larger than any")
	case e.GetLogIndex() < 0 || len(e.GetLogId().GetKeyId()) == 0:
		return fmt.Errorf("is number %d of the log %x", e.GetLogIndex(), e.GetLogId().GetKeyId())
	}
	return nil
}

func (r *Root) inLog(u use, e *rekor.TransparencyLogEntry) (logged, error) {
	said := e.GetInclusionProof()
	log := r.logKeys[string(e.GetLogId().GetKeyId())]
	head, err := log.openCheckpoint(said.GetCheckpoint().GetEnvelope())
	if err != nil {
		return logged{}, err
	}
	index := e.GetLogIndex()
	switch {
	case said.GetLogIndex() != index:
		return logged{}, fmt.Errorf("the entry is number %d, its proof is of number %d", index, said.GetLogIndex())
	case said.GetTreeSize() < 0 || uint64(said.GetTreeSize()) != head.size || !bytes.Equal(said.GetRootHash(), head.root):
		return logged{}, fmt.Errorf("the proof is for a tree of %d entries with the root %.32x, the checkpoint is of %d with %x", said.GetTreeSize(), said.GetRootHash(), head.size, head.root)
	}
	for _, h := range said.GetHashes() {
		if len(h) != rfc6962.DefaultHasher.Size() {
			return logged{}, fmt.Errorf("the proof has a hash of %d bytes", len(h))
		}
	}
	body, err := u.body()
	if err != nil {
		return logged{}, err
	}
	if !bytes.Equal(e.GetCanonicalizedBody(), body) {
		return logged{}, errors.New("the entry is not about this signature by this key over these bytes")
	}
	if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), head.size, rfc6962.DefaultHasher.HashLeaf(body), said.GetHashes(), head.root); err != nil {
		return logged{}, fmt.Errorf("entry %d is not in the tree of %d entries that the log signed: %.200s", index, head.size, err.Error())
	}
	return logged{log: log, index: uint64(index), size: head.size}, nil
}
