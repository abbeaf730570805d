package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// A key is distrusted, and what that affects is told, place by place.
func TestKeysDistrust(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		asked = append(asked, r.Method+" "+r.URL.Path)
		if r.Method == http.MethodPost {
			var req api.DistrustRequest
			if json.NewDecoder(r.Body).Decode(&req) != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			_ = json.NewEncoder(w).Encode(api.Distrust{Key: req.Key, From: from, Lifted: req.Lift, By: "alice", Why: req.Why})
			return
		}
		total := int64(1)
		_ = json.NewEncoder(w).Encode(api.Affected{Total: &total, Affected: []api.AffectedItem{{
			SHA256: artifact.Digest{1}, Formats: []string{"raw", "sigstore"}, MadeAt: from, Places: []api.AffectedPlace{{Instance: "main", Artifact: "staging/a.tgz"}},
			Promoted: []api.AffectedPromoted{{Promotion: 17, Instance: "main", Target: "release/a.tgz", State: "begun", At: from}},
		}}})
	}))
	t.Cleanup(server.Close)
	connect := []string{"--server", server.URL, "--token-file", filepath.Join(write(t, map[string]string{"token": "x"}), "token")}
	run := func(args ...string) result {
		asked = nil
		return command(t, append(append([]string{"keys", "distrust", "release-2026"}, args...), connect...)...)
	}

	r := run("--from", "2026-03-01T12:00:00Z", "--why", "stolen")
	require.Equal(t, exitOK, r.code, r.err)
	require.Equal(t, []string{"POST /v1/keys/distrust", "GET /v1/keys/affected"}, asked)
	for _, line := range []string{
		"DISTRUSTED  release-2026  from 2026-03-01 12:00 UTC on, by the word of alice", "1 artifacts were signed with it since, 1 of them were promoted",
		"at        main  staging/a.tgz", "promoted  main  release/a.tgz  2026-03-01 12:00 UTC, promotion 17, perhaps only in part",
	} {
		require.Contains(t, r.out, line)
	}
	r = run("--from", "2h", "--dry-run", "-o", "json")
	require.Equal(t, []string{"GET /v1/keys/affected"}, asked, "nothing is changed")
	var view distrustView
	require.NoError(t, json.Unmarshal([]byte(r.out), &view))
	require.Nil(t, view.Distrust)
	require.Len(t, view.Affected, 1)
	r = run("--lift")
	require.Equal(t, []string{"POST /v1/keys/distrust"}, asked)
	require.Contains(t, r.out, "TRUSTED     release-2026  again; it was distrusted from 2026-03-01 12:00 UTC on")

	require.Contains(t, run().err, "--from is missing")
	require.Contains(t, run("--from", "yesterday").err, `--from "yesterday" is neither a time`)
	require.NotEqual(t, exitOK, run("--from", "2h", "--lift").code)
	require.Empty(t, asked)
}

// keys list tells who is distrusted when the service was asked, and says nothing of it otherwise.
func TestKeysTable(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	all := []keyView{{Name: "a", SPKI: "sha256:" + artifact.Digest{1}.String()}, {Name: "b", SPKI: "sha256:" + artifact.Digest{2}.String()}}
	distrusted(all, []api.Distrust{{Key: "a", SPKI: artifact.Digest{1}, From: from}})
	require.NotNil(t, all[0].Distrusted)
	require.Nil(t, all[1].Distrusted)
	var text strings.Builder
	keysTable(&text, all, true, from)
	require.Contains(t, text.String(), "DISTRUSTED")
	require.Contains(t, text.String(), "from 2026-03-01 12:00 UTC")
	text.Reset()
	keysTable(&text, all, false, from)
	require.NotContains(t, text.String(), "DISTRUSTED")
}
