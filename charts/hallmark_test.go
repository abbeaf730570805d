package charts_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		out, err := helm(t, "lint", "--strict", "hallmark", "-f", values(set))
		require.NoError(t, err, out)
	}
}

// The golden files are also what a test of cmd/hallmark loads with the service's own loader.
func TestTemplate(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			out, err := helm(t, "template", "signing", "hallmark", "--namespace", "signing", "-f", values(set))
			require.NoError(t, err, out)
			golden := filepath.Join("testdata", set+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "write it with: go test ./charts -update")
			require.Equal(t, string(want), out, "when this is meant: go test ./charts -update")
		})
	}
}

// Every file that hallmark.yaml names lies on a mounted volume, and every volume that is mounted exists.
func TestFilesAreMounted(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			all := render(t, set)
			pods := workload(t, all)
			pod := object{"spec": pods.at("spec", "template", "spec")}
			volumes := map[string]bool{}
			for _, v := range pods.list("spec", "volumeClaimTemplates") {
				volumes[v.text("metadata", "name")] = true
			}
			for _, v := range pod.list("spec", "volumes") {
				volumes[v.text("name")] = true
			}
			var mounts []string
			for _, m := range pod.list("spec", "containers", 0, "volumeMounts") {
				require.True(t, volumes[m.text("name")], "volume %s", m.text("name"))
				mounts = append(mounts, m.text("mountPath"))
			}
			config := objects(t, find(t, all, "ConfigMap", "signing-hallmark").text("data", "hallmark.yaml"))[0]
			named := files(map[string]any(config), "")
			require.NotEmpty(t, named)
			for _, file := range named {
				require.True(t, mounted(file, mounts), "%s is not below any of %v", file, mounts)
			}
		})
	}
}

// files gathers the values of keys that name files and directories, and the SQLite database's path. A module may be
// part of the image.
func files(v any, key string) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			out = append(out, files(inner, k)...)
		}
	case []any:
		for _, inner := range v {
			out = append(out, files(inner, key)...)
		}
	case string:
		switch {
		case strings.HasPrefix(v, "sqlite://"):
			out = append(out, strings.TrimPrefix(v, "sqlite://"))
		case key == "file", key == "certificate", key == "former", key == "key" && strings.HasPrefix(v, "/"):
			out = append(out, v)
		}
	}
	return out
}

func mounted(file string, mounts []string) bool {
	for _, m := range mounts {
		if strings.HasPrefix(path.Clean(file), m+"/") {
			return true
		}
	}
	return false
}

// What must hold however the golden files change.
func TestPodIsConfined(t *testing.T) {
	t.Parallel()
	for _, set := range sets {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			all := render(t, set)
			require.False(t, has(all, "Secret"), "secrets are only referred to")
			pod := object{"spec": workload(t, all).at("spec", "template", "spec")}
			require.Equal(t, false, pod.at("spec", "automountServiceAccountToken"))
			require.Equal(t, true, pod.at("spec", "securityContext", "runAsNonRoot"))
			require.Equal(t, 10001, pod.at("spec", "securityContext", "runAsUser"))
			require.Equal(t, "RuntimeDefault", pod.at("spec", "securityContext", "seccompProfile", "type"))
			container := pod.list("spec", "containers")[0]
			require.Equal(t, true, container.at("securityContext", "readOnlyRootFilesystem"))
			require.Equal(t, false, container.at("securityContext", "allowPrivilegeEscalation"))
			require.Equal(t, []any{"ALL"}, container.at("securityContext", "capabilities", "drop"))
			for _, v := range pod.list("spec", "volumes") {
				if v.at("secret") != nil {
					require.Equal(t, 0o440, v.at("secret", "defaultMode"), "others must not read %s", v.text("name"))
				}
			}
		})
	}
}

func TestReplicasFollowTheDatabase(t *testing.T) {
	t.Parallel()
	lite := render(t, "sqlite")
	require.Equal(t, "Recreate", find(t, lite, "Deployment", "").text("spec", "strategy", "type"))
	require.Equal(t, "keep", find(t, lite, "PersistentVolumeClaim", "").text("metadata", "annotations", "helm.sh/resource-policy"))
	require.False(t, has(lite, "PodDisruptionBudget"))
	require.Equal(t, 45, find(t, lite, "Deployment", "").at("spec", "template", "spec", "terminationGracePeriodSeconds"), "30 s of server.drain and 15 more")

	many := render(t, "postgres")
	require.Equal(t, "RollingUpdate", find(t, many, "Deployment", "").text("spec", "strategy", "type"))
	require.False(t, has(many, "PersistentVolumeClaim"))
	require.True(t, has(many, "PodDisruptionBudget"))
	require.False(t, has(render(t, "postgres", "--set", "replicas=1"), "PodDisruptionBudget"))
	require.False(t, has(render(t, "postgres", "--set", "networkPolicy.enabled=false"), "NetworkPolicy"))
}

