package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// Somebody subscribes Hallmark to everything, our own files and marks included. What Hallmark writes comes back to it as
// events, and a storm of further ones with them: nothing follows from any, neither work nor a request nor a use of the HSM.
func TestStormOfEventsAboutOurOwnFiles(t *testing.T) {
	t.Parallel()
	const files, storm = 20, 30
	s := start(t, sandbox.Config{})
	for domain, types := range map[string][]string{
		"artifact": {"deployed", "copied", "moved", "deleted", "cached"}, "artifact_property": {"added", "deleted"}, "docker": {"pushed", "promoted", "deleted"},
	} {
		key := "everything-" + domain
		if domain == "artifact" {
			key = sandbox.Subscriber // in place of the one that leaves our own files out
		}
		require.NoError(t, s.Artifactory.AddSubscription(standin.Subscription{
			Key: key, Enabled: true, EventFilter: standin.EventFilter{Domain: domain, EventTypes: types, Criteria: standin.Criteria{AnyLocal: true}},
			Handlers: []standin.Target{{HandlerType: "webhook", URL: s.URL + "/webhook/main", Secret: s.Secret("webhook"), UseSecretForSigning: true}},
		}))
	}
	outcomes := func(name string) int {
		return int(scrape(t, s).value("hallmark_webhook_events_total", "outcome", name))
	}
	before := outcomes("accepted")
	s.Artifactory.ForgetRequests()
	paths := make([]string, files)
	for i := range paths {
		paths[i] = fmt.Sprintf("app/own/%02d.bin", i)
		upload(t, s, paths[i], "content of "+paths[i])
	}
	awaitSigned(t, s, paths...)
	for _, path := range paths {
		settled(t, s, path)
	}
	delivered(t, s, "")
	require.Equal(t, files, outcomes("accepted")-before, "the uploads, and nothing that followed from them")
	require.Equal(t, 2*files, outcomes("own-attachment"), "what we stored was announced")
	require.GreaterOrEqual(t, outcomes("not-for-us"), 4*files, "and what we marked")
	require.Less(t, len(s.Artifactory.Requests()), 15*files)

	said, spent, own := len(s.Artifactory.Deliveries()), signaturesMade(t, s), outcomes("own-attachment")
	s.Artifactory.ForgetRequests()
	hex := strings.Repeat("0123456789abcdef", 4)
	attachments := 0
	for i := range storm {
		path := paths[i%files]
		f, _ := s.Artifactory.File(sandbox.Staging, path)
		event := standin.Event{Domain: "artifact", Repo: sandbox.Staging, User: "hallmark", SHA256: f.SHA256}
		for _, suffix := range []string{".sig", ".sigstore.json", "." + sandbox.Key + ".sig", "." + sandbox.Key + ".sigstore.json", ".sig.sig", ".sigstore.json.sig"} {
			e := event
			e.Path = path + suffix
			e.Type = "deployed"
			s.Artifactory.Emit(e)
			e.Type, e.Target = "copied", sandbox.Staging+"/"+e.Path
			s.Artifactory.Emit(e)
			e.Type, e.Path = "moved", "elsewhere/"+suffix
			s.Artifactory.Emit(e)
			attachments += 3
		}
		for _, key := range []string{"hallmark.state", "hallmark.sha256", "hallmark.keys", "hallmark.policy", "hallmark.reason"} {
			for _, typ := range []string{"added", "deleted"} {
				e := event
				e.Domain, e.Type, e.Path, e.Key, e.Values = "artifact_property", typ, path, key, []string{"signed"}
				s.Artifactory.Emit(e)
			}
		}
		for _, tag := range []string{"sha256-" + hex, "sha256-" + hex + ".sig", "sha256-" + hex + ".att"} {
			e := event
			e.Domain, e.Type, e.Path = "docker", "pushed", "app/image/"+tag+"/manifest.json"
			e.Image = &standin.Image{Name: "app/image", Tag: tag, Type: "oci"}
			s.Artifactory.Emit(e)
		}
	}
	delivered(t, s, "")
	for _, d := range s.Artifactory.Deliveries()[said:] {
		require.Equal(t, 200, d.Status, "%+v", d)
		require.Equal(t, 1, d.Tries)
	}
	require.Len(t, s.Artifactory.Deliveries(), said+storm*(6*3+5*2+3))
	require.GreaterOrEqual(t, outcomes("own-attachment")-own, attachments)
	require.Equal(t, files, outcomes("accepted")-before)
	require.Zero(t, scrape(t, s).value("hallmark_queue_depth"))
	require.Empty(t, s.Artifactory.Requests(), "nothing was even looked at")
	require.InDelta(t, spent, signaturesMade(t, s), 0)
	require.Len(t, s.Artifactory.Paths(sandbox.Staging), 3*files)
}
