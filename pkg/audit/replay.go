package audit

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

// Grace is how long an intent may be open before it is an alarm, unless a Replay says otherwise. Work that was cut off is
// accounted for at the next start.
const Grace = 15 * time.Minute

// Kept is a checkpoint that was kept elsewhere than in the log's directory.
type Kept struct {
	Where string // for people: a file, the ledger
	Size  uint64
	Root  []byte
}

// Replay says how a log is replayed. Head is required.
type Replay struct {
	Head Head   // what the log says of itself
	Kept []Kept // what it said before: it must have grown from there

	Grace time.Duration // 0: Grace
	AsOf  time.Time     // the moment that open intents are judged at; zero: now. Not before the newest entry

	Progress func(done uint64)            // may be nil
	Leaf     func(i uint64, l Leaf) error // called with every leaf, in order; may be nil
	Closed   func(Closed) error           // called with every sealed intent, in the order in which they ended; may be nil
}

// Report is what a replay came to.
type Report struct {
	Origin     string            `json:"origin"`
	Size       uint64            `json:"size"`
	Root       []byte            `json:"root"`
	Checkpoint string            `json:"checkpoint"` // that was replayed, to be kept
	Leaves     map[string]uint64 `json:"leaves"`     // by kind
	Sealed     uint64            `json:"sealed"`     // intents
	Abandoned  uint64            `json:"abandoned"`
	Open       uint64            `json:"open"` // and younger than the grace
	First      time.Time         `json:"first,omitzero"`
	Last       time.Time         `json:"last,omitzero"` // the newest time that any entry gives
	Replicas   []string          `json:"replicas"`
	Findings
}

// Replay reads all of a log, recomputes its tree, holds it against the head and the kept checkpoints, and accounts for
// every use of a key. A log that is not as it should be is no error but has findings; an error means that it could not be
// read to its end now, or that one of the calls wished so. Memory does not grow with the log but for two bits an entry.
func (r *Reader) Replay(ctx context.Context, how Replay) (*Report, error) {
	if how.Grace == 0 {
		how.Grace = Grace
	}
	if how.AsOf.IsZero() {
		how.AsOf = time.Now()
	}
	p := newPlayer(r, how)
	for piece := range r.pieces(ctx, how.Head.Size, true) {
		if piece.err != nil {
			return nil, fmt.Errorf("reading the log: %w", piece.err)
		}
		if piece.missing != nil && piece.tile == nil { // nothing tells what was there
			p.ends(piece)
			break
		}
		if err := p.play(ctx, piece); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.finish(ctx); err != nil {
		return nil, err
	}
	return p.report, nil
}

// pieces reads the log's pieces, some at a time, and yields them in order. After one with an error there are no more.
func (r *Reader) pieces(ctx context.Context, size uint64, leaves bool) iter.Seq[*piece] {
	return r.piecesFrom(ctx, 0, size, leaves)
}

func (r *Reader) piecesFrom(ctx context.Context, from, size uint64, leaves bool) iter.Seq[*piece] {
	return func(yield func(*piece) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ahead := make(chan chan *piece, runtime.GOMAXPROCS(0)+2)
		go func() {
			defer close(ahead)
			first := from / layout.EntryBundleWidth * layout.EntryBundleWidth
			for info := range layout.Range(first, size-first, size) {
				one := make(chan *piece, 1)
				select {
				case ahead <- one:
				case <-ctx.Done():
					return
				}
				go func() { one <- r.read(ctx, info, leaves) }()
			}
		}()
		for one := range ahead {
			p := <-one
			if !yield(p) || p.err != nil {
				return
			}
		}
	}
}

// player is a replay under way.
type player struct {
	Replay
	reader  *Reader
	report  *Report
	entries *trunk // of the entries
	hashes  *trunk // of the hashes that the tree's tiles hold
	above   *tiles // made anew
	located []Finding
	tiles   []Finding
	ended   bool // before the log's end
	account *account
}

func newPlayer(r *Reader, how Replay) *player {
	sizes := []uint64{how.Head.Size}
	for _, k := range how.Kept {
		sizes = append(sizes, k.Size)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	report := &Report{
		Origin: how.Head.Origin, Size: how.Head.Size, Root: how.Head.Root, Checkpoint: string(how.Head.Text),
		Leaves: map[string]uint64{},
	}
	return &player{
		Replay: how, reader: r, report: report, entries: newTrunk(sizes), hashes: newTrunk(sizes),
		account: newAccount(report, how.Closed),
	}
}

func (p *player) play(ctx context.Context, piece *piece) error {
	if p.above == nil {
		p.above = &tiles{done: func(level, index uint64, partial uint8, tile []byte) error {
			return p.compareTile(ctx, level, index, partial, tile)
		}}
	}
	if err := p.grow(piece); err != nil {
		return err
	}
	for i, e := range piece.entries {
		index := piece.first + uint64(i)
		if err := p.account.take(index, e); err != nil {
			return err
		}
		if p.Leaf != nil && e.leaf != nil {
			if err := p.Leaf(index, e.leaf); err != nil {
				return err
			}
		}
	}
	if p.Progress != nil {
		p.Progress(piece.first + uint64(piece.N))
	}
	return nil
}
