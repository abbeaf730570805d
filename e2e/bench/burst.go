package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/webhook"
)

const connections = 200

// measureBurst sends a burst of webhooks over many connections to the receiver with its real queue, and counts what was
// stored. The second round adds a millisecond to every flush, as a slower disk would.
func measureBurst(ctx context.Context, b *bench) error {
	fmt.Printf("\n### A burst of %d webhooks from %d connections\n\n", b.events, connections)
	fmt.Println("| database | stored/s | p50 | p99 | stored | goal |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | --- |")
	for _, round := range []struct {
		name  string
		delay time.Duration
	}{{"SQLite", 0}, {"SQLite, 1 ms more per flush", time.Millisecond}} {
		times, took, stored, err := burst(ctx, filepath.Join(b.dir, "burst-"+round.delay.String()+".db"), b.events, round.delay)
		if err != nil {
			return err
		}
		slices.Sort(times)
		fmt.Printf("| %s | %.0f | %.0f ms | %.0f ms | %d | ≥ 2,000/s, p99 ≤ 250 ms, all |\n", round.name,
			float64(len(times))/took.Seconds(), times[len(times)/2].Seconds()*1e3, times[len(times)*99/100].Seconds()*1e3, stored)
	}
	return nil
}

func burst(ctx context.Context, db string, n int, delay time.Duration) (times []time.Duration, took time.Duration, stored int64, err error) {
	log := slog.New(slog.DiscardHandler)
	reg := prometheus.NewRegistry()
	l, err := ledger.Open(ctx, ledger.Config{URL: "sqlite://" + db, CommitHook: func(p ledger.CommitPhase) error {
		if p == ledger.BeforeCommit {
			time.Sleep(delay)
		}
		return nil
	}}, ledger.Options{Log: log, Registerer: reg})
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { _ = l.Close() }()
	queue, err := job.New(l, job.Config{}, job.Options{Log: log, Registerer: reg}, func(context.Context, job.Work) error { return nil })
	if err != nil {
		return nil, 0, 0, err
	}
	secret := []byte("a secret for the burst")
	receiver, err := webhook.New(
		webhook.Config{Instances: map[string]webhook.Instance{"main": {Secrets: [][]byte{secret}}}},
		webhook.Deps{Accept: queue.Accept, Covers: func(_, _, _, _ string) bool { return true }, Log: log, Registerer: reg})
	if err != nil {
		return nil, 0, 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, 0, err
	}
	server := api.NewServer(receiver, log)
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()

	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	next := make(chan int)
	results := make([]time.Duration, n)
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	start := time.Now()
	for range connections {
		wg.Go(func() {
			for i := range next {
				began := time.Now()
				if err := deliver(ctx, client, "http://"+listener.Addr().String()+"/webhook/main", secret, i); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
				results[i] = time.Since(began)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	took = time.Since(start)
	select {
	case err := <-errs:
		return nil, 0, 0, err
	default:
	}
	err = l.Reader().QueryRowContext(ctx, `SELECT count(*) FROM river_job`).Scan(&stored)
	if err == nil && stored != int64(n) {
		err = fmt.Errorf("%d of %d events are stored", stored, n)
	}
	return results, took, stored, err
}

func deliver(ctx context.Context, client *http.Client, url string, secret []byte, i int) error {
	body := fmt.Appendf(nil, `{"domain":"artifact","event_type":"deployed","data":{"repo_key":"libs-staging-local","path":"app/%d/app-%d.tgz","name":"app-%d.tgz","sha256":"%064x","size":10240},"subscription_key":"hallmark-artifacts","jpd_origin":"https://acme.example","source":"jfrog/jfrt@01"}`, i, i, i, i)
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-JFrog-Event-Auth", hex.EncodeToString(mac.Sum(nil)))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("event %d: HTTP %d", i, resp.StatusCode)
	}
	return nil
}
