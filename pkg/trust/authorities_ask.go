package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

const (
	typeQuery = "application/timestamp-query"
	typeReply = "application/timestamp-reply"
)

// newClient follows no redirection: who stamps is what configuration says.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    5 * time.Second,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 32 << 10,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch sends one request for a token and reads no more of the answer than a token may have.
func (a *Authorities) fetch(ctx context.Context, d *distant, signature []byte, nonce *big.Int) ([]byte, error) {
	imprint := sha256.Sum256(signature)
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true, Nonce: nonce, TSAPolicyOID: d.policy}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.options.Timeout, fmt.Errorf("no answer within %s", a.options.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(query))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", typeQuery)
	req.Header.Set("Accept", typeReply)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", errors.Join(err, context.Cause(ctx)))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	token, err := io.ReadAll(io.LimitReader(resp.Body, maxToken+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", errors.Join(err, context.Cause(ctx)))
	}
	return token, nil
}
