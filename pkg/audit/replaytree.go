package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

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
	accounted := p.report.All
	p.report.All = nil
	p.judgeTree()
	p.judgeKept()
	p.report.All = append(p.report.All, accounted...) // causes come first
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
