package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// measureLarge compares signing one large artifact with streaming it through SHA-256, and looks at the memory that
// eight of them need at once.
func measureLarge(ctx context.Context, b *bench) error {
	s, err := b.world(ctx, "large", sandbox.Config{})
	if err != nil {
		return err
	}
	defer s.Stop()
	if _, err := signAll(ctx, s, "app/warm", 10); err != nil {
		return err
	}
	upload := func(i int) error {
		return s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name("app/large", i), b.noise(uint64(i)), nil)
	}

	s.Artifactory.HoldEvents()
	if err := upload(0); err != nil {
		return err
	}
	plain, err := stream(ctx, s, name("app/large", 0))
	if err != nil {
		return err
	}
	start := time.Now()
	announce(s)
	if err := awaitSigned(ctx, s, name("app/large", 0)); err != nil {
		return err
	}
	one := time.Since(start)

	s.Artifactory.HoldEvents()
	for i := 1; i <= 8; i++ {
		if err := upload(i); err != nil {
			return err
		}
	}
	start = time.Now()
	announce(s)
	for i := 1; i <= 8; i++ {
		if err := awaitSigned(ctx, s, name("app/large", i)); err != nil {
			return err
		}
	}
	eight := time.Since(start)

	fmt.Printf("\n### Artifacts of %d MiB\n\n", b.size>>20)
	fmt.Println("| what | figure | goal |")
	fmt.Println("| --- | ---: | --- |")
	fmt.Printf("| streamed through SHA-256 alone | %.2f s | |\n", plain.Seconds())
	fmt.Printf("| webhook to properties set | %.2f s, %.2f × | ≤ 1.3 × |\n", one.Seconds(), one.Seconds()/plain.Seconds())
	fmt.Printf("| eight at once | %.2f s | |\n", eight.Seconds())
	fmt.Printf("| most resident memory of the service | %d MiB | ≤ 128 MiB |\n", peakRSS(s.PID())>>20)
	return nil
}

// noise is an artifact's worth of bytes that nobody can compress or share between two seeds.
func (b *bench) noise(seed uint64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), b.size)
}

// stream is the yardstick: the same bytes from the same server through the same hash, and nothing else.
func stream(ctx context.Context, s *sandbox.Sandbox, file string) (time.Duration, error) {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Artifactory.URL()+"/artifactory/"+sandbox.Staging+"/"+file, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+sandbox.Developer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, resp.Body, make([]byte, 64<<10))
	return time.Since(start), err
}
