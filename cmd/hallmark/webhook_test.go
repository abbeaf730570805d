package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/webhook"
)

// A dry run, the real one, once more, and what the others then say.
func TestGeneratedWebhookInstall(t *testing.T) {
	r := newHookRig(t)
	r.run(exitRefused, "check")
	r.run(exitUndecided, "install")
	r.run(exitOK, "list")
	r.run(exitOK, "install", "--url", r.receiver.URL, "--dry-run")
	require.Zero(t, r.writes(), "a dry run writes nothing")
	r.run(exitOK, "install", "--url", r.receiver.URL)
	before := r.writes()
	require.Equal(t, 1, before)
	r.run(exitOK, "install", "--url", r.receiver.URL+"/webhook/main")
	r.run(exitOK, "install", "-o", "json")
	require.Equal(t, before, r.writes(), "what is right already is left alone")
	r.run(exitOK, "check")
	r.run(exitOK, "list")
	r.run(exitUndecided, "remove")
	r.run(exitOK, "check", "--no-test", "-o", "json")
	r.run(exitOK, "remove", "--confirm")
	r.run(exitOK, "remove", "--confirm", "-o", "json")
	r.golden("install")
}

// Somebody changed it: check says what and why, install mends it and keeps what only the administrator knows. Other
// people's subscriptions are not touched, even under names like ours.
func TestGeneratedWebhookDrift(t *testing.T) {
	r := newHookRig(t)
	headers := []standin.Header{{Name: "X-Tenant", Value: "fw"}}
	r.change(func(s *standin.Subscription) {
		s.Enabled, s.ProjectKey, s.Handlers[0].CustomHTTPHeaders = false, "fw", headers
		s.EventFilter.Criteria.AnyFederated = true
	})
	for _, key := range []string{"hallmark-artifacts", "hallmark-main-eu-artifact", "hallmark-main-artifact-2", "audit"} {
		r.change(func(s *standin.Subscription) {
			if s.Key = key; key == "audit" {
				s.Handlers[0].URL = "https://audit.example/services/their-own-token?key=their-own-key"
			}
		})
	}
	foreign := func() []subscriptionView {
		var all []subscriptionView
		require.NoError(t, json.Unmarshal([]byte(r.run(exitOK, "list", "--all", "-o", "json")), &all))
		return slices.DeleteFunc(all, func(v subscriptionView) bool { return v.Ours })
	}
	before := foreign()
	require.Len(t, before, 4)
	require.NotContains(t, r.out.String(), "their-own")
	r.out.Reset()
	r.run(exitRefused, "check")
	r.run(exitOK, "install", "--dry-run")
	r.run(exitOK, "install")
	r.run(exitOK, "check")
	r.say("a policy with a pattern: events of every local repository")
	r.policies("[libs-staging-local, \"libs-*-local\"]")
	r.run(exitRefused, "check", "--no-test")
	r.run(exitOK, "install", "--debug", "-o", "json")
	r.run(exitOK, "list", "--all")
	require.Equal(t, before, foreign())
	require.Contains(t, r.kept("hallmark-main-artifact"), `[{"name":"X-Tenant","value":"fw"}]`, "as it was, although it is not shown")
	r.run(exitOK, "remove", "--confirm")
	require.Equal(t, before, foreign())
	r.out.Truncate(bytes.LastIndex(r.out.Bytes(), []byte("$ hallmark webhook list --all -o json")))
	r.golden("drift")
}

