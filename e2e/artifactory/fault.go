package artifactory

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// When says on which side of the request's effect a fault strikes.
type When int

// Before: nothing has happened. After: the server has done its work, only the client does not learn of it.
const (
	Before When = iota
	After
)

// Fault is a failure on purpose, or a hook. Exactly what is set happens, in this order: Delay, Do, then one of Reset,
// Status, or the true answer, shaped by Truncate and Drip.
type Fault struct {
	Method string                   // "" matches any
	Path   string                   // Ant pattern on the decoded path, e.g. "/artifactory/libs/**"; "" matches any
	Match  func(*http.Request) bool // in addition, if set
	Times  int                      // how often it strikes; 0 means once, negative means always

	When       When
	Delay      time.Duration       // wait first
	Do         func(*http.Request) // e.g. replace an artifact between two calls of a client
	Reset      bool                // cut the connection without an answer
	Status     int                 // answer this
	RetryAfter time.Duration       // with Status: Retry-After in whole seconds, at least 1
	Body       string              // with Status: instead of Artifactory's error shape
	Header     http.Header         // added to the answer, e.g. Location
	Truncate   int64               // cut the connection after so many bytes of the true body
	Drip       time.Duration       // pause before every write of the true body
}

type faults struct {
	any  atomic.Bool
	mu   sync.Mutex
	list []*armed
}

type armed struct {
	Fault
	left int
}

// Fail arms a fault; of several that match, the oldest strikes. The returned function disarms it and tells how often
// it has struck.
func (s *Server) Fail(f Fault) (disarm func() int) {
	times := f.Times
	if times == 0 {
		times = 1
	}
	a := &armed{Fault: f, left: times}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, a)
	s.faults.any.Store(true)
	return func() int {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		struck := times - a.left
		a.left = 0
		return struck
	}
}

// take finds the fault for a request and counts it.
func (f *faults) take(r *http.Request) *Fault {
	if !f.any.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.left != 0 && a.matches(r) {
			a.left--
			return &a.Fault
		}
	}
	return nil
}

func (f *Fault) matches(r *http.Request) bool {
	return (f.Method == "" || f.Method == r.Method) &&
		(f.Path == "" || antMatch(strings.Trim(f.Path, "/"), strings.Trim(r.URL.Path, "/"))) &&
		(f.Match == nil || f.Match(r))
}

func (f *Fault) serve(w *response, r *http.Request, next http.HandlerFunc) {
	if f.When == After {
		done := &silent{header: http.Header{}}
		if f.Reset || f.Status != 0 {
			next(done, r)
		} else {
			next(f.shape(w), r)
		}
	}
	time.Sleep(f.Delay)
	if f.Do != nil {
		f.Do(r)
	}
	switch {
	case f.Reset:
		w.begin(0)
		cutConnection(w, true)
	case f.Status != 0:
		f.refuse(w)
	case f.When == Before:
		next(f.shape(w), r)
	}
}

func (f *Fault) refuse(w http.ResponseWriter) {
	h := w.Header()
	for k, v := range f.Header {
		h[k] = v
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter/time.Second))))
	}
	if f.Body != "" {
		h.Set("Content-Length", strconv.Itoa(len(f.Body)))
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	respond(w, f.Status, errorBody{Errors: []errorEntry{{f.Status, "stand-in: failing on purpose"}}})
}

func (f *Fault) shape(w *response) http.ResponseWriter {
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	if f.Truncate == 0 && f.Drip == 0 {
		return w
	}
	return &shaped{ResponseWriter: w, fault: f, left: f.Truncate}
}

// shaped writes slowly, or stops half-way.
type shaped struct {
	http.ResponseWriter
	fault *Fault
	left  int64
	cut   bool
}

func (s *shaped) Write(p []byte) (int, error) {
	if s.cut {
		return 0, net.ErrClosed
	}
	time.Sleep(s.fault.Drip)
	if s.fault.Truncate > 0 && int64(len(p)) >= s.left {
		n, _ := s.ResponseWriter.Write(p[:s.left])
		s.cut = true
		cutConnection(s.ResponseWriter, false)
		return n, net.ErrClosed
	}
	n, err := s.ResponseWriter.Write(p)
	s.left -= int64(n)
	if s.fault.Drip > 0 {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
	}
	return n, err
}

// cutConnection ends the connection: at once with a reset, or after what was written.
func cutConnection(w http.ResponseWriter, reset bool) {
	control := http.NewResponseController(w)
	if !reset {
		_ = control.Flush()
	}
	conn, _, err := control.Hijack()
	if err != nil {
		return // not a connection that can be cut, e.g. a recorder
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// silent takes an answer that the client will not see.
type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) WriteHeader(int)             {}
