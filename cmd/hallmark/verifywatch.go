package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// watch draws how far the checks are, until it is stopped.
func (c *verifier) watch(candidates []candidate, p *progress) (stop func()) {
	if p.w == nil {
		return func() {}
	}
	var total int64
	for _, t := range candidates {
		if info, err := os.Stat(t.file); err == nil {
			total += info.Size()
		}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				p.clear()
				return
			case <-tick.C:
				p.draw(bytesLine(c.read.Load(), total) + fmt.Sprintf(" of %d files", len(candidates)))
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(done); <-ended }) }
}

// bytesLine is a bar of bytes.
func bytesLine(done, total int64) string {
	share := 1.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	return fmt.Sprintf("%s %s of %s", bar(share), size(done), size(total))
}

// size is a number of bytes as people read it.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}
