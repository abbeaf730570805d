package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// mediaLines is a sequence of JSON objects, one a line.
const mediaLines = "application/x-ndjson"

const (
	pace  = 250 * time.Millisecond // between two lines
	quiet = 10 * time.Second       // the longest silence; proxies cut a connection after a minute of it
)

// PromotionLine is one line of the answer of POST /v1/promotions to a caller that accepts application/x-ndjson. One field
// is set. Report or Problem is the last line; an answer that ends without one was cut off, and the promotion may be going on.
type PromotionLine struct {
	Progress *promotion.Progress `json:"progress,omitempty"`
	Report   *promotion.Report   `json:"report,omitempty"`
	Problem  *Problem            `json:"problem,omitempty"` // its status is that of the answer, which could not know it
}

// stream tells a promotion's progress to its caller while there is no answer. What is ready before the first line is due
// is answered as ever, with its own status.
type stream struct {
	w       http.ResponseWriter
	end     chan struct{}
	ended   chan struct{}
	once    sync.Once
	started bool // only read when ended is closed

	mu  sync.Mutex
	now promotion.Progress
}

// accepts reports whether a caller takes a media type that it names.
func accepts(h http.Header, media string) bool {
	for _, header := range h.Values("Accept") {
		for one := range strings.SplitSeq(header, ",") {
			if name, params, err := mime.ParseMediaType(one); err == nil && name == media {
				return strings.Trim(params["q"], "0.") != "" || params["q"] == ""
			}
		}
	}
	return false
}

func newStream(w http.ResponseWriter) *stream {
	st := &stream{w: w, end: make(chan struct{}), ended: make(chan struct{})}
	go st.run()
	return st
}

// tell notes what is new. It never waits for the caller: one that reads slowly, or not at all, must not hold up a promotion.
func (st *stream) tell(p promotion.Progress) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.now = p
}

// run writes the lines until close, or until nobody reads them.
func (st *stream) run() {
	defer close(st.ended)
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	var told promotion.Progress
	var last time.Time
	for {
		select {
		case <-st.end:
			return
		case <-ticker.C:
		}
		st.mu.Lock()
		now := st.now
		st.mu.Unlock()
		if now.Phase == "" || now == told && time.Since(last) < quiet {
			continue
		}
		if !st.write(PromotionLine{Progress: &now}) {
			return
		}
		told, last = now, time.Now()
	}
}

// write sends one line. The first one sends the header.
func (st *stream) write(line PromotionLine) bool {
	content, err := json.Marshal(line)
	if err != nil {
		return false
	}
	if !st.started {
		st.started = true
		setHeader(st.w.Header(), mediaLines)
		st.w.Header().Set("X-Accel-Buffering", "no") // nginx would keep the lines for itself
		st.w.WriteHeader(http.StatusOK)
	}
	_, err = st.w.Write(append(content, '\n'))
	_ = http.NewResponseController(st.w).Flush() // where there is none, the lines come late
	return err == nil
}

// close ends the progress; afterwards the writer is the caller's again. It reports whether anything was sent.
func (st *stream) close() bool {
	st.once.Do(func() { close(st.end) })
	<-st.ended
	return st.started
}

// respond answers a call, in the last line where it has been answered with lines.
func (c *call) respond(body any) {
	if page, ok := body.(decisionPage); ok {
		page.write(c.w)
		return
	}
	if c.stream == nil || !c.stream.close() {
		respond(c.w, body)
		return
	}
	line := PromotionLine{}
	switch b := body.(type) {
	case *Problem:
		line.Problem = b
	case promotion.Report:
		line.Report = &b
	}
	c.stream.write(line)
}
