package signing_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// settle signs until it is done, as the queue does.
func (p *port) settle(path string) {
	p.t.Helper()
	var err error
	for deadline := time.Now().Add(waitFor); time.Now().Before(deadline); time.Sleep(tick) { // the queue's pauses
		if err = p.sign(path); err == nil {
			return
		}
	}
	p.t.Fatalf("%s does not converge: %v", path, err)
}

// A process that dies, or a request that fails, at any point of an image's way, before or after what it was doing took
// effect: nothing lies, the next attempt finishes, and what was recorded is not signed again.
func TestAnImageThroughFailureAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, death := range []bool{true, false} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("death %t, after %t", death, after), func(t *testing.T) {
				t.Parallel()
				p := newPort(t, setup{})
				w := watch(p.rig)
				_, err := p.client.Repository(t.Context(), docker)
				require.NoError(t, err)
				for point := 0; ; point++ {
					m := p.Push(imageName, fmt.Sprintf(":%d", point), p.New("linux/amd64"))
					path, before := fmt.Sprintf("%s/%d/manifest.json", imageName, point), p.uses()
					w.plan(point, after, death)
					err := p.sign(path)
					reached := len(w.list()) > point
					w.plan(-1, false, false)
					if !reached {
						require.NoError(t, err)
						require.Greater(t, point, 10, "every operation had its turn")
						return
					}
					if len(p.marks(path)["hallmark.state"]) > 0 {
						p.verified(m, "cosign")
					}
					kept, err := p.ledger.Signatures(t.Context(), subject(docker, m).SHA256)
					require.NoError(t, err)
					if death {
						p.restart()
					}
					p.settle(path)
					p.verified(m, "cosign")
					require.Equal(t, ledger.Signed, p.result(path).State)
					require.Equal(t, []string{m.SHA256()}, p.marks(path)["hallmark.sha256"])
					require.LessOrEqual(t, p.uses()-before, 2)
					if len(kept) > 0 {
						require.Equal(t, 1, p.uses()-before, "a recorded signature is not made again")
					}
					require.Zero(t, p.intents()[0], "no intent is left live")
				}
			})
		}
	}
}

// A tenth of all requests fails, in every way; everything converges and nothing is signed twice.
func TestImagesThroughFaults(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{})
	index, children := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(imageName, ":1.0", index)
	var disarms []func() int
	for i, f := range []standin.Fault{
		{Status: http.StatusServiceUnavailable}, {Status: http.StatusBadGateway, When: standin.After}, {Reset: true}, {Truncate: 1}, {Reset: true, When: standin.After}, {Drip: drip},
	} {
		var n atomic.Int64
		f.Times, f.Match = -1, func(*http.Request) bool { return n.Add(1)%60 == int64(i*10) }
		disarms = append(disarms, p.art.Fail(f))
	}
	p.settle(imageName + "/1.0/list.manifest.json")
	for _, c := range children {
		p.settle(imageName + "/" + c.Digest + "/manifest.json")
	}
	require.Equal(t, 3, p.uses(), "one signature for each manifest")
	struck := 0
	for _, disarm := range disarms {
		times := disarm()
		require.Positive(t, times, "every manner had its turn")
		struck += times
	}
	require.Greater(t, struck, 5)
	for _, m := range append(children, index) {
		p.verified(m, "cosign")
	}
	require.Equal(t, ledger.Signed, p.result(imageName+"/1.0/list.manifest.json").State)
}
