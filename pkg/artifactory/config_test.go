package artifactory_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	good := artifactory.Config{Name: "main", URL: "https://acme.example", Token: artifactory.SecretFile{File: "/run/secrets/token"}}
	require.NoError(t, good.Validate())
	for name, tc := range map[string]struct {
		change func(*artifactory.Config)
		want   string
	}{
		"no name":        {func(c *artifactory.Config) { c.Name = "" }, "name"},
		"odd name":       {func(c *artifactory.Config) { c.Name = "a/b" }, "name"},
		"no URL":         {func(c *artifactory.Config) { c.URL = "" }, "url must be"},
		"bare host":      {func(c *artifactory.Config) { c.URL = "acme.example" }, "url must be"},
		"file URL":       {func(c *artifactory.Config) { c.URL = "file:///x" }, "url must be"},
		"password":       {func(c *artifactory.Config) { c.URL = "https://u:hunter2@acme.example" }, "token.file"},
		"broken URL":     {func(c *artifactory.Config) { c.URL = "https://u:hunter2@acme\x7f" }, "cannot be parsed"},
		"query":          {func(c *artifactory.Config) { c.URL = "https://acme.example?a=b" }, "'?'"},
		"no token":       {func(c *artifactory.Config) { c.Token.File = "" }, "token.file"},
		"webhook auth":   {func(c *artifactory.Config) { c.WebhookAuth = "sha1" }, "webhookAuth"},
		"webhook secret": {func(c *artifactory.Config) { c.WebhookSecrets = []artifactory.SecretFile{{}} }, "webhookSecrets[0]"},
		"environment":    {func(c *artifactory.Config) { c.Environments = []string{"PROD", ""} }, "environments"},
		"environments":   {func(c *artifactory.Config) { c.Environments = []string{"DEV,PROD"} }, "one name"},
		"twice":          {func(c *artifactory.Config) { c.Environments = []string{"DEV", "DEV"} }, "twice"},
		"semicolon":      {func(c *artifactory.Config) { c.PathSemicolon = "keep" }, "pathSemicolon"},
		"concurrency":    {func(c *artifactory.Config) { c.MaxConcurrent = -1 }, "maxConcurrent"},
		"timeout":        {func(c *artifactory.Config) { c.Timeout = -1 }, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := good
			tc.change(&bad)
			err := bad.Validate()
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://acme.example":               "https://acme.example/artifactory",
		"https://acme.example/":              "https://acme.example/artifactory",
		"https://acme.example/artifactory/":  "https://acme.example/artifactory",
		"https://acme.example/jfrog":         "https://acme.example/jfrog/artifactory",
		"http://127.0.0.1:8082/artifactory":  "http://127.0.0.1:8082/artifactory",
		"https://acme.example/a%20b//":       "https://acme.example/a%20b/artifactory",
		"https://acme.example/myartifactory": "https://acme.example/myartifactory/artifactory",
	} {
		require.Equal(t, want, newClient(t, in).URL(), in)
	}
}

func TestNewNamesTheSecretFileThatIsMissing(t *testing.T) {
	t.Parallel()
	opts := artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for file, want := range map[string]string{filepath.Join(dir, "nowhere"): "no such file", empty: "is empty"} {
		_, err := artifactory.New(artifactory.Config{Name: "main", URL: "https://acme.example", Token: artifactory.SecretFile{File: file}}, opts)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, file)
	}
	_, err := artifactory.New(artifactory.Config{Name: "main", URL: "https://acme.example", Token: secret(t, "x"), CA: empty}, opts)
	require.ErrorContains(t, err, "no PEM certificate")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	h, _ := flaky(1, status(500))
	url := serve(t, h).URL
	first := newClientWith(t, reg, url)
	second := newClientWith(t, reg, url, func(cfg *artifactory.Config) { cfg.Name = "second" })
	require.NoError(t, first.Ping(t.Context()))
	require.NoError(t, second.Ping(t.Context()))

	got := map[string]float64{}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	const requests = "hallmark_artifactory_requests_total ping "
	require.InDelta(t, 1, got[requests+"main 5xx"], 0)
	require.InDelta(t, 1, got[requests+"main 2xx"], 0)
	require.InDelta(t, 1, got[requests+"second 2xx"], 0)
	require.InDelta(t, 3, got["hallmark_artifactory_request_seconds ping"], 0)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