// The rotation, with every step tried too early first.
func TestGeneratedWebhookRotate(t *testing.T) {
	r := newHookRig(t)
	r.run(exitUndecided, "rotate")
	r.run(exitOK, "install", "--url", r.receiver.URL)
	r.out.Reset()
	r.run(exitRefused, "rotate")

	r.say("the new secret is configured, the service was not restarted")
	r.configure("webhook", "webhook-new")
	before := r.writes()
	r.run(exitRefused, "rotate")
	r.run(exitOK, "install")
	require.Equal(t, before, r.writes(), "too early: nothing is changed")
	r.run(exitRefused, "check")

	r.say("the service was restarted")
	r.restart()
	r.run(exitOK, "check")
	r.run(exitOK, "rotate")
	r.run(exitOK, "rotate", "-o", "json")
	r.run(exitOK, "install")
	require.Equal(t, before+1, r.writes(), "one write, and install does not undo it")

	r.say("five minutes later the old one is taken out, and the service restarted")
	r.configure("webhook-new")
	r.restart()
	r.run(exitOK, "check")

	r.say("wrong order: the secret was replaced in the configuration alone")
	r.configure("webhook-newest")
	r.restart()
	r.run(exitRefused, "check")
	r.run(exitOK, "rotate")
	r.run(exitOK, "check")

	r.configure("webhook", "webhook")
	require.Contains(t, r.run(exitUndecided, "rotate"), "the same secret")
	r.golden("rotate")
}

// Somebody else's subscription keeps its secret through a rotation: the old one must stay until that is gone, and what it
// alone announces is not thrown away lightly.
func TestGeneratedWebhookRotateBesideForeign(t *testing.T) {
	r := newHookRig(t)
	r.run(exitOK, "install", "--url", r.receiver.URL)
	theirs := func(key, url string, on, signing bool, domain string, types ...string) {
		r.change(func(s *standin.Subscription) {
			s.Key, s.Enabled, s.Handlers[0].URL, s.Handlers[0].UseSecretForSigning = key, on, url, signing
			s.EventFilter.Domain, s.EventFilter.EventTypes = domain, types
			if domain == "build" {
				s.EventFilter.Criteria = standin.Criteria{AnyBuild: true}
			}
		})
	}
	alias := strings.Replace(r.receiver.URL, "127.0.0.1", "localhost", 1) + "/webhook/main"
	r.named[strings.TrimSuffix(alias, "/webhook/main")] = "https://alias.example"
	theirs("ci-builds", alias, true, true, "build", "promoted")
	theirs("by-hand", r.receiver.URL+"/webhook/main", true, true, "artifact", "deployed")
	theirs("deletions", r.receiver.URL+"/webhook/main?from=us", true, true, "artifact", "deleted")
	theirs("plain", r.receiver.URL+"/webhook/main", true, false, "artifact", "deployed")
	theirs("off", r.receiver.URL+"/webhook/main", false, true, "artifact", "deployed")
	theirs("of-another", r.receiver.URL+"/webhook/main-eu", true, true, "artifact", "deployed")
	r.out.Reset()
	r.run(exitRefused, "rotate")
	r.run(exitRefused, "check")
	r.run(exitOK, "install")

	r.say("the new secret is configured, and the service restarted")
	r.configure("webhook", "webhook-new")
	r.restart()
	r.run(exitRefused, "rotate")
	r.run(exitRefused, "rotate", "-o", "json")

	r.say("the old one was taken out too early")
	r.configure("webhook-newest")
	r.restart()
	r.run(exitRefused, "rotate")

	r.say("somebody removed them")
	r.configure("webhook-newest", "webhook")
	r.restart()
	for _, key := range []string{"ci-builds", "by-hand"} {
		r.drop(key)
	}
	require.Contains(t, r.run(exitRefused, "rotate"), "deletions")
	r.drop("deletions")
	r.run(exitOK, "rotate")
	r.run(exitOK, "check")
	r.golden("foreign")
}

