package artifactory

import (
	"net/http"
	"strings"
	"sync"
)

// Request is one line of the request log.
type Request struct {
	Method string
	Target string // path and query as they were sent
	Status int    // 0 when the connection was cut instead of an answer
}

// requestLog keeps the latest requests and counts all.
type requestLog struct {
	mu    sync.Mutex
	ring  []Request
	total int
}

func newRequestLog(keep int) *requestLog { return &requestLog{ring: make([]Request, keep)} }

func (l *requestLog) add(r *http.Request, status int) {
	l.mu.Lock()
	l.ring[l.total%len(l.ring)] = Request{r.Method, r.RequestURI, status}
	l.total++
	l.mu.Unlock()
}

// Requests returns the latest requests, oldest first, as many as Config.KeepRequests. A request is listed
// before any of its answer is sent.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	n := min(s.log.total, len(s.log.ring))
	out := make([]Request, 0, n)
	for i := s.log.total - n; i < s.log.total; i++ {
		out = append(out, s.log.ring[i%len(s.log.ring)])
	}
	return out
}

// CountRequests counts the remembered requests with this method ("" for any) whose target begins with prefix.
func (s *Server) CountRequests(method, prefix string) int {
	n := 0
	for _, r := range s.Requests() {
		if (method == "" || r.Method == method) && strings.HasPrefix(r.Target, prefix) {
			n++
		}
	}
	return n
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.total = 0
}
