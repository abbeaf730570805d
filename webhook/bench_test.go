package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// BenchmarkReceive is what the receiver itself costs: proof, decoding, answer, counting and the log line, with an
// Accept that is free.
func BenchmarkReceive(b *testing.B) {
	r := newRig(b, func(_ *Config, d *Deps) {
		d.Accept = func(context.Context, ledger.Event) error { return nil }
		d.Log = slog.New(slog.NewJSONHandler(discard{}, nil))
	})
	body := []byte(deployed)
	mac := sign(newSecret, body)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if w := r.sendWith(body, "main", mac); w.Code != http.StatusAccepted {
				b.Error(w.Code)
				return
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
