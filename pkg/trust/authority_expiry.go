package trust

import (
	"crypto/x509"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ExpiryWarning is how long before its end an authority's certificate should be renewed.
const ExpiryWarning = 30 * 24 * time.Hour

// Expiry tells how long certificates still live, as the metric hallmark_certificate_expiry_seconds. It is safe for
// concurrent use.
type Expiry struct {
	now  func() time.Time
	desc *prometheus.Desc
	mu   sync.Mutex
	ends map[string]time.Time
}

// NewExpiry registers the metric; reg may be nil. now nil is time.Now.
func NewExpiry(reg prometheus.Registerer, now func() time.Time) (*Expiry, error) {
	if now == nil {
		now = time.Now
	}
	gauge := prometheus.GaugeOpts{
		Name: "hallmark_certificate_expiry_seconds", Help: "Seconds until the certificate ends, by what it is for; negative once it has ended.",
	}
	e := &Expiry{now: now, ends: map[string]time.Time{}, desc: prometheus.NewDesc(gauge.Name, gauge.Help, []string{"certificate"}, nil)}
	if reg == nil {
		return e, nil
	}
	return e, reg.Register(e)
}

// Watch notes a certificate under a name of a closed set: what it is for, such as root, or the key that it is of. A later
// one under the same name takes its place.
func (e *Expiry) Watch(name string, c *x509.Certificate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ends[name] = c.NotAfter
}

// Describe is prometheus.Collector's.
func (e *Expiry) Describe(ch chan<- *prometheus.Desc) { ch <- e.desc }

// Collect is prometheus.Collector's.
func (e *Expiry) Collect(ch chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(e.ends)) {
		ch <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, e.ends[name].Sub(e.now()).Seconds(), name)
	}
}