// What the configuration says about instances and their proof is what is asked for.
func TestWebhookInstances(t *testing.T) {
	r := newHookRig(t)
	file := filepath.Join(r.dir, "hallmark.yaml")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	second := "  - {name: edge, url: \"" + r.standin.URL() + "\", token: {file: artifactory}, webhookSecrets: [{file: webhook-new}], webhookAuth: plain}\n"
	r.write("hallmark.yaml", strings.Replace(string(content), "tokens:", second+"tokens:", 1))
	require.Contains(t, r.run(exitUndecided, "list"), "choose one with --instance: main, edge")
	out := r.run(exitOK, "install", "--instance", "edge", "--url", r.receiver.URL, "--no-test")
	require.Contains(t, out, "CREATED  hallmark-edge-artifact")
	require.Contains(t, out, "webhookAuth is plain")
	require.NotContains(t, r.run(exitOK, "list", "--instance", "edge", "-o", "json"), "\"use_secret_for_signing\": true")
	require.Contains(t, r.run(exitOK, "list", "--instance", "main"), "no subscription")
	require.Contains(t, r.run(exitOK, "remove", "--instance", "main", "--confirm"), "there was none")

	policies := filepath.Join(r.dir, "policies", "release.yaml")
	content, err = os.ReadFile(policies)
	require.NoError(t, err)
	limited := strings.NewReplacer("match: {", "match: {instances: [main], ", "target: {", "target: {instances: [main], ").Replace(string(content))
	require.NoError(t, os.WriteFile(policies, []byte(limited), 0o600))
	require.Contains(t, r.run(exitUndecided, "check", "--instance", "edge"), "no policy is about the instance edge")
}

// What Artifactory refuses is said with what to do about it, and nothing is left half done.
func TestGeneratedWebhookRefusals(t *testing.T) {
	r := newHookRig(t)
	none := func() {
		t.Helper()
		require.Zero(t, r.writes())
	}
	r.run(exitUndecided, "install", "--url", "hallmark.example")
	r.run(exitUndecided, "install", "--url", "https://hallmark.example/?secret=x")
	r.run(exitUndecided, "install", "--url", r.receiver.URL, "--instance", "mein")
	r.run(exitUndecided, "install", "--url", r.receiver.URL, "--admin-token-file", filepath.Join(r.dir, "ci.token"))
	r.run(exitUndecided, "install", "--url", r.receiver.URL, "--admin-token-file", filepath.Join(r.dir, "webhook"))
	r.run(exitUndecided, "install", "--url", r.receiver.URL, "--admin-token-file", "")
	none()

	r.say("the event service is not behind this address")
	disarm := r.standin.Fail(standin.Fault{Path: "/event/**", Status: http.StatusNotFound, Times: -1})
	r.run(exitUndecided, "check")
	disarm()

	r.say("Artifactory refuses the address when the subscription is made")
	disarm = r.standin.Fail(standin.Fault{
		Method: http.MethodPost, Path: "/event/api/v1/subscriptions", Status: http.StatusBadRequest, Times: -1,
		Body: `{"errors":[{"code":"BAD_REQUEST","message":"handlers[0].url: target address is not allowed"}]}`,
	})
	r.run(exitUndecided, "install", "--url", r.receiver.URL)
	require.Empty(t, r.list())
	disarm()

	r.say("the service has another secret")
	r.configure("webhook-new")
	before := r.writes()
	r.run(exitUndecided, "install", "--url", r.receiver.URL)
	require.Equal(t, before, r.writes())

	r.say("nothing answers there")
	r.run(exitUndecided, "install", "--url", "http://127.0.0.1:1")

	r.say("the service does not run yet")
	r.run(exitOK, "install", "--url", r.receiver.URL, "--no-test")
	r.run(exitRefused, "check")

	r.say("secrets that will not do")
	r.write("webhook-new", "too short\n")
	r.run(exitUndecided, "install")
	r.write("webhook-new", "sixteen or more\x00characters\n")
	r.run(exitUndecided, "install")
	r.golden("refusals")
}

func (r *hookRig) list() string {
	var out bytes.Buffer
	require.Equal(r.t, exitOK, run(r.t.Context(), []string{"webhook", "list", "-o", "json"}, &out, &out))
	return strings.Trim(out.String(), "[]\n ")
}

