package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// signTimeout bounds what a checkpoint waits for, the memory and the key together.
const signTimeout = 30 * time.Second

// checkpoint is a checkpoint with our signature.
type checkpoint struct {
	size      uint64
	root      []byte
	text      string // the note: origin, size, root and signatures; "" when only size and root are known
	signature []byte // ours alone, as the key made it; nil when it was made by another process
}

// guard is the one way to a signature over a checkpoint. It signs nothing but trees that are proven to continue the last one
// that was checkpoint, in this process or before, and remembers each before it is used: whatever becomes of the directory,
// the log has one history. Safe for concurrent use.
type guard struct {
	origin  string
	keyID   uint32
	logID   []byte
	key     Signer
	memory  Memory
	proves  note.Verifier
	tree    func(size uint64) *nodes
	metrics *metrics
	at      func(point string) // where tests end the process

	mu      sync.Mutex
	last    checkpoint
	covered atomic.Uint64 // last.size, for those who cannot wait for a signature
}

func newGuard(origin string, key Signer, memory Memory, m *metrics) (*guard, error) {
	keyID, logID, err := rekornote.KeyHash(origin, key.Public())
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	details, err := signature.GetDefaultAlgorithmDetails(key.Public())
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	if want := details.GetHashType(); want == 0 || key.Hash() != want {
		return nil, fmt.Errorf("the log's key signs %s, verifiers expect %s of %s", key.Hash(), want, details.GetSignatureAlgorithm())
	}
	v, err := signature.LoadVerifier(key.Public(), key.Hash())
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	proves, err := rekornote.NewNoteVerifier(origin, v)
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	return &guard{origin: origin, keyID: keyID, logID: logID, key: key, memory: memory, proves: proves, metrics: m, at: func(string) {}}, nil
}

// sign returns the signed checkpoint of the tree of a size. ErrForked means that this tree and one that was signed before do not
// belong to one history; then nothing was signed.
func (g *guard) sign(ctx context.Context, size uint64, root []byte) (checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last.signature != nil && g.last.size == size && bytes.Equal(g.last.root, root) {
		return g.last, nil
	}
	if err := g.continues(ctx, size, root); err != nil {
		if errors.Is(err, ErrForked) || errors.Is(err, ErrRolledBack) {
			g.metrics.refused.Inc()
		}
		return checkpoint{}, err
	}
	if size > 0 && size >= g.last.size {
		if err := g.memory.RememberCheckpoint(ctx, g.origin, size, root); err != nil {
			return checkpoint{}, fmt.Errorf("remembering the checkpoint of %d leaves: %w", size, err)
		}
		// From here on nothing else may be signed for this size, whether or not the key answers.
		g.know(checkpoint{size: size, root: root})
		g.at("remembered")
	}
	s, err := g.make(ctx, size, root)
	if err != nil {
		return checkpoint{}, fmt.Errorf("signing the checkpoint of %d leaves: %w", size, err)
	}
	if size >= g.last.size {
		g.know(s)
	}
	g.metrics.signatures.Inc()
	g.metrics.signedSize.Set(float64(g.last.size))
	g.at("signed")
	return s, nil
}

// continues proves that the tree and the last one that was signed are of one history. The smaller of the two may be either:
// what is published was read a moment before.
func (g *guard) continues(ctx context.Context, size uint64, root []byte) error {
	last := g.last
	switch {
	case last.size == 0:
		return nil
	case size == 0:
		return fmt.Errorf("%w: it is empty, and %d leaves were signed", ErrRolledBack, last.size)
	case size == last.size && bytes.Equal(root, last.root):
		return nil
	case size == last.size:
		return fmt.Errorf("%w: its %d leaves have the root %x, and for %d leaves the root %x was signed", ErrForked, size, root, size, last.root)
	case size < last.size:
		return g.tree(last.size).extends(ctx, size, root, last.root)
	}
	return g.tree(size).extends(ctx, last.size, last.root, root)
}

func (g *guard) make(ctx context.Context, size uint64, root []byte) (checkpoint, error) {
	body := formats.Checkpoint{Origin: g.origin, Size: size, Hash: root}.Marshal()
	h := g.key.Hash().New()
	_, _ = h.Write(body) // a hash never fails
	sig, err := g.key.Sign(ctx, h.Sum(nil))
	if err != nil {
		return checkpoint{}, err
	}
	text, err := note.Sign(&note.Note{Text: string(body)}, made{g, sig})
	if err != nil {
		return checkpoint{}, err
	}
	s := checkpoint{size: size, root: root, text: string(text), signature: sig}
	return s, g.verify(s)
}

// verify holds a checkpoint against the public key, before anybody else does.
func (g *guard) verify(s checkpoint) error {
	c, _, _, err := formats.ParseCheckpoint([]byte(s.text), g.origin, g.proves)
	if err != nil {
		return fmt.Errorf("the signature does not verify: %w", err)
	}
	if c.Size != s.size || !bytes.Equal(c.Hash, s.root) {
		return errors.New("the checkpoint is not the one that was asked for")
	}
	return nil
}

// know sets the newest checkpoint, signed or remembered.
func (g *guard) know(s checkpoint) {
	g.last = s
	g.covered.Store(s.size)
}

// made hands a signature that exists to note.Sign.
type made struct {
	*guard
	sig []byte
}

func (m made) Name() string                  { return m.origin }
func (m made) KeyHash() uint32               { return m.keyID }
func (m made) Sign(_ []byte) ([]byte, error) { return m.sig, nil }

// asNoteSigner is the guard as Tessera asks for signatures over what it is about to publish.
type asNoteSigner struct {
	*guard
	ctx context.Context // of the log's whole life: note.Signer has none
}

func (s asNoteSigner) Name() string    { return s.origin }
func (s asNoteSigner) KeyHash() uint32 { return s.keyID }

func (s asNoteSigner) Sign(msg []byte) ([]byte, error) {
	var c formats.Checkpoint
	rest, err := c.Unmarshal(msg)
	if err != nil {
		return nil, err
	}
	if c.Origin != s.origin || len(rest) > 0 {
		return nil, fmt.Errorf("not a checkpoint of %s", s.origin)
	}
	done, err := s.guard.sign(s.ctx, c.Size, c.Hash)
	return done.signature, err
}

func (s checkpoint) String() string {
	return fmt.Sprintf("%d leaves, root %s", s.size, hex.EncodeToString(s.root))
}
