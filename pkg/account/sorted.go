package account

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"sort"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// entry is a signature or an intent that a log holds, in 64 bytes.
type entry struct {
	id    [32]byte
	of    [16]byte // the intent of a signature; what an intent says
	index uint64   // of the leaf that tells of it
	log   uint16
	state state
	seen  bool // in the ledger
}

type state uint8

const (
	open      state = iota // no outcome names it, or an outcome that was no success
	completed              // a sealed intent, or its signature
	unlogged               // a signature that was made without a log
	elsewhere              // one of a log that is not here
)

// digest is an entry of which only that it is there matters.
type digest [32]byte

func (e *entry) key() []byte  { return e.id[:] }
func (d *digest) key() []byte { return d[:] }

// sorted is a multiset in the order of its keys, sorted anew when it is asked after something was added. It holds little more
// memory than its members.
type sorted[T any] struct {
	buckets [256][]T
	dirty   bool
}

type keyed[T any] interface {
	*T
	key() []byte
}

func put[T any, P keyed[T]](s *sorted[T], one T) {
	at := &s.buckets[P(&one).key()[0]]
	*at, s.dirty = append(*at, one), true
}

func sortAll[T any, P keyed[T]](s *sorted[T]) {
	if !s.dirty {
		return
	}
	for _, b := range s.buckets {
		slices.SortFunc(b, func(x, y T) int { return bytes.Compare(P(&x).key(), P(&y).key()) })
	}
	s.dirty = false
}

// find returns the members whose key begins so; they can be changed but for their key.
func find[T any, P keyed[T]](s *sorted[T], prefix []byte) []T {
	sortAll[T, P](s)
	b := s.buckets[prefix[0]]
	from := sort.Search(len(b), func(i int) bool { return bytes.Compare(P(&b[i]).key(), prefix) >= 0 })
	to := from
	for to < len(b) && bytes.HasPrefix(P(&b[to]).key(), prefix) {
		to++
	}
	return b[from:to]
}

// all are the members in order.
func all[T any, P keyed[T]](s *sorted[T]) iter.Seq[P] {
	sortAll[T, P](s)
	return func(yield func(P) bool) {
		for _, b := range s.buckets {
			for i := range b {
				if !yield(&b[i]) {
					return
				}
			}
		}
	}
}

// half of the hash over some parts, each of which has an end of its own.
func half(parts ...[]byte) (h [16]byte) {
	sum := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		sum.Write(n[:])
		sum.Write(p)
	}
	copy(h[:], sum.Sum(nil))
	return h
}

// useOf names a signature by a key, and what it is over. Its first half names the signature alone.
func useOf(signature, spki, subject artifact.Digest) (id [32]byte) {
	made, over := half(signature[:], spki[:]), half(subject[:])
	copy(id[:16], made[:])
	copy(id[16:], over[:])
	return id
}

// intentOf names an intent of a log.
func intentOf(origin string, number uint64) [16]byte {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], number)
	return half([]byte(origin), n[:])
}

func wide(h [16]byte) (id [32]byte) {
	copy(id[:], h[:])
	return id
}

// fileOf names a signature file. The same bytes mean something else in another format.
func fileOf(content artifact.Digest, format string) digest {
	return sha256.Sum256(append(content[:], format...))
}