// An answer that got lost does not matter; a server that keeps something else than it was sent is found out.
func TestWebhookInstallOverFaults(t *testing.T) {
	r := newHookRig(t)
	r.standin.Fail(standin.Fault{Method: http.MethodPost, Path: "/event/api/v1/subscriptions", When: standin.After, Reset: true})
	r.run(exitOK, "install", "--url", r.receiver.URL)
	r.change(func(s *standin.Subscription) { s.Enabled = false })
	disarm := r.standin.Fail(standin.Fault{Method: http.MethodPut, Path: "/event/**", When: standin.After, Status: http.StatusBadGateway, Times: -1})
	r.run(exitOK, "install")
	disarm()
	r.run(exitOK, "check")

	r.standin.Fail(standin.Fault{
		Method: http.MethodGet, Path: "/event/api/v1/subscriptions/*", Times: -1,
		Do: func(*http.Request) { r.change(func(s *standin.Subscription) { s.Enabled = false }) },
	})
	r.change(func(*standin.Subscription) {})
	require.Contains(t, r.run(exitUndecided, "install"), "enabled is false, not true")
}

// Releases that do not know anyFederated refuse it, even false.
func TestWebhookInstallOnOlderReleases(t *testing.T) {
	r := newHookRig(t)
	require.NoError(t, r.standin.SetQuirks(standin.Quirks{AnyFederated: "refuse"}))
	r.run(exitOK, "install", "--url", r.receiver.URL)
	r.change(func(s *standin.Subscription) { s.Enabled = false; s.Handlers[0].UseSecretForSigning = true })
	require.Contains(t, r.run(exitOK, "install"), "UPDATED")
	r.run(exitOK, "check")
	r.run(exitRefused, "rotate")
}

// Images are announced in a domain of their own, which is subscribed to when a policy signs images.
func TestWebhookInstallForImages(t *testing.T) {
	r := newHookRig(t)
	require.NotContains(t, r.run(exitOK, "install", "--url", r.receiver.URL), "hallmark-main-docker")
	r.policies("[" + artifactorytest.Staging + "]")
	r.write("policies/images.yaml", `kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [oci-staging-local]}
sign: [{key: release-2026, formats: [cosign]}]
`)
	require.Contains(t, r.run(exitRefused, "check", "--url", r.receiver.URL), "hallmark-main-docker")
	out := r.run(exitOK, "install", "--url", r.receiver.URL)
	require.Contains(t, out, "CREATED  hallmark-main-docker")
	require.Contains(t, out, "docker: pushed, promoted")
	r.run(exitOK, "check")
}

// Builds are announced when a policy asks for them by name, and as it does; mended like everything else.
func TestWebhookInstallForBuilds(t *testing.T) {
	r := newHookRig(t)
	require.NotContains(t, r.run(exitOK, "install", "--url", r.receiver.URL), "hallmark-main-build")
	r.write("policies/builds.yaml", `kind: SigningPolicy
name: builds
owner: release-managers
match: {repositories: [`+artifactorytest.Release+`], events: [build/promoted, artifact/copied]}
sign: [{key: release-2026, formats: [raw]}]
`)
	require.Contains(t, r.run(exitRefused, "check", "--url", r.receiver.URL), "hallmark-main-build")
	out := r.run(exitOK, "install", "--url", r.receiver.URL)
	require.Regexp(t, `CREATED  hallmark-main-build\n.*\n  events   build: promoted\n  in       every build\n  secret`, out)
	r.run(exitOK, "check")
	kept := r.kept("hallmark-main-build")
	require.Contains(t, kept, `"anyBuild":true`)
	require.Contains(t, r.run(exitOK, "list"), "every build")
	require.Contains(t, r.run(exitOK, "install"), "UNCHANGED  hallmark-main-build")
}

const bundlePolicy = `kind: SigningPolicy
name: bundles
owner: release-managers
match: {repositories: [release-bundles-v2], paths: ["*/*/release-bundle.json.evd"]}
sign: [{key: release-2026, formats: [evidence]}]
`

