package audit_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What is read over HTTP is what stands in the directory; whoever may not read learns why.
func TestReadHTTP(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(100)
	files := http.FileServer(http.Dir(s.write()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusForbidden)
		case !strings.HasPrefix(r.URL.Path, "/log/"):
			w.WriteHeader(http.StatusTeapot)
		default:
			http.StripPrefix("/log", files).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	r, err := audit.ReadHTTP(server.URL+"/log", "secret", server.Client())
	require.NoError(t, err)
	head, err := r.Head(t.Context(), s.keys())
	require.NoError(t, err)
	report, err := r.Replay(t.Context(), audit.Replay{Head: head, AsOf: s.now})
	require.NoError(t, err)
	require.Empty(t, report.All)
	require.EqualValues(t, 301, report.Size)
	require.NoError(t, r.Close())

	stranger, err := audit.ReadHTTP(server.URL+"/log/", "", server.Client())
	require.NoError(t, err)
	_, err = stranger.Head(t.Context(), s.keys())
	require.ErrorContains(t, err, "role auditor")
	elsewhere, err := audit.ReadHTTP(server.URL, "secret", server.Client())
	require.NoError(t, err)
	_, err = elsewhere.Head(t.Context(), s.keys())
	require.ErrorContains(t, err, "HTTP 418")
	_, err = elsewhere.Replay(t.Context(), audit.Replay{Head: head})
	require.ErrorContains(t, err, "HTTP 418", "what cannot be read now is no finding")
	for _, address := range []string{"", "log", "ftp://host/log", "http://"} {
		_, err := audit.ReadHTTP(address, "", server.Client())
		require.Error(t, err, address)
	}
}

// A log that grew since its checkpoint was read is replayed as it was: only fuller files may be left of its end.
func TestReadAFullerBundle(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(50)
	head := s.head(len(s.leaves))
	s.uses(50)
	dir := s.write()
	report, err := openDir(t, dir).Replay(t.Context(), audit.Replay{Head: head, AsOf: s.now})
	require.NoError(t, err)
	require.Empty(t, report.All)
	require.EqualValues(t, 50, report.Sealed)
}

// Nothing of a log's directory makes its reader read elsewhere, or more than a log's files have.
func TestReadHostileFiles(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(dir, bundle string){
		"a link out": func(dir, bundle string) {
			require.NoError(t, os.Rename(bundle, filepath.Join(dir, "..", "elsewhere")))
			require.NoError(t, os.Symlink("../../../elsewhere", bundle))
		},
		"a folder": func(_, bundle string) {
			require.NoError(t, os.Remove(bundle))
			require.NoError(t, os.Mkdir(bundle, 0o700))
		},
		"a huge one": func(_, bundle string) { require.NoError(t, os.Truncate(bundle, 1<<40)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t).uses(100)
			s.t = t
			dir := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.Rename(s.write(), dir))
			spoil(dir, filepath.Join(dir, "tile", "entries", "000"))
			r := openDir(t, dir)
			head, err := r.Head(t.Context(), s.keys())
			require.NoError(t, err)
			report, err := r.Replay(t.Context(), audit.Replay{Head: head, AsOf: s.now})
			if err == nil {
				require.Contains(t, codesOf(report), reason.LogEntryRemoved)
			}
		})
	}
}

// The tiles of a tree of several levels come to its root.
func TestTilesOfATallTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := audit.WriteDir(dir, make([][]byte, 65536))
	require.NoError(t, err)
	top, err := os.ReadFile(filepath.Join(dir, "tile/2/000.p/1"))
	require.NoError(t, err)
	require.Equal(t, root, top)
}

// What is found is told in part, and counted in full.
func TestManyFindings(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	for range 300 {
		s.raw(nil)
	}
	report := s.replay(s.write(), audit.Replay{})
	require.Equal(t, map[reason.Code]int{reason.LogLeafUnknown: 300}, report.Counts)
	require.Len(t, report.All, audit.MaxFindings)
	require.Equal(t, 300, report.Alarms())
}

// A copy is the log again, with proofs that hold, and there is none of a log that is not as it was signed.
func TestCopy(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(100)
	dir := s.write()
	r := openDir(t, dir)
	head, err := r.Head(t.Context(), s.keys())
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "copy")
	var done uint64
	require.NoError(t, r.Copy(t.Context(), head, to, func(n uint64) { done = n }))
	require.EqualValues(t, 301, done)
	require.Empty(t, s.replay(to, audit.Replay{}).All)
	for _, file := range []string{"checkpoint", "tile/entries/000", "tile/entries/001.p/45", "tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1"} {
		want, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(to, file))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), file)
	}
	require.ErrorContains(t, r.Copy(t.Context(), head, to, nil), "not empty")
	var all [][]byte
	require.NoError(t, r.Entries(t.Context(), head, nil, func(i uint64, raw []byte) error {
		require.EqualValues(t, len(all), i)
		all = append(all, raw)
		return nil
	}))
	require.Equal(t, s.leaves, all)

	e := bundleOf(t, dir, "tile/entries/000")
	e[3] = e[4]
	putBundle(t, dir, "tile/entries/000", e)
	to = filepath.Join(t.TempDir(), "copy")
	require.ErrorIs(t, r.Copy(t.Context(), head, to, nil), audit.ErrNotAsSigned)
	require.NoFileExists(t, filepath.Join(to, "checkpoint"))
}

func trustedRoot(t testing.TB, logs map[string]any) []byte {
	t.Helper()
	var list []any
	for address, pub := range logs {
		der, err := x509.MarshalPKIXPublicKey(pub)
		require.NoError(t, err)
		list = append(list, map[string]any{"baseUrl": address, "publicKey": map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(der)}})
	}
	b, err := json.Marshal(map[string]any{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": list, "ctlogs": []any{}})
	require.NoError(t, err)
	return b
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	one, two := newKey(t), newKey(t)
	root := trustedRoot(t, map[string]any{"https://log.example:8443/log": one.Public(), "https://log.other.example": two.Public()})
	keys, err := audit.ParseKeys(root, rigOrigin)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.True(t, one.PublicKey.Equal(keys[0].Public))
	keys, err = audit.ParseKeys(root, "")
	require.NoError(t, err)
	require.Len(t, keys, 2)
	_, err = audit.ParseKeys(root, "elsewhere.example")
	require.ErrorContains(t, err, "elsewhere.example")

	der, err := x509.MarshalPKIXPublicKey(one.Public())
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	keys, err = audit.ParseKeys(append(text, text...), rigOrigin)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	_, err = audit.ParseKeys(text, "")
	require.ErrorContains(t, err, "origin")
	for name, bad := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("-----BEGIN"), "no logs": []byte("{}"), "no address": trustedRoot(t, map[string]any{"log": one.Public()}),
		"no key": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[1:]}),
	} {
		_, err := audit.ParseKeys(bad, rigOrigin)
		require.Error(t, err, name)
	}
}
