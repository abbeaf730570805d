package audit

import "github.com/hallmark-signing/hallmark/pkg/artifact"

// bits is a set of indexes, one bit each.
type bits []uint64

func (b *bits) set(i uint64) {
	for uint64(len(*b)) <= i/64 {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bits) has(i uint64) bool { return i/64 < uint64(len(b)) && b[i/64]&(1<<(i%64)) != 0 }

// recent is a set that forgets what was added first once it is full.
type recent struct {
	in    map[artifact.Digest]bool
	order []artifact.Digest
	next  int
}

func newRecent(most int) *recent {
	return &recent{in: map[artifact.Digest]bool{}, order: make([]artifact.Digest, 0, most)}
}

func (r *recent) has(d artifact.Digest) bool { return r.in[d] }

func (r *recent) add(d artifact.Digest) {
	if r.in[d] {
		return
	}
	r.in[d] = true
	if len(r.order) < cap(r.order) {
		r.order = append(r.order, d)
		return
	}
	delete(r.in, r.order[r.next])
	r.order[r.next] = d
	r.next = (r.next + 1) % len(r.order)
}
