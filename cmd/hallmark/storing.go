package main

import (
	"context"
	"hash"
	"io"
	"os"
	"sync/atomic"
)

// storing takes the bytes of a download where others take their hash. Beginning anew empties the file.
type storing struct {
	file   *os.File
	failed context.CancelCauseFunc // ends the download
	err    error
	n      atomic.Int64
}

var _ hash.Hash = (*storing)(nil)

// Write implements io.Writer. The first failure is kept, and nothing is written after it.
func (s *storing) Write(p []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.file.Write(p)
		s.fail()
	}
	s.n.Add(int64(len(p)))
	return len(p), s.err
}

// Reset implements hash.Hash: the file is empty again.
func (s *storing) Reset() {
	if s.err == nil {
		if _, s.err = s.file.Seek(0, io.SeekStart); s.err == nil {
			s.err = s.file.Truncate(0)
		}
		s.fail()
	}
	s.n.Store(0)
}

func (s *storing) fail() {
	if s.err != nil {
		s.failed(s.err)
	}
}

// Sum implements hash.Hash; nobody asks for it.
func (s *storing) Sum(b []byte) []byte { return b }

// Size implements hash.Hash.
func (s *storing) Size() int { return 0 }

// BlockSize implements hash.Hash.
func (s *storing) BlockSize() int { return 1 }
