package e2e

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

// second is the other instance of these tests.
const second = "second"

// policyFor signs what lies below a folder of a repository, on the named instances; "" means on all.
func policyFor(name, instances, repo, folder string) string {
	if instances != "" {
		instances = "\n  instances: [" + instances + "]"
	}
	return fmt.Sprintf(`---
kind: SigningPolicy
name: %s
owner: release-managers
match:%s
  repositories: [%s]
  paths: ["%s/**"]
sign:
  - {key: %s, formats: [sigstore, raw]}
`, name, instances, repo, folder, sandbox.Key)
}

// put is an upload by a developer to any instance.
func put(t *testing.T, at *standin.Server, repo, path, content string) {
	t.Helper()
	require.NoError(t, at.Put(sandbox.Developer, repo, path, strings.NewReader(content), nil))
}

// awaitState waits for an artifact's property.
func awaitState(t *testing.T, s *sandbox.Sandbox, at *standin.Server, repo, path, state string) {
	t.Helper()
	eventually(t, func() string { return repo + "/" + path + " is " + state + "\n" + serviceLog(t, s) }, func() bool {
		f, _ := at.File(repo, path)
		return strings.Join(f.Properties["hallmark.state"], ",") == state
	})
}

// content is what a repository holds at a path.
func content(t *testing.T, at *standin.Server, repo, path string) string {
	t.Helper()
	b, err := at.Content(repo, path)
	require.NoError(t, err)
	return string(b)
}

// Two instances with their own tokens, secrets and policies. The same path on both is two artifacts.
func TestInstancesAreKeptApart(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{
		Instances: []string{second},
		Policies:  policyFor("main-only", sandbox.Main, sandbox.Staging, "one") + policyFor("second-only", second, sandbox.Staging, "two"),
	})
	other := s.Others[second]
	for at, name := range map[*standin.Server]string{s.Artifactory: sandbox.Main, other: second} {
		for _, path := range []string{"app/x.bin", "one/x.bin", "two/x.bin"} {
			put(t, at, sandbox.Staging, path, path+" of "+name)
		}
		awaitState(t, s, at, sandbox.Staging, "app/x.bin", "signed")
		f, _ := at.File(sandbox.Staging, "app/x.bin")
		require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte("app/x.bin of "+name))), f.Properties["hallmark.sha256"][0])
		var v gate.Verdict
		hallmarkJSON(t, s, 0, &v, "gate", "check", sandbox.Staging+"/app/x.bin", "--target", sandbox.Release, "--instance", name)
		require.Equal(t, f.SHA256, v.SHA256.String())
	}
	require.NotEqual(t, content(t, s.Artifactory, sandbox.Staging, "app/x.bin.sig"), content(t, other, sandbox.Staging, "app/x.bin.sig"))

	// Each policy is held to its instance, also when somebody asks by name.
	awaitState(t, s, s.Artifactory, sandbox.Staging, "one/x.bin", "signed")
	awaitState(t, s, other, sandbox.Staging, "two/x.bin", "signed")
	for path, instance := range map[string]string{"two/x.bin": sandbox.Main, "one/x.bin": second} {
		require.Equal(t, 0, hallmark(t, s, "sign", sandbox.Staging+"/"+path, "--instance", instance).code)
		var status api.Status
		eventually(t, func() string { return path + " is looked at" }, func() bool {
			r := hallmark(t, s, "status", sandbox.Staging+"/"+path, "--instance", instance, "-o", "json")
			status = api.Status{}
			if r.code == 0 {
				readJSON(t, r.out, &status)
			}
			return !status.Pending && status.Current != nil
		})
		require.Equal(t, "skipped", status.Current.State)
		require.Equal(t, instance, status.Instance)
		require.Empty(t, status.Signatures)
	}
	r := hallmark(t, s, "status", sandbox.Staging+"/app/x.bin")
	require.NotZero(t, r.code)
	require.Contains(t, r.err, second)

	// A secret opens its own instance's door only.
	body := event("deployed", sandbox.Staging, "app/none.bin")
	for instance, secret := range map[string]string{sandbox.Main: "webhook", second: "webhook-" + second} {
		for _, target := range []string{sandbox.Main, second} {
			status, answer := send(t, s.URL+"/webhook/"+target, mac(s.Secret(secret), body), body)
			require.Equal(t, map[bool]int{true: 202, false: 401}[target == instance], status, answer)
		}
	}
	m := scrape(t, s)
	require.InDelta(t, 1, m.value("hallmark_webhook_auth_failures_total", "instance", sandbox.Main), 0)
	require.InDelta(t, 1, m.value("hallmark_webhook_auth_failures_total", "instance", second), 0)
	for _, r := range other.Requests() {
		require.NotEqual(t, 401, r.Status, "the other's token came here: %+v", r)
	}
}

