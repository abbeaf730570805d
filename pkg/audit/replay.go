package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/hallmark-signing/hallmark/pkg/reason"
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

// grow adds a piece to both trees: that of the entries, and that of the hashes that are stored of them.
func (p *player) grow(piece *piece) error {
	if piece.noTile != nil {
		p.hashes = nil
		p.tile(0, piece.Index, piece.noTile.Error())
	} else if found, ok := difference(piece.first, piece.hashes, piece.tile); ok {
		p.locate(found)
		p.tile(0, piece.Index, "hashes of other entries")
	}
	if !piece.complete() {
		p.entries = nil
	}
	trusted := piece.hashes
	if p.entries == nil && piece.tile != nil {
		trusted = piece.tile
	}
	for _, t := range []struct {
		*trunk
		hashes [][]byte
	}{{p.entries, piece.hashes}, {p.hashes, piece.tile}} {
		if t.trunk == nil {
			continue
		}
		for _, h := range t.hashes {
			if err := t.append(h); err != nil {
				return err
			}
		}
	}
	for _, h := range trusted {
		if err := p.above.append(0, h); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) locate(f Finding) {
	if len(p.located) < MaxFindings {
		p.located = append(p.located, f)
	}
}

func (p *player) tile(level, index uint64, found string) {
	if len(p.tiles) < MaxFindings {
		p.tiles = append(p.tiles, whole(reason.Reason{
			Code: reason.LogTileDamaged, Message: fmt.Sprintf("the tile %s of the tree is not what the entries come to", layout.TilePath(level, index, 0)),
			Found: found, Expected: "hashes of the entries, which are as they were logged", Fix: "restore the tile; no entry is wrong, but proofs of them fail", Who: "operators",
		}))
	}
}

// compareTile holds a stored tile above the lowest level against the one that was made anew.
func (p *player) compareTile(ctx context.Context, level, index uint64, partial uint8, want []byte) error {
	if level == 0 {
		return nil
	}
	stored, err := p.reader.tile(ctx, level, index, partial)
	switch {
	case errors.Is(err, ErrAbsent), errors.Is(err, ErrDamaged):
		p.tile(level, index, err.Error())
	case err != nil:
		return fmt.Errorf("reading the log: %w", err)
	case len(stored) < len(want) || string(stored[:len(want)]) != string(want):
		p.tile(level, index, "other hashes")
	}
	return nil
}

// ends notes that the log breaks off.
func (p *player) ends(at *piece) {
	p.ended = true
	p.report.Add(about(at.first, reason.Reason{
		Code: reason.LogIncomplete, Message: fmt.Sprintf("the log breaks off after %d of its %d entries", at.first, p.Head.Size),
		Found: at.missing.Error(), Expected: "every entry that the signed checkpoint counts", Fix: restore, Who: security,
	}))
}

func (p *player) finish(ctx context.Context) error {
	if !p.ended && p.above != nil {
		if err := p.above.finish(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.judgeTree()
	p.judgeKept()
	p.account.finish(p.AsOf, p.Grace, p.ended)
	return nil
}

// judgeTree says whether the entries are those that the checkpoint was signed over and, where they are not, what the
// signed tree tells about it.
func (p *player) judgeTree() {
	if p.ended {
		return
	}
	size, root := p.Head.Size, p.Head.Root
	switch {
	case p.entries.is(size, root):
		for _, f := range p.tiles {
			p.report.Add(f)
		}
	case p.hashes.is(size, root):
		for _, f := range p.located {
			p.report.Add(f)
		}
	default:
		p.report.Add(whole(reason.Reason{
			Code: reason.LogRewritten, Message: "the entries are not those that the checkpoint was signed over", Found: p.entries.text(size),
			Expected: p.Head.String(), Fix: restore, Who: security,
		}))
	}
}

// judgeKept holds the log against what it said before. Of a log whose own checkpoint does not hold nothing more can be said.
func (p *player) judgeKept() {
	for _, k := range p.Kept {
		expected := Head{Size: k.Size, Root: k.Root}.String() + " (" + k.Where + ")"
		r := reason.Reason{Code: reason.LogForked, Message: "the log has two histories: both checkpoints are signed, and no log can have both", Expected: expected, Fix: forked, Who: security}
		switch {
		case k.Size > p.Head.Size:
			r.Code, r.Message = reason.LogRolledBack, "the log has fewer entries than it had: an older copy was put in its place, or its end was cut off"
			r.Found = p.Head.String()
			r.Fix = "put back the newest copy of the log; what was signed since must be found in bundles, which carry their entries"
		case k.Size == p.Head.Size && string(k.Root) != string(p.Head.Root):
			r.Found = p.Head.String()
		case p.entries.is(p.Head.Size, p.Head.Root) && !p.entries.is(k.Size, k.Root):
			r.Found = p.entries.text(k.Size)
		case p.hashes.is(p.Head.Size, p.Head.Root) && !p.hashes.is(k.Size, k.Root):
			r.Found = p.hashes.text(k.Size)
		default:
			continue
		}
		p.report.Add(whole(r))
	}
}

const forked = "keep both checkpoints: together they prove that the log's key signed two histories; treat that key as compromised"
