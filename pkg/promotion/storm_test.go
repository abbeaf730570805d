package promotion_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// drip is how slow an answer is that comes slowly: late, and never too late.
const drip = 20 * time.Millisecond

// storm has every fifth request fail, each time in another manner.
func (r *rig) storm() (calm func() int) {
	var disarm []func() int
	for i, f := range []standin.Fault{
		{Status: http.StatusServiceUnavailable}, {Reset: true}, {Status: http.StatusBadGateway, When: standin.After}, {Reset: true, When: standin.After}, {Truncate: 10}, {Drip: drip},
	} {
		var seen atomic.Int64
		f.Times = -1
		f.Match = func(*http.Request) bool { return seen.Add(1)%30 == int64(i)*5 }
		disarm = append(disarm, r.fail(f))
	}
	return func() (failed int) {
		for _, d := range disarm {
			times := d()
			require.Positive(r.t, times, "every manner had its turn")
			failed += times
		}
		return failed
	}
}

// Every fifth request fails: repeating the command gets every kind there, whole, and loses nothing on the way.
func TestPromotionsInAStorm(t *testing.T) {
	t.Parallel()
	again := func(t *testing.T, p *port, req promotion.Request) {
		t.Helper()
		calm := p.storm()
		var last promotion.Report
		for range 60 {
			last, _ = p.service.Promote(t.Context(), req)
			if last.State == promotion.StateDone {
				break
			}
			require.NotEqual(t, promotion.StateRefused, last.State, "%+v", last)
		}
		require.Greater(t, calm(), 5)
		require.Equal(t, promotion.StateDone, last.State, "%+v", last)
	}
	t.Run("build", func(t *testing.T) {
		t.Parallel()
		p := newPort(t, ledger.SQLite, standin.Quirks{})
		p.built("a.tgz", "b.tgz", "c.tgz")
		again(t, p, p.buildRequest(true, true))
		p.stands("a.tgz", "b.tgz", "c.tgz")
		require.Empty(t, p.art.Paths(staging))
		require.Len(t, p.history(), 1)
	})
	t.Run("image", func(t *testing.T) {
		t.Parallel()
		p := newPort(t, ledger.SQLite, standin.Quirks{})
		idx, parts := p.index("1")
		again(t, p, p.ask(":1", true, true))
		p.ships(app+"/1/list.manifest.json", idx)
		p.ships(app+"/"+parts[0].Digest+"/manifest.json", parts[0])
		require.Empty(t, p.tags(ociStaging))
	})
	t.Run("bundle", func(t *testing.T) {
		t.Parallel()
		p := newPort(t, ledger.SQLite, standin.Quirks{})
		p.bundled("a.tgz", "b.tgz", "c.tgz")
		again(t, p, bundleRequest(true, true))
		p.stands("a.tgz", "b.tgz", "c.tgz")
		require.Equal(t, 1, p.promotions())
		require.Empty(t, p.art.Paths(staging))
	})
}

// The manifests of an index may be unsigned, also where nobody may list referrers.
func TestIndexWhereReferrersAreForbidden(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{Referrers: "403"})
	idx, _ := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(app, ":1", idx)
	p.sealWhole(app+"/1/list.manifest.json", keyA, "cosign-tag")
	report := p.promote(p.ask(":1", true, false))
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	p.ships(app+"/1/list.manifest.json", idx)
}
