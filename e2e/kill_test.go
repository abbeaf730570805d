package e2e

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // names the driver "pgx"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // names the driver "sqlite"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

// A service that is killed again and again in the middle of a burst, with every event announced twice, loses nothing and
// signs nothing twice.
func TestKilledDuringBurst(t *testing.T) {
	t.Parallel()
	const (
		files   = 90
		workers = 4
	)
	killAt := []int{5, 25, 50} // files signed
	eachDatabase(t, func(t *testing.T, c sandbox.Config) {
		shim := counted(t, &c)
		shim.Delay(t, "C_Sign", 10*time.Millisecond, hsmtest.Forever) // so that a kill finds work half done
		c.Workers = workers
		c.Timing = standin.WebhookTiming{Pause: time.Second} // long enough for a restart, as JFrog's 10 s are
		s := start(t, c)
		s.Artifactory.Distort(standin.Distortion{Duplicates: 1})
		before := shim.Calls(t, "C_Sign")

		paths := make([]string, files)
		for i := range paths {
			paths[i] = fmt.Sprintf("app/burst/%03d.bin", i)
		}
		announced := files - 5*len(killAt)
		for _, path := range paths[:announced] {
			upload(t, s, path, "content of "+path)
		}
		signed := func() (n int) {
			for _, path := range paths {
				if state(s, path) == "signed" {
					n++
				}
			}
			return n
		}
		for i, at := range killAt {
			eventually(t, func() string { return fmt.Sprintf("%d of %d signed", signed(), at) }, func() bool { return signed() >= at })
			require.NoError(t, s.Kill())
			for j := range 5 { // announced to nobody
				path := paths[announced+5*i+j]
				upload(t, s, path, "content of "+path)
			}
			eventually(t, func() string { return "a delivery fails" }, func() bool { return failedDelivery(s) })
			require.NoError(t, s.Serve(t.Context()))
		}
		awaitSigned(t, s, paths...)
		last := delivered(t, s, paths[files-1])
		require.Len(t, last, 2)
		for _, d := range last {
			require.Greater(t, d.Tries, 1, "the sender came back")
			require.Equal(t, http.StatusAccepted, d.Status)
		}

		client := &api.Client{URL: s.URL, Token: s.Secret("caller")}
		for _, path := range paths {
			var status api.Status
			eventually(t, func() string { return fmt.Sprintf("%s is settled: %+v", path, status) }, func() bool {
				var err error
				status, err = client.Status(t.Context(), "", sandbox.Staging+"/"+path)
				return err == nil && !status.Pending
			})
			require.Equal(t, "signed", status.Current.State)
			require.Len(t, status.Signatures, 2, "one per format: %s", path)
			for _, sig := range status.Signatures {
				require.Equal(t, sandbox.Key, sig.Key)
			}
			require.Equal(t, rawSignature(t, s, path), bundledSignature(t, s, path), "two files, one signature: %s", path)
		}
		require.Len(t, s.Artifactory.Paths(sandbox.Staging), 3*files, "nothing beside artifacts and their signature files")

		var status api.Status
		hallmarkJSON(t, s, 0, &status, "status", sandbox.Staging+"/"+paths[0])
		require.Equal(t, "signed", status.Current.State)
		require.NoError(t, s.Terminate())

		// The ledger holds each signature once. Of what the token made, only signatures that a kill kept from being
		// recorded were made again; nobody has seen those.
		require.Equal(t, [3]int{2 * files, files, files}, ledgerCounts(t, s.Database))
		made := shim.Calls(t, "C_Sign") - before - len(killAt) // a start proves the key with one signature
		require.GreaterOrEqual(t, made, files)
		require.LessOrEqual(t, made, files+len(killAt)*workers)
	})
}

// counted puts a module that counts and fails on demand in front of SoftHSM.
func counted(t *testing.T, c *sandbox.Config) *hsmtest.Shim {
	t.Helper()
	module, err := sandbox.Module()
	require.NoError(t, err)
	tok := &hsmtest.Token{Module: module}
	shim := tok.Shim(t)
	c.Module = tok.Module
	return shim
}

func failedDelivery(s *sandbox.Sandbox) bool {
	for _, d := range s.Artifactory.Deliveries() {
		if d.Error != "" && !d.Done {
			return true
		}
	}
	return false
}

func rawSignature(t *testing.T, s *sandbox.Sandbox, path string) string {
	t.Helper()
	content, err := s.Artifactory.Content(sandbox.Staging, path+".sig")
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(content)
}

func bundledSignature(t *testing.T, s *sandbox.Sandbox, path string) string {
	t.Helper()
	content, err := s.Artifactory.Content(sandbox.Staging, path+".sigstore.json")
	require.NoError(t, err)
	var bundle struct {
		MessageSignature struct {
			Signature string `json:"signature"`
		} `json:"messageSignature"`
	}
	require.NoError(t, json.Unmarshal(content, &bundle))
	return bundle.MessageSignature.Signature
}

// ledgerCounts looks into the database of a stopped service: signatures, the intents they came from, the artifacts.
func ledgerCounts(t *testing.T, address string) (counts [3]int) {
	t.Helper()
	driver, dsn := "pgx", address
	if file, ok := strings.CutPrefix(address, "sqlite://"); ok {
		driver, dsn = "sqlite", "file:"+file
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	row := db.QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT intent_id), count(DISTINCT subject) FROM signature`)
	require.NoError(t, row.Scan(&counts[0], &counts[1], &counts[2]))
	return counts
}