// One instance answers nothing any more while it has much to do. The other is served as always; then the first, too.
func TestAnInstanceThatStopsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Instances: []string{second}, Workers: 8})
	other := s.Others[second]
	back := other.Fail(standin.Fault{Path: "/artifactory/**", Reset: true, Times: -1})
	var paths []string
	for i := range 150 {
		paths = append(paths, fmt.Sprintf("app/%03d.bin", i))
		put(t, other, sandbox.Staging, paths[i], paths[i])
	}
	require.NoError(t, other.WaitDelivered(t.Context()))
	for i := range 10 {
		upload(t, s, paths[i], "of main "+paths[i])
	}
	awaitSigned(t, s, paths[:10]...)
	for _, path := range paths {
		f, _ := other.File(sandbox.Staging, path)
		require.Empty(t, f.Properties["hallmark.state"])
	}
	eventually(t, func() string { return "the service tells\n" + complaints(t, s) }, func() bool { return strings.Contains(complaints(t, s), "takes few workers") })
	require.Positive(t, back())
	for _, path := range paths {
		awaitState(t, s, other, sandbox.Staging, path, "signed")
	}
}

// A federated repository on two instances. The same bytes get the same signatures there and here, whether the mirror
// announces what arrives, and whether signature files arrive by federation before or after Hallmark looks: the key is used
// once.
func TestFederatedMirror(t *testing.T) {
	t.Parallel()
	const fed = artifactorytest.Federated
	s := start(t, sandbox.Config{
		Instances: []string{second}, Policies: policyFor("federated", "", fed, "app"),
		Standin: func(c *standin.Config) {
			c.Repositories = append(c.Repositories, standin.Repository{Key: fed, Class: standin.Federated})
			for i := range c.Tokens {
				if c.Tokens[i].Rights != nil {
					c.Tokens[i].Rights[fed] = "rwa"
				}
			}
		},
	})
	mirror := s.Others[second]
	suffixes := []string{".sigstore.json", ".sig"}
	used := 0
	for _, mirrored := range []string{"announce", "silent"} {
		require.NoError(t, mirror.SetQuirks(standin.Quirks{Mirrored: mirrored}))
		for _, order := range []string{"file first", "signatures first", "at once", "file alone"} {
			path := "app/" + mirrored + "/" + order + ".bin"
			arrive := func(suffixes ...string) {
				for _, suffix := range suffixes {
					require.NoError(t, mirror.Mirror(fed, path+suffix, []byte(content(t, s.Artifactory, fed, path+suffix)), nil))
				}
			}
			looked := func() {
				if mirrored == "silent" { // the sweep would, or somebody asks
					require.Equal(t, 0, hallmark(t, s, "sign", fed+"/"+path, "--instance", second).code)
				}
				awaitState(t, s, mirror, fed, path, "signed")
			}
			put(t, s.Artifactory, fed, path, path)
			used++
			if order == "at once" {
				arrive("")
				looked()
			}
			awaitState(t, s, s.Artifactory, fed, path, "signed")
			switch order {
			case "file first":
				arrive("")
				looked()
				arrive(suffixes...)
			case "signatures first":
				arrive(suffixes...)
				arrive("")
				looked()
			case "file alone":
				arrive("")
				looked()
			}
			for _, suffix := range suffixes {
				require.Equal(t, content(t, s.Artifactory, fed, path+suffix), content(t, mirror, fed, path+suffix), "%s: one signature, wherever the bytes are", path)
			}
			require.Len(t, mirror.Paths(fed), used*3)
			for _, instance := range []string{sandbox.Main, second} {
				var v gate.Verdict
				hallmarkJSON(t, s, 0, &v, "gate", "check", fed+"/"+path, "--target", sandbox.Release, "--instance", instance)
				require.Len(t, v.Signatures, 2)
			}
		}
	}
	require.InDelta(t, used, signaturesMade(t, s), 0)
}