// With a log of key use every replica keeps its name and a volume of its own, and loses neither with the chart. On SQLite the
// log lies beside the ledger.
func TestTheLogIsKept(t *testing.T) {
	t.Parallel()
	many := render(t, "trust")
	set := workload(t, many)
	require.Equal(t, "StatefulSet", set.text("kind"))
	require.Equal(t, "signing-hallmark-metrics", set.text("spec", "serviceName"))
	require.Equal(t, map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"}, set.at("spec", "persistentVolumeClaimRetentionPolicy"))
	claim := set.list("spec", "volumeClaimTemplates")[0]
	require.Equal(t, "data", claim.text("metadata", "name"))
	require.Equal(t, "20Gi", claim.text("spec", "resources", "requests", "storage"))
	require.False(t, has(many, "PersistentVolumeClaim"))

	one := render(t, "trust", "--set", "database.url=", "--set", "replicas=1")
	require.Nil(t, workload(t, one).at("spec", "volumeClaimTemplates"))
	require.Equal(t, "keep", find(t, one, "PersistentVolumeClaim", "").text("metadata", "annotations", "helm.sh/resource-policy"))
	for _, v := range workload(t, one).list("spec", "template", "spec", "volumes") {
		if v.text("name") == "data" {
			require.Equal(t, "signing-hallmark", v.text("persistentVolumeClaim", "claimName"))
		}
	}
}

// A change of configuration starts new pods, because it is read at the start only; a change of policies does not: the
// running service takes them up, and broken ones must not keep a pod from starting.
func TestChangesStartNewPods(t *testing.T) {
	t.Parallel()
	sum := func(args ...string) string {
		return find(t, render(t, "sqlite", args...), "Deployment", "").text("spec", "template", "metadata", "annotations", "checksum/config")
	}
	before := sum()
	require.Len(t, before, 64)
	require.Equal(t, before, sum("--set", "service.port=9999"))
	require.NotEqual(t, before, sum("--set", "config.queue.workers=3"))
	require.Equal(t, before, sum("--set", "policies.files.more\\.yaml=x"))
	require.NotEqual(t, before, sum("--set", "policies.noMatch=deny"))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"several replicas on SQLite":  {[]string{"--set", "replicas=2"}, "set database.url to a PostgreSQL database"},
		"no image":                    {[]string{"--set", "image.repository="}, "image/repository"},
		"no choice of noMatch":        {[]string{"--set", "policies.noMatch="}, "noMatch"},
		"no policies":                 {[]string{"--set", "policies.files=null"}, "policies: set files, or existingConfigMap"},
		"policies twice":              {[]string{"--set", "policies.existingConfigMap=x"}, "not both"},
		"no key":                      {[]string{"--set", "config.keys=null"}, "config.keys is empty"},
		"unknown value":               {[]string{"--set", "replica=1"}, "replica"},
		"unknown section":             {[]string{"--set", "config.artefactory=x"}, "artefactory"},
		"unknown key of a section":    {[]string{"--set", "config.queue.worker=3"}, "worker"},
		"text for a number":           {[]string{"--set", "config.queue.workers=many"}, "workers"},
		"a section the chart writes":  {[]string{"--set", "config.server.listen=:1"}, "server"},
		"a secret that is no file":    {[]string{"--set", "config.tokens[0].pin=1234"}, "pin"},
		"a secret that is not there":  {[]string{"--set", "config.tokens[0].pin.file=/etc/hallmark/secrets/luna/pin"}, "/etc/hallmark/secrets/luna/pin is named in config"},
		"a password in the URL":       {[]string{"--set", "database.url=postgres://u:secret@h/d"}, "database/url"},
		"a file that is not a policy": {[]string{"--set", "policies.files.release\\.yml=x"}, "'release.yml' does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := helm(t, append([]string{"template", "x", "hallmark", "-f", values("sqlite")}, c.args...)...)
			require.Error(t, err, out)
			require.Contains(t, out, c.want)
		})
	}
}

// The notes name the next steps, with the objects that were made.
func TestNotes(t *testing.T) {
	t.Parallel()
	for set, want := range map[string][]string{
		"sqlite":     {"exec deploy/signing-hallmark -- hallmark doctor", "POST /webhook/main", "plain HTTP"},
		"postgres":   {"3 replica(s)", "PostgreSQL", "POST /webhook/lab", "https://ADDRESS"},
		"trust":      {"exec statefulset/signing-hallmark -- hallmark doctor"},
		"vendor-hsm": {"maintenance", "hallmark keys generate release-2026 --token hsm"},
	} {
		out, err := helm(t, "install", "signing", "hallmark", "--namespace", "signing", "--dry-run=client", "-f", values(set))
		require.NoError(t, err, out)
		_, notes, found := strings.Cut(out, "NOTES:")
		require.True(t, found)
		for _, text := range want {
			require.Contains(t, notes, text)
		}
	}
}

// The alert rules reach Prometheus as they stand in the file.
func TestAlertsAreTheFile(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("hallmark", "alerts.yaml"))
	require.NoError(t, err)
	file := objects(t, string(content))[0]
	require.NotEmpty(t, file.list("groups", 0, "rules"))
	rule := find(t, render(t, "postgres"), "PrometheusRule", "")
	require.Equal(t, file.at("groups"), rule.at("spec", "groups"))
}

// The values that docs/operators.md shows render, in maintenance as printed, and as a service when its key and policies
// are filled in.
func TestOperatorsValues(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "docs", "operators.md"))
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)```yaml\n(# values.yaml\n.*?)```").FindStringSubmatch(string(content))
	require.NotNil(t, m)
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, []byte(m[1]), 0o600))
	out, err := helm(t, "template", "hallmark", "hallmark", "-f", file)
	require.NoError(t, err, out)
	require.Contains(t, out, "sleep infinity")

	out, err = helm(t, "template", "hallmark", "hallmark", "-f", file, "--set", "maintenance=false",
		"--set", "config.keys[0].name=k,config.keys[0].token=hsm,config.keys[0].lane=release",
		"--set", "policies.files.release\\.yaml=x")
	require.NoError(t, err, out)
	require.Contains(t, out, "args: [serve,")
}
