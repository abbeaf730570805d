package sandbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// reserve finds a loopback address that nobody listens on and that no other sandbox of this user will take until Stop,
// also while the service is down. It lies below the ports that systems give to outgoing connections.
func (s *Sandbox) reserve() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("hallmark-sandbox-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var err error
	for range 100 {
		port := 15_000 + rand.N(15_000)
		var lock *os.File
		if lock, err = os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			continue
		}
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = lock.Close()
			continue
		}
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			_ = lock.Close()
			continue
		}
		s.reserved = append(s.reserved, lock)
		return l.Addr().String(), l.Close()
	}
	return "", fmt.Errorf("finding a free port: %w", err)
}
