package artifactory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// WebhookTiming is how deliveries are tried. Zero values are JFrog's defaults; tests scale the pause down.
type WebhookTiming struct {
	Tries   int           // in all, default 5
	Pause   time.Duration // between tries, fixed, default 10 s
	Timeout time.Duration // of one exchange, default 30 s
	Workers int           // exchanges at once, default 100
}

func (t WebhookTiming) validate() error {
	if t.Tries < 0 || t.Pause < 0 || t.Timeout < 0 || t.Workers < 0 {
		return errors.New("stand-in: webhook timing has a negative value")
	}
	return nil
}

// sender delivers with JFrog's rules: a transport failure or a status of 500 and above is tried again after a fixed
// pause, anything else is final. Deliveries run concurrently, so their order is not promised.
type sender struct {
	timing WebhookTiming
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	queue   []*delivery
	workers int
	pending int
	idle    []chan struct{}
	record  []*delivery
	made    int64
	running sync.WaitGroup
}

func newSender(t WebhookTiming, guarded func() bool) *sender {
	if t.Tries == 0 {
		t.Tries = 5
	}
	if t.Pause == 0 {
		t.Pause = 10 * time.Second
	}
	if t.Timeout == 0 {
		t.Timeout = 30 * time.Second
	}
	if t.Workers == 0 {
		t.Workers = 100
	}
	s := &sender{timing: t}
	s.client = &http.Client{
		Timeout:       t.Timeout,
		Transport:     &http.Transport{MaxIdleConns: t.Workers, MaxIdleConnsPerHost: t.Workers, DisableCompression: true, DialContext: dialer(guarded)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// send takes a new delivery, to be tried after the wait, and returns at once.
func (s *sender) send(wait time.Duration, d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending++
	s.note(d)
	if wait <= 0 {
		s.enqueue(d)
		return
	}
	time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.enqueue(d)
	})
}

// sendInOrder takes new deliveries of which each waits for the one before.
func (s *sender) sendInOrder(ds []*delivery) {
	if len(ds) == 0 {
		return
	}
	ds[0].then = ds[1:]
	s.send(0, ds[0])
}

// enqueue starts workers as needed; after close it does nothing. Callers hold s.mu.
func (s *sender) enqueue(ds ...*delivery) {
	if s.closed {
		return
	}
	s.queue = append(s.queue, ds...)
	for range min(len(ds), s.timing.Workers-s.workers) {
		s.workers++
		s.running.Add(1)
		go s.work()
	}
}

// work delivers until the queue is empty.
func (s *sender) work() {
	defer s.running.Done()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.ctx.Err() != nil {
			s.workers--
			s.mu.Unlock()
			return
		}
		d := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		status, err := s.post(s.ctx, d)
		s.settle(d, status, err)
	}
}

// settle records a try and decides about the next.
func (s *sender) settle(d *delivery, status int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Tries++
	d.Status, d.Error = status, ""
	if err != nil {
		d.Error = err.Error()
	}
	if (err != nil || status >= http.StatusInternalServerError) && d.Tries < s.timing.Tries && s.ctx.Err() == nil {
		time.AfterFunc(s.timing.Pause, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.enqueue(d)
		})
		return
	}
	d.Done = true
	if len(d.then) > 0 {
		next := d.then[0]
		next.then, d.then = d.then[1:], nil
		s.pending++
		s.note(next)
		s.enqueue(next)
	}
	if s.pending--; s.pending == 0 {
		for _, c := range s.idle {
			close(c)
		}
		s.idle = nil
	}
}

// post is one exchange; the answer's body counts towards the timeout.
func (s *sender) post(ctx context.Context, d *delivery) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target.URL, bytes.NewReader(d.body))
	if err != nil {
		return 0, fmt.Errorf("making a delivery: %w", err)
	}
	for _, h := range d.target.CustomHTTPHeaders {
		req.Header.Set(h.Name, h.Value)
	}
	req.Header.Set("Content-Type", "application/json")
	if auth := d.target.authorise(d.body); auth != "" {
		req.Header.Set("X-Jfrog-Event-Auth", auth)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

func (s *sender) wait(ctx context.Context) error {
	s.mu.Lock()
	if s.pending == 0 {
		s.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	s.idle = append(s.idle, done)
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for deliveries: %w", ctx.Err())
	}
}

func (s *sender) close() {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	s.client.CloseIdleConnections()
}
