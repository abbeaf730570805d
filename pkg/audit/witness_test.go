package audit_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// witness is a C2SP tlog-witness for one log: it countersigns what is proven to continue what it countersigned before.
type witness struct {
	vkey   string
	url    string
	signer *fnote.Signer
	log    note.Verifier

	mu   sync.Mutex
	size uint64
	root []byte
	bad  http.HandlerFunc // what it does instead
}

func newWitness(t testing.TB, r *rig, name string) *witness {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	w := &witness{vkey: vkey, root: rfc6962.DefaultHasher.EmptyRoot()}
	w.signer, err = fnote.NewSignerForCosignatureV1(skey)
	require.NoError(t, err)
	v, err := signature.LoadVerifier(r.key.Public(), r.key.Hash())
	require.NoError(t, err)
	w.log, err = rekornote.NewNoteVerifier(origin, v)
	require.NoError(t, err)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad != nil {
		w.bad(rw, req)
		return
	}
	if req.URL.Path != "/add-checkpoint" {
		http.NotFound(rw, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	head, text, _ := bytes.Cut(body, []byte("\n\n"))
	lines := bufio.NewScanner(bytes.NewReader(head))
	lines.Scan()
	var old uint64
	if _, err := fmt.Sscanf(lines.Text(), "old %d", &old); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	var hashes [][]byte
	for lines.Scan() {
		h, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		hashes = append(hashes, h)
	}
	c, _, n, err := formats.ParseCheckpoint(text, origin, w.log)
	switch {
	case err != nil:
		http.Error(rw, err.Error(), http.StatusForbidden)
	case old != w.size:
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", w.size)
	case c.Size < w.size:
		http.Error(rw, "too small", http.StatusBadRequest)
	case c.Size == w.size && !bytes.Equal(c.Hash, w.root):
		http.Error(rw, "another root", http.StatusConflict)
	case w.size > 0 && proof.VerifyConsistency(rfc6962.DefaultHasher, old, c.Size, hashes, w.root, c.Hash) != nil:
		http.Error(rw, "inconsistent", http.StatusUnprocessableEntity)
	default:
		cosigned, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		w.size, w.root = c.Size, c.Hash
		_, _ = rw.Write(cosigned[len(n.Text)+1:])
	}
}

func (w *witness) fail(bad http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad = bad
}

// cosigned reports whether the witness's signature is on the published checkpoint.
func (w *witness) cosigned(t testing.TB, text string) bool {
	t.Helper()
	v, err := fnote.NewVerifierForCosignatureV1(w.vkey)
	require.NoError(t, err)
	_, err = note.Open([]byte(text), note.VerifierList(v))
	return err == nil
}

func down(rw http.ResponseWriter, _ *http.Request) {
	http.Error(rw, "down", http.StatusServiceUnavailable)
}

func withWitnesses(t testing.TB, n, quorum int) (*rig, []*witness) {
	t.Helper()
	r := newRig(t)
	var all []*witness
	for i := range n {
		w := newWitness(t, r, fmt.Sprintf("witness%d.example", i))
		all = append(all, w)
		r.config.Witnesses = append(r.config.Witnesses, audit.WitnessConfig{Key: w.vkey, URL: w.url})
	}
	r.config.Quorum = quorum
	return r, all
}

func TestWitnessesCosign(t *testing.T) {
	t.Parallel()
	r, witnesses := withWitnesses(t, 2, 0)
	later := r.config.Witnesses
	r.config.Witnesses = later[:0]
	r.grow(t, 0)
	r.config.Witnesses = later
	l := r.open(t)
	require.NoError(t, l.PublishNow())
	for i := range 4 {
		if i == 0 { // the log was published before it had witnesses
			require.True(t, witnesses[1].cosigned(t, read(t, r.config.Dir, "checkpoint")))
			continue
		}
		p, err := l.Append(t.Context(), leafOf(i))
		require.NoError(t, err)
		r.holds(t, leafOf(i), p)
		require.NoError(t, l.PublishNow())
		text := read(t, r.config.Dir, "checkpoint")
		require.Equal(t, uint64(i+1), r.checkpoint(t, text).Size)
		for _, w := range witnesses {
			require.True(t, w.cosigned(t, text), text)
		}
	}
}

// What monitors read waits for the quorum; bundles do not.
func TestWitnessIsDown(t *testing.T) {
	t.Parallel()
	for quorum, published := range map[int]bool{1: true, 2: false} {
		t.Run(fmt.Sprint("quorum ", quorum), func(t *testing.T) {
			t.Parallel()
			r, witnesses := withWitnesses(t, 2, quorum)
			l := r.open(t)
			require.Equal(t, uint64(0), r.checkpoint(t, read(t, r.config.Dir, "checkpoint")).Size)
			witnesses[0].fail(down)
			p, err := l.Append(t.Context(), leafOf(0))
			require.NoError(t, err, "bundles do not wait for witnesses")
			r.holds(t, leafOf(0), p)
			err = l.PublishNow()
			if published {
				require.NoError(t, err)
				text := read(t, r.config.Dir, "checkpoint")
				require.Equal(t, uint64(1), r.checkpoint(t, text).Size)
				require.True(t, witnesses[1].cosigned(t, text))
				return
			}
			require.ErrorContains(t, err, "witness policy was not satisfied")
			require.Equal(t, uint64(0), r.checkpoint(t, read(t, r.config.Dir, "checkpoint")).Size, "the old one stays")
			witnesses[0].fail(nil)
			require.NoError(t, l.PublishNow())
			text := read(t, r.config.Dir, "checkpoint")
			require.Equal(t, uint64(1), r.checkpoint(t, text).Size)
			require.True(t, witnesses[0].cosigned(t, text) && witnesses[1].cosigned(t, text))
		})
	}
}

// A witness that has seen another history of the log does not sign this one, even when our own memory was lost.
func TestWitnessSeesFork(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]int{"same size": 3, "longer": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, witnesses := withWitnesses(t, 1, 0)
			r.grow(t, 0, 1, 2)
			require.Equal(t, uint64(3), witnesses[0].size)
			forged, _ := withWitnesses(t, 0, 0)
			forged.key = r.key
			for i := range leaves {
				forged.grow(t, 10+i)
			}
			forged.config.Witnesses = r.config.Witnesses
			l := forged.open(t)
			_, err := l.Add(t.Context(), leafOf(20))
			require.NoError(t, err)
			err = l.PublishNow()
			require.ErrorContains(t, err, "witness policy was not satisfied")
			require.ErrorContains(t, err, "consistency proof is bad")
			require.Equal(t, uint64(3), witnesses[0].size)
		})
	}
}