// Release bundles are announced where a policy needs it. Promotions need to know of environments: until somebody names
// them install says what it left out, and check that something is missing.
func TestGeneratedWebhookInstallForBundles(t *testing.T) {
	r := newHookRig(t)
	require.NotContains(t, r.run(exitOK, "install", "--url", r.receiver.URL, "-o", "json"), "bundle")
	r.write("policies/bundles.yaml", bundlePolicy)
	r.out.Reset()
	r.run(exitOK, "install", "--url", r.receiver.URL)
	r.run(exitOK, "install", "-o", "json")
	require.Contains(t, r.kept("hallmark-main-release_bundle_v2"), `"anyReleaseBundle":true`)
	r.run(exitRefused, "check")
	r.run(exitUndecided, "install", "--url", r.receiver.URL, "--environment", "DEV,PROD")
	r.run(exitOK, "install", "--url", r.receiver.URL, "--environment", "PROD", "--environment", "DEV")
	require.Contains(t, r.kept("hallmark-main-release_bundle_v2_promotion"), `"selectedEnvironments":["PROD","DEV"]`)
	r.run(exitOK, "check")

	r.say("what the configuration says goes before what the subscription has")
	config := filepath.Join(r.dir, "hallmark.yaml")
	content, err := os.ReadFile(config)
	require.NoError(t, err)
	r.write("hallmark.yaml", strings.Replace(string(content), "    token: {file: artifactory}\n", "    token: {file: artifactory}\n    environments: [PROD]\n", 1))
	r.run(exitRefused, "check", "--no-test")
	r.run(exitUndecided, "install", "--environment", "DEV")
	r.run(exitOK, "install")
	r.run(exitOK, "list")
	r.golden("bundles")
}

// A promotion's events alone are subscribed to when a policy names nothing else; a rotation leaves the criteria alone.
func TestWebhookInstallForNamedBundleEvents(t *testing.T) {
	r := newHookRig(t)
	r.write("policies/bundles.yaml", `kind: SigningPolicy
name: contents
owner: release-managers
match: {repositories: [`+artifactorytest.Release+`], events: [release_bundle_v2_promotion/release_bundle_v2_promotion_completed]}
sign: [{key: release-2026, formats: [raw]}]
`)
	out := r.run(exitOK, "install", "--url", r.receiver.URL, "--environment", "PROD")
	require.NotContains(t, out, "hallmark-main-release_bundle_v2\n")
	require.Regexp(t, `CREATED  hallmark-main-release_bundle_v2_promotion\n.*\n  events   release_bundle_v2_promotion: release_bundle_v2_promotion_completed\n  in       PROD\n  secret`, out)
	before := r.kept("hallmark-main-release_bundle_v2_promotion")
	r.configure("webhook", "webhook-new")
	r.restart()
	r.run(exitOK, "rotate")
	r.run(exitOK, "check")
	after := r.kept("hallmark-main-release_bundle_v2_promotion")
	require.NotEqual(t, before, after)
	require.Contains(t, after, `"selectedEnvironments":["PROD"]`)

	r.change(func(s *standin.Subscription) {
		s.Key = "hallmark-main-release_bundle_v2_promotion"
		s.EventFilter = standin.EventFilter{Domain: "release_bundle_v2", EventTypes: []string{"release_bundle_v2_completed"}, Criteria: standin.Criteria{SelectedReleaseBundles: []string{"suite"}}}
	})
	require.Contains(t, r.run(exitRefused, "check"), "hallmark-main-release_bundle_v2_promotion: incomplete")
	require.Contains(t, r.run(exitOK, "install", "--environment", "PROD"), "suite")
	r.run(exitOK, "check")
}

// Whatever is asked for is something that the receiver can act on, and a key is ours only when it is exactly so.
func TestSubscribedEventsAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, s := range subscribed {
		for _, typ := range s.types {
			require.Contains(t, webhook.Events(), s.domain+"/"+typ)
		}
		require.NotContains(t, s.domain, "-")
		require.True(t, ours("main", subscriptionName("main", s.domain)))
		require.False(t, ours("main", subscriptionName("main-eu", s.domain)))
	}
	for _, key := range []string{"", "hallmark-main-", "hallmark-artifacts", "hallmark-main-artifact-", "Hallmark-main-artifact", "hallmark-main-prod"} {
		require.False(t, ours("main", key), key)
	}
}
