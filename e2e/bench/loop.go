package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/ThalesGroup/crypto11"
	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

const loopers = 64

// bareLoop does the same HTTP calls and one crypto11 signature with its verification per file: no decision, no ledger,
// no queue, nothing durable.
func bareLoop(ctx context.Context, s *sandbox.Sandbox, n int) (time.Duration, error) {
	if err := os.Setenv("SOFTHSM2_CONF", s.Path("softhsm2.conf")); err != nil {
		return 0, err
	}
	module, err := sandbox.Module()
	if err != nil {
		return 0, err
	}
	token, err := crypto11.Configure(&crypto11.Config{
		Path: module, TokenLabel: "hallmark", Pin: s.Secret("pin"), MaxSessions: 16, PoolWaitTimeout: 10 * time.Second,
	})
	if err != nil {
		return 0, fmt.Errorf("opening the token: %w", err)
	}
	defer func() { _ = token.Close() }()
	key, err := token.FindKeyPair(nil, []byte(sandbox.Key))
	if err != nil || key == nil {
		return 0, fmt.Errorf("finding the key: %w", err)
	}
	for i := range n {
		content := make([]byte, fileSize)
		_, _ = rand.Read(content) // never fails: crypto/rand ends the process rather than return an error
		if err := s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name("loop", i), bytes.NewReader(content), nil); err != nil {
			return 0, err
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: loopers}
	defer transport.CloseIdleConnections()
	c := looper{s: s, http: &http.Client{Transport: transport}, key: key}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loopers)
	for i := range n {
		group.Go(func() error { return c.sign(ctx, name("loop", i)) })
	}
	err = group.Wait()
	return time.Since(start), err
}

type looper struct {
	s    *sandbox.Sandbox
	http *http.Client
	key  crypto.Signer
}

func (l looper) sign(ctx context.Context, file string) error {
	base := l.s.Artifactory.URL() + "/artifactory/"
	item := sandbox.Staging + "/" + file
	if _, err := l.call(ctx, http.MethodGet, base+"api/storage/"+item, nil, nil); err != nil {
		return err
	}
	content, err := l.call(ctx, http.MethodGet, base+item, nil, nil)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(content)
	sig, err := l.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(l.key.Public().(*ecdsa.PublicKey), digest[:], sig) {
		return errors.New("the signature does not verify")
	}
	bundle := bytes.Repeat([]byte("x"), 300)
	for suffix, body := range map[string][]byte{".sigstore.json": append(bundle, sig...), ".sig": sig} {
		sum := sha256.Sum256(body)
		if _, err := l.call(ctx, http.MethodPut, base+item+suffix, body, map[string]string{"X-Checksum-Sha256": hex.EncodeToString(sum[:])}); err != nil {
			return err
		}
	}
	if _, err := l.call(ctx, http.MethodGet, base+"api/storage/"+item, nil, nil); err != nil {
		return err
	}
	props := fmt.Appendf(nil, `{"props":{"loop.state":"signed","loop.sha256":%q}}`, hex.EncodeToString(digest[:]))
	_, err = l.call(ctx, http.MethodPatch, base+"api/metadata/"+item+"?recursiveProperties=0&atomicProperties=1", props, map[string]string{"Content-Type": "application/json"})
	return err
}

func (l looper) call(ctx context.Context, method, url string, body []byte, headers map[string]string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.s.Secret("artifactory"))
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: HTTP %d: %s", method, url, resp.StatusCode, answer)
	}
	return answer, err
}