func TestWitnessIsHostile(t *testing.T) {
	t.Parallel()
	stranger := newWitness(t, newRig(t), "witness0.example")
	for name, bad := range map[string]http.HandlerFunc{
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"noise":      func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("\xff\n")) },
		"endless":    func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(rw, neverEnds{}) },
		"size far":   func(rw http.ResponseWriter, _ *http.Request) { tellSize(rw, "99") },
		"size noise": func(rw http.ResponseWriter, _ *http.Request) { tellSize(rw, strings.Repeat("9", 99)) },
		"other key": func(rw http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			_, text, _ := bytes.Cut(body, []byte("\n\n"))
			body, _, _ = bytes.Cut(text, []byte("\n\n"))
			cosigned, _ := note.Sign(&note.Note{Text: string(body) + "\n"}, stranger.signer)
			_, _ = rw.Write(cosigned[len(body)+2:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, witnesses := withWitnesses(t, 1, 0)
			l := r.open(t)
			witnesses[0].fail(bad)
			_, err := l.Append(t.Context(), leafOf(0))
			require.NoError(t, err)
			require.Error(t, l.PublishNow())
			require.Equal(t, uint64(0), r.checkpoint(t, read(t, r.config.Dir, "checkpoint")).Size)
			witnesses[0].fail(nil)
		})
	}
}

type neverEnds struct{}

func (neverEnds) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func tellSize(rw http.ResponseWriter, size string) {
	rw.Header().Set("Content-Type", "text/x.tlog.size")
	rw.WriteHeader(http.StatusConflict)
	_, _ = io.WriteString(rw, size)
}

func TestWitnessConfig(t *testing.T) {
	t.Parallel()
	r, _ := withWitnesses(t, 1, 0)
	good := r.config.Witnesses[0]
	for want, list := range map[string][]audit.WitnessConfig{
		"key: ":               {{Key: "nonsense", URL: good.URL}},
		`url is "ftp://x"`:    {{Key: good.Key, URL: "ftp://x"}},
		"witness 2 is listed": {good, good},
	} {
		c := r.config
		c.Witnesses = list
		require.ErrorContains(t, c.Validate(), want)
	}
}
