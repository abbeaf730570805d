package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// scrape reads the service's metrics as it exposes them.
func scrape(ctx context.Context, s *sandbox.Sandbox) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.MetricsURL+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	exposed, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("reading the metrics: HTTP %d: %s", resp.StatusCode, exposed)
	}
	return string(exposed), err
}

// total sums the series that are called so: all of a metric by its name, or one by its name and labels.
func total(exposed, called string) (sum float64) {
	for line := range strings.Lines(exposed) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ := strings.Cut(series, "{"); name == called || series == called {
			v, _ := strconv.ParseFloat(value, 64)
			sum += v
		}
	}
	return sum
}

// signatures is how often the token has signed.
func signatures(ctx context.Context, s *sandbox.Sandbox) (int64, error) {
	exposed, err := scrape(ctx, s)
	return int64(total(exposed, "hallmark_hsm_sign_seconds_count")), err
}
