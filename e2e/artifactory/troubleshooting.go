package artifactory

import (
	"net/http"
	"strconv"
	"time"
)

// deliveryRecord is what the platform remembers of a delivery. JFrog documents that there are such records and what they
// can be asked by; the names of the fields are the stand-in's.
type deliveryRecord struct {
	ID           string `json:"id"`
	Subscription string `json:"subscription_key"`
	Domain       string `json:"domain"`
	EventType    string `json:"event_type"`
	Target       string `json:"target"`
	Time         string `json:"time"`
	Successful   bool   `json:"successful"`
	StatusCode   int    `json:"status_code"`
	Retries      int    `json:"retries"`
	Error        string `json:"error,omitempty"`
	Payload      string `json:"payload"`
}

// troubleshooting answers GET troubleshooting?subscription&target&start&end&count, the latest first: settled deliveries
// that failed, and for subscriptions with debug also those that did not. Test deliveries are not recorded.
func (s *Server) troubleshooting(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := admin(c); err != nil {
		return err
	}
	if err := onlyQueries(c, "subscription", "target", "start", "end", "count"); err != nil {
		return err
	}
	from, err1 := recordTime(c.param("start"), time.Time{})
	to, err2 := recordTime(c.param("end"), time.Now().Add(time.Hour))
	if err1 != nil || err2 != nil {
		return refuse(http.StatusBadRequest, "start and end are milliseconds since 1970 or RFC 3339")
	}
	count, err := strconv.Atoi(c.param("count"))
	if err != nil || count < 1 {
		count = 100
	}
	records := []deliveryRecord{}
	s.sender.mu.Lock()
	for i := len(s.sender.record) - 1; i >= 0 && len(records) < count; i-- {
		d := s.sender.record[i]
		good := d.Error == "" && d.Status < http.StatusBadRequest
		switch {
		case !d.Done || (good && !d.debug) || d.at.Before(from) || d.at.After(to):
		case c.param("subscription") != "" && c.param("subscription") != d.Subscription:
		case c.param("target") != "" && c.param("target") != d.target.URL:
		default:
			records = append(records, deliveryRecord{
				ID: d.id(), Subscription: d.Subscription, Domain: d.Event.Domain, EventType: d.Event.Type, Target: d.target.URL, Time: stamp(d.at),
				Successful: good, StatusCode: d.Status, Retries: d.Tries - 1, Error: d.Error, Payload: string(d.body),
			})
		}
	}
	s.sender.mu.Unlock()
	respond(w, http.StatusOK, records)
	return nil
}

func recordTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(n), nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// crockford is the alphabet of a ULID.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// id is a ULID: ten characters of time, sixteen that tell deliveries apart.
func (d *delivery) id() string {
	out := make([]byte, 26)
	ms, n := d.at.UnixMilli(), d.number
	for i := 9; i >= 0; i-- {
		out[i], ms = crockford[ms&31], ms>>5
	}
	for i := 25; i >= 10; i-- {
		out[i], n = crockford[n&31], n>>5
	}
	return string(out)
}
