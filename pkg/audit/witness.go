package audit

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/transparency-dev/tessera"
)

// WitnessConfig is somebody who countersigns checkpoints once he has seen that the log only grew.
type WitnessConfig struct {
	Key string `yaml:"key" required:"true" doc:"The witness's verifier key, as it publishes it: name+hash+key, for timestamped Ed25519 cosignatures."`
	URL string `yaml:"url" required:"true" doc:"Address below which the witness answers /add-checkpoint."`
}

// group is the policy as Tessera takes it. Without witnesses it is satisfied at once.
func (c Config) group() (tessera.WitnessGroup, error) {
	n := c.Quorum
	if n == 0 {
		n = len(c.Witnesses)
	}
	if n < 0 || n > len(c.Witnesses) {
		return tessera.WitnessGroup{}, fmt.Errorf("quorum is %d, there are %d witnesses", c.Quorum, len(c.Witnesses))
	}
	group := tessera.WitnessGroup{N: n}
	seen := map[string]bool{}
	for i, w := range c.Witnesses {
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return tessera.WitnessGroup{}, fmt.Errorf("witness %d: url is %q, expected https://host", i+1, w.URL)
		}
		one, err := tessera.NewWitness(w.Key, u)
		if err != nil {
			return tessera.WitnessGroup{}, fmt.Errorf("witness %d: key: %w", i+1, err)
		}
		if seen[one.URL] || seen[w.Key] {
			return tessera.WitnessGroup{}, fmt.Errorf("witness %d is listed twice", i+1)
		}
		seen[one.URL], seen[w.Key] = true, true
		group.Components = append(group.Components, one)
	}
	return group, nil
}

// maxAnswer is far more than a cosignature needs.
const maxAnswer = 16 << 10

// bounded is the client with answers of at most maxAnswer bytes: Tessera reads all that a witness sends.
func bounded(c *http.Client) *http.Client {
	out := *c
	out.Transport = short{c.Transport}
	return &out
}

type short struct{ http.RoundTripper }

func (s short) RoundTrip(req *http.Request) (*http.Response, error) {
	next := s.RoundTripper
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
