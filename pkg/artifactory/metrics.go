package artifactory

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// callName is the closed set of calls this package makes; it is a metric label.
type callName int

const (
	callInfo callName = iota
	callPull
	callRead
	callStore
	callProperties
	callMerge
	callPing
	callVersion
	callRepository
	callProbe
	callSubscription
	callFolder
	callCopy
	callRemove
	callFind
	callList
	callBuild
	callPromote
	callBundle
	callEvidence
	callReferrers
	callManifest
	callBlob
	callUpload
	callUser
	numCalls
)

func (c callName) String() string {
	return [numCalls]string{"info", "pull", "read", "store", "properties", "merge", "ping", "version", "repository", "probe", "subscription", "folder", "copy", "remove", "find", "list", "build", "promote", "bundle", "evidence", "referrers", "manifest", "blob", "upload", "user"}[c]
}

// classes are the values of status_class; "error" is a request without an answer, or with half of one.
var classes = [...]string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"}

// metrics holds the series of one instance, looked up once.
type metrics struct {
	requests [numCalls][len(classes)]prometheus.Counter
	seconds  [numCalls]prometheus.Observer
}

// newMetrics registers the vectors, or joins those that another instance's client has registered.
func newMetrics(reg prometheus.Registerer, instance string) (*metrics, error) {
	requests, err := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_artifactory_requests_total",
		Help: "HTTP requests to Artifactory, repetitions included, by call and class of the answer's status.",
	}, []string{"instance", "call", "status_class"}))
	if err != nil {
		return nil, err
	}
	seconds, err := register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "hallmark_artifactory_request_seconds",
		Help:    "Time from sending a request to Artifactory to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120, 600},
	}, []string{"call"}))
	if err != nil {
		return nil, err
	}
	m := &metrics{}
	for c := range numCalls {
		m.seconds[c] = seconds.WithLabelValues(c.String())
		for i, class := range classes {
			m.requests[c][i] = requests.WithLabelValues(instance, c.String(), class)
		}
	}
	return m, nil
}

func register[T prometheus.Collector](reg prometheus.Registerer, c T) (T, error) {
	err := reg.Register(c)
	if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := are.ExistingCollector.(T); ok {
			return old, nil
		}
	}
	return c, err
}

// observe counts one finished exchange; status 0 means that there was no whole answer.
func (m *metrics) observe(c callName, status int, took time.Duration) {
	m.requests[c][min(status/100, len(classes)-1)].Inc()
	m.seconds[c].Observe(took.Seconds())
}
