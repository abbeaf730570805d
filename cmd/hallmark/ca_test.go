package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// caRig is a configuration with two tokens: one for the service, one for the root.
type caRig struct {
	t         *testing.T
	dir, file string
	hsm, safe *hsmtest.Token
	tokens    string
}

func newCARig(t *testing.T) *caRig {
	t.Helper()
	r := &caRig{t: t, dir: t.TempDir(), hsm: hsmtest.NewToken(t), safe: hsmtest.NewToken(t)}
	r.safe.Name = "safe"
	r.tokens = "tokens:\n"
	for _, tok := range []*hsmtest.Token{r.hsm, r.safe} {
		r.tokens += fmt.Sprintf("  - {name: %s, module: %s, label: %s, pin: {file: %s}}\n", tok.Name, tok.Module, tok.Label, tok.PINFile)
	}
	r.file = filepath.Join(r.dir, "hallmark.yaml")
	r.configure("")
	return r
}

func (r *caRig) configure(more string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.file, []byte(r.tokens+more), 0o600))
}

func (r *caRig) run(args ...string) result {
	r.t.Helper()
	return command(r.t, append(args, "--config", r.file)...)
}

// json runs a command that must end well and reads its answer.
func (r *caRig) json(into any, args ...string) {
	r.t.Helper()
	got := r.run(append(args, "-o", "json")...)
	require.Equal(r.t, exitOK, got.code, "%s%s", got.out, got.err)
	reflect.ValueOf(into).Elem().SetZero()
	require.NoError(r.t, json.Unmarshal([]byte(got.out), into))
}

func (r *caRig) path(name string) string { return filepath.Join(r.dir, "trust", name) }

// keysOf is the printed configuration without its trust section.
func keysOf(yaml string) string {
	keys, _, _ := strings.Cut(yaml, "trust:\n")
	return keys
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	require.NoError(t, err, "openssl %v: %s", args, out)
	return string(out)
}

var caInit = []string{"ca", "init", "--token", "hsm", "--root-token", "safe", "--issuer", "https://hallmark.example:8443", "--organization", "Example", "--suffix", "2026"}

// The whole life: made once, found again, shown, renewed by the root; afterwards the root's token may be away.
func TestCA(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	var made authorities
	r.json(&made, caInit...)
	require.Len(t, made.Keys, 5)
	for _, k := range made.Keys {
		require.True(t, k.Made, k.Name)
		require.Equal(t, map[bool]string{true: "safe", false: "hsm"}[k.Use == hsm.UseRoot], k.Token)
		require.Equal(t, string(k.Use)+"-2026", k.Name)
	}
	require.Equal(t, "P-384", made.Keys[0].Algorithm)
	require.Len(t, made.Certificates, 3)
	for _, c := range made.Certificates {
		require.Empty(t, c.Problem+c.Warning, c.Kind)
		require.NotEmpty(t, c.Key)
		require.Equal(t, "O=Example", c.Subject[strings.LastIndex(c.Subject, ",")+1:])
	}
	require.Equal(t, `trust:
  issuer: https://hallmark.example:8443
  root: {certificate: trust/root.pem}
  ca: {key: issuer-2026, certificate: trust/issuing.pem, sct: sct-2026}
  log: {dir: log, origin: hallmark.example, key: log-2026}
  time: {key: timestamp-2026, certificate: trust/timestamping.pem}
`, strings.TrimPrefix(made.YAML, keysOf(made.YAML)))
	openssl(t, "verify", "-x509_strict", "-CAfile", r.path("root.pem"), r.path("issuing.pem"))
	openssl(t, "verify", "-x509_strict", "-CAfile", r.path("root.pem"), "-purpose", "timestampsign", r.path("timestamping.pem"))
	before, err := os.ReadFile(r.path("root.pem"))
	require.NoError(t, err)

	// Again, before and after the configuration knows the keys: nothing is made twice.
	var again authorities
	r.json(&again, caInit...)
	for _, k := range again.Keys {
		require.False(t, k.Made, k.Name)
		require.False(t, k.Known, k.Name)
	}
	require.Equal(t, made.YAML, again.YAML)
	require.Equal(t, made.Certificates, again.Certificates)
	r.configure(keysOf(made.YAML))
	r.json(&again, caInit...)
	require.True(t, strings.HasPrefix(again.YAML, "trust:\n"), again.YAML)
	after, err := os.ReadFile(r.path("root.pem"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	shown := r.run("ca", "show")
	require.Equal(t, exitOK, shown.code, shown.err)
	require.Contains(t, shown.out, "Hallmark Issuing 2026")
	require.Contains(t, shown.out, "issuer-2026")
	listed := r.run("keys", "list")
	for _, use := range hsm.Uses()[1:] {
		require.Contains(t, listed.out, string(use)+"-2026")
	}

	// The root renews what stands below it; the old certificate is kept, what it signed still needs it.
	var renewed issued
	r.json(&renewed, "ca", "issue", "issuing", "--life", "240h")
	require.NotEqual(t, made.Certificates[1].Serial, renewed.Certificate.Serial)
	require.Equal(t, made.Certificates[1].SPKI, renewed.Certificate.SPKI)
	require.Equal(t, made.Certificates[1].Subject, renewed.Certificate.Subject)
	require.Equal(t, "renew it: hallmark ca issue issuing", renewed.Certificate.Warning)
	old, err := readCertificates(renewed.Kept)
	require.NoError(t, err)
	require.Equal(t, made.Certificates[1].Serial, old[0].SerialNumber.Text(16))
	openssl(t, "verify", "-x509_strict", "-CAfile", r.path("root.pem"), r.path("issuing.pem"))
	shown = r.run("ca", "show")
	require.Equal(t, exitOK, shown.code, shown.err)
	require.Contains(t, shown.out, "warning  "+r.path("issuing.pem"))
	got := r.run("ca", "issue", "timestamping", "--out", r.path("timestamping.pem"))
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "is there already")
	require.NotContains(t, got.err, "--replace", "there is no such flag")
	got = r.run("ca", "issue", "issuing", "--life", "200000h")
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "ends after the root does")
	r.json(&renewed, "ca", "issue", "timestamping", "--out", r.path("timestamping-2027.pem"), "--name", "Time 2027")
	require.Empty(t, renewed.Kept)

	// The root's token is taken away: renewing is not possible, everything else is.
	require.NoError(t, os.Remove(r.safe.Module))
	require.NoError(t, os.Remove(r.safe.PINFile))
	got = r.run("ca", "issue", "issuing")
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "safe")
	require.Equal(t, exitOK, r.run("ca", "show").code)
	c, err := loadTokens(r.file)
	require.NoError(t, err)
	ring, err := hsm.Open(t.Context(), values(c.Tokens), values(c.Keys), hsm.Options{})
	require.NoError(t, err)
	defer ring.Close()
	issuer, err := ring.Service("issuer-2026", hsm.UseIssuer)
	require.NoError(t, err)
	sct, err := ring.Service("sct-2026", hsm.UseSCT)
	require.NoError(t, err)
	chain, err := c.filesIn("").chain(trust.KindIssuing)
	require.NoError(t, err)
	a, err := trust.NewAuthority(trust.AuthorityConfig{Key: issuer, Chain: chain, SCT: sct, Issuer: "https://hallmark.example:8443"})
	require.NoError(t, err)
	_, err = a.Issue(t.Context(), trust.Request{Public: sct.Public(), Identity: "https://hallmark.example:8443/keys/release-2026", Announce: unlogged})
	require.NoError(t, err)
}

// What ca init is asked for and cannot keep is an error, before anything is made; another issuer gets another log.
func TestCAInitKeepsItsWord(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	again := []string{"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example:8443", "--organization", "Example", "--suffix", "2026"}
	got := r.run(append(again, "--root-life", "1000h", "--life", "2000h")...)
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "--life 2000h0m0s ends after the root does")
	require.NoDirExists(t, filepath.Join(r.dir, "trust"))
	var made authorities
	r.json(&made, again...)
	r.configure(made.YAML)
	got = r.run(append(again, "--root-token", "safe")...)
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "the root root-2026 on the token hsm, not on safe")
	got = r.run(append(again, "--life", "200000h")...)
	require.Contains(t, got.err, "ends after the root does")

	other := append(again, "--issuer", "https://other.example")
	got = r.run(other...)
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "the key log-2026 signs the log hallmark.example")
	var second authorities
	r.json(&second, append(other, "--suffix", "2027")...)
	require.Contains(t, second.YAML, "log: {dir: log-other.example, origin: other.example, key: log-2027}")
	r.json(&second, again...)
	require.Contains(t, second.YAML, "log: {dir: log, origin: hallmark.example, key: log-2026}")
}

// With trust.ca.cabf the service's own certificates keep the code signing requirements, as the authorities' do.
func TestCACodeSigningRequirements(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	var made authorities
	r.json(&made, append(caInit, "--cabf", "--country", "DE", "--crl", "http://pki.example/a.crl", "--ca-issuers", "http://pki.example/a.cer")...)
	r.configure(strings.Replace(made.YAML, "sct: sct-2026}", "sct: sct-2026, cabf: {commonName: Example, organization: Example, country: DE, crl: 'http://pki.example/i.crl', caIssuers: 'http://pki.example/i.cer'}}", 1))
	c, err := loadTokens(r.file)
	require.NoError(t, err)
	ring, err := hsm.Open(t.Context(), values(c.Tokens), values(c.Keys), hsm.Options{})
	require.NoError(t, err)
	defer ring.Close()
	files, err := c.Trust.Value.read()
	require.NoError(t, err)
	a, err := c.authority(files, ring, time.Time{})
	require.NoError(t, err)
	der, err := a.Issue(t.Context(), trust.Request{Public: ring.ServiceKeys()[0].PublicKey, Identity: a.Issuer() + "/keys/k", Announce: unlogged})
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	require.Equal(t, "CN=Example,O=Example,C=DE", leaf.Subject.String())
	require.Equal(t, "2.23.140.1.4.1", leaf.Policies[0].String())
	require.Equal(t, []string{"http://pki.example/i.crl"}, leaf.CRLDistributionPoints)
}

// What the trust section names is what is shown, checked by doctor, told by the metric and listed with its key.
func TestCAIsWatched(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	var made authorities
	r.json(&made, caInit...)
	other := r.hsm.GenerateFor(t, "issuer-2027", hsm.UseIssuer, hsm.P256)
	line := fmt.Sprintf("  - {name: issuer-2027, token: hsm, use: issuer, spki: %q}\n", other.SPKI)
	keys, section := keysOf(made.YAML)+line, strings.TrimPrefix(made.YAML, keysOf(made.YAML))
	r.configure(keys + section)
	load := func() *Config {
		c, err := loadTokens(r.file)
		require.NoError(t, err)
		return c
	}
	c := load()
	require.True(t, c.trusts())
	require.Equal(t, caFiles{r.path("root.pem"), r.path("issuing.pem"), r.path("timestamping.pem")}, c.filesIn(""))

	now := time.Now()
	failed := func(checks []hsm.Check) (names []string) {
		for _, check := range checks {
			if !check.OK {
				names = append(names, check.Name)
				require.NotEmpty(t, check.Fix)
			}
		}
		return names
	}
	require.Len(t, examineAuthorities(c, now), 3)
	require.Empty(t, failed(examineAuthorities(c, now)))
	end := made.Certificates[1].Until
	require.Equal(t, []string{"certificate issuing", "certificate timestamping"}, failed(examineAuthorities(c, end.AddDate(0, 0, -29))))
	require.Empty(t, failed(examineAuthorities(c, end.AddDate(0, 0, -31))))
	late := examineAuthorities(c, end.Add(time.Hour))
	require.Contains(t, late[1].Detail, "has expired")
	require.Contains(t, examineAuthorities(c, now.AddDate(-1, 0, 0))[0].Detail, "not valid yet")

	reg := prometheus.NewRegistry()
	believed, err := c.Trust.Value.read()
	require.NoError(t, err)
	require.NoError(t, believed.watch(reg))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "hallmark_certificate_expiry_seconds", families[0].GetName())
	require.Len(t, families[0].GetMetric(), 3)
	var list []keyView
	r.json(&list, "keys", "list")
	certified := map[string]time.Time{}
	for _, k := range list {
		if !k.Certified.IsZero() {
			certified[k.Name] = k.Certified
		}
	}
	require.Equal(t, map[string]time.Time{"root-2026": made.Certificates[0].Until, "issuer-2026": end, "timestamp-2026": made.Certificates[2].Until}, certified)
	require.Contains(t, r.run("keys", "list").out, "until "+end.Format(time.DateOnly))
	view := keyView{Certified: end}
	require.Equal(t, "ENDED "+end.Format(time.DateOnly), view.certified(end.Add(time.Hour)))
	require.Equal(t, "10 DAYS LEFT, until "+end.Format(time.DateOnly), view.certified(end.AddDate(0, 0, -10)))

	// The certificate of another key than the named one is noticed.
	r.configure(keys + strings.Replace(section, "key: issuer-2026", "key: issuer-2027", 1))
	require.Equal(t, []string{"certificate issuing"}, failed(examineAuthorities(load(), now)))
	got := r.run("ca", "show")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "it is of the key issuer-2026, and the configuration names issuer-2027 for it")
	var renewed issued
	r.json(&renewed, "ca", "issue", "issuing")
	require.Equal(t, "issuer-2027", renewed.Certificate.Key)
	require.Equal(t, exitOK, r.run("ca", "show").code)

	// Time from elsewhere: its certificates are watched, too.
	content, err := os.ReadFile(r.path("timestamping.pem"))
	require.NoError(t, err)
	top, err := os.ReadFile(r.path("root.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "tsa.pem"), append(content, top...), 0o600))
	before, _, _ := strings.Cut(section, "  time:")
	r.configure(keys + strings.Replace(before, "key: issuer-2026", "key: issuer-2027", 1) + "  time: {authorities: [{url: https://tsa.example, certificates: tsa.pem}]}\n")
	shown := r.run("ca", "show")
	require.Equal(t, exitOK, shown.code, shown.out+shown.err)
	require.Contains(t, shown.out, "https://tsa.example")
	require.Contains(t, failed(examineAuthorities(load(), end.AddDate(0, 0, -29))), "certificate timestamping https://tsa.example")
	believed, err = load().Trust.Value.read()
	require.NoError(t, err)
	reg = prometheus.NewRegistry()
	require.NoError(t, believed.watch(reg))
	families, err = reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "https://tsa.example", families[0].GetMetric()[0].GetLabel()[0].GetValue())
	require.NoError(t, os.Remove(filepath.Join(r.dir, "tsa.pem")))
	require.Equal(t, []string{"certificate timestamping https://tsa.example"}, failed(examineAuthorities(load(), now)))
	require.NoError(t, os.Remove(r.path("issuing.pem")))
	require.Equal(t, []string{"certificates"}, failed(examineAuthorities(load(), now)))
	_, err = load().Trust.Value.read()
	require.Error(t, err)
}

// Files that are there are never written over, and what does not belong together is told before anything is made.
func TestCAInitRefuses(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	for says, args := range map[string][]string{
		`issuer "https://hallmark.example/"`: {"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example/"},
		`no token "hsn"`:                     {"ca", "init", "--token", "hsm", "--root-token", "hsn", "--issuer", "https://hallmark.example"},
		"(7.1.4.2)":                          {"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example", "--cabf", "--organization", "Example"},
		"e_subj_country_not_uppercase":       {"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example", "--country", "Germany"},
		"before it begins":                   {"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example", "--life", "-24h"},
		`algorithm "RSA-1024" is unknown`:    {"ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example", "--algorithm", "RSA-1024"},
	} {
		got := r.run(args...)
		require.Equal(t, exitUndecided, got.code)
		require.Contains(t, got.err, says)
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(r.path("x")), 0o700))
	require.NoError(t, os.WriteFile(r.path("issuing.pem"), []byte("mine"), 0o600))
	got := r.run(caInit...)
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "issuing.pem")
	infos, err := hsm.List(t.Context(), r.hsm.Config())
	require.NoError(t, err)
	require.Empty(t, infos, "no key was made")

	require.NoError(t, os.Remove(r.path("issuing.pem")))
	var made authorities
	r.json(&made, append(caInit, "--without-time")...)
	require.Len(t, made.Certificates, 2)
	require.Contains(t, made.YAML, "time: {authorities:")
	got = r.run("ca", "init", "--token", "hsm", "--issuer", "https://hallmark.example", "--suffix", "2027")
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "root.pem is there and cannot be used: it is of the key sha256:")

	got = r.run("ca", "show") // the configuration does not name the keys
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "it is of no key with use issuer")
	require.NoError(t, os.Remove(r.path("root.pem")))
	got = r.run("ca", "show")
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "hallmark ca init")
}

// An authority elsewhere takes the root's place: our request, its signature, and its chain judged before it is believed.
func TestCAElsewhere(t *testing.T) {
	t.Parallel()
	r := newCARig(t)
	issuer, other := r.hsm.GenerateFor(t, "issuer-2026", hsm.UseIssuer, hsm.P256), r.hsm.GenerateFor(t, "issuer-2027", hsm.UseIssuer, hsm.P256)
	release := r.hsm.Generate(t, "release-2026", "release", hsm.P256)
	line := func(k hsm.KeyConfig, more string) string {
		return fmt.Sprintf("  - {name: %s, token: hsm, spki: %q, %s}\n", k.Name, k.SPKI, more)
	}
	r.configure("keys:\n" + line(issuer, "use: issuer") + line(release, "lane: release"))
	var request certificateRequest
	r.json(&request, "ca", "csr", "issuing", "--name", "Example Code Signing", "--organization", "Example")
	require.Equal(t, issuer.SPKI, request.SPKI)
	for says, args := range map[string][]string{
		"release-2026 has use artifact, not issuer": {"ca", "csr", "issuing", "--name", "x", "--key", "release-2026"},
		"no key with use timestamp":                 {"ca", "csr", "timestamping", "--name", "x"},
		`invalid argument "leaf"`:                   {"ca", "csr", "leaf", "--name", "x"},
	} {
		got := r.run(args...)
		require.Equal(t, exitUndecided, got.code)
		require.Contains(t, got.err, says)
	}

	at := func(name string) string { return filepath.Join(r.dir, name) }
	require.NoError(t, os.WriteFile(at("csr"), []byte(request.PEM), 0o600))
	require.NoError(t, os.WriteFile(at("ext"), []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nextendedKeyUsage=codeSigning\n"), 0o600))
	yesterday, later := time.Now().UTC().AddDate(0, 0, -1).Format("20060102150405Z"), time.Now().UTC().AddDate(1, 0, 0).Format("20060102150405Z")
	for _, name := range []string{"a", "b"} {
		openssl(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", at(name+".key"), "-out", at(name+".pem"), "-days", "3650", "-subj", "/CN=Corporate "+name, "-addext", "keyUsage=critical,keyCertSign")
	}
	// openssl ca, because it can say when a life begins: the one second that a certificate is young is no test's matter
	require.NoError(t, os.WriteFile(at("index"), nil, 0o600))
	require.NoError(t, os.WriteFile(at("conf"), []byte("[ca]\ndefault_ca=d\n[d]\ndatabase="+at("index")+"\nnew_certs_dir="+r.dir+"\ndefault_md=sha256\npolicy=p\nrand_serial=yes\nunique_subject=no\nemail_in_dn=no\n[p]\ncommonName=supplied\norganizationName=optional\n"), 0o600))
	sign := func(by string) string {
		t.Helper()
		made := at("made-" + by + ".pem")
		openssl(t, "ca", "-batch", "-notext", "-config", at("conf"), "-in", at("csr"), "-cert", at(by+".pem"), "-keyfile", at(by+".key"), "-startdate", yesterday, "-enddate", later, "-extfile", at("ext"), "-out", made)
		chain := ""
		for _, f := range []string{at(by + ".pem"), made} { // the root first: order does not matter
			content, err := os.ReadFile(f)
			require.NoError(t, err)
			chain += string(content)
		}
		file := at("chain-" + by + ".pem")
		require.NoError(t, os.WriteFile(file, []byte(chain), 0o600))
		return file
	}
	chain := sign("a")
	var taken issued
	r.json(&taken, "ca", "import", "issuing", chain)
	require.Equal(t, "CN=Corporate a", taken.Certificate.Issuer)
	require.Equal(t, exitOK, r.run("ca", "show").code)

	for says, args := range map[string][]string{
		"say --replace":              {"ca", "import", "issuing", chain},
		"does not end in a root":     {"ca", "import", "issuing", at("made-a.pem"), "--replace"},
		"is of the key sha256:":      {"ca", "import", "issuing", at("a.pem"), "--replace"},
		"neither PEM nor DER":        {"ca", "import", "issuing", at("ext")},
		"no such file or directory":  {"ca", "import", "issuing", at("nothing")},
		`invalid argument "leaf"`:    {"ca", "import", "leaf", chain},
		"list it with its token":     {"ca", "issue", "issuing"},
		"no key with use timestamp;": {"ca", "import", "timestamping", chain},
	} {
		got := r.run(args...)
		require.Equal(t, exitUndecided, got.code, says)
		require.Contains(t, got.err, says)
	}
	second := sign("b")
	r.json(&taken, "ca", "import", "issuing", second, "--replace")
	require.Equal(t, "CN=Corporate b", taken.Certificate.Issuer)
	kept, err := filepath.Glob(r.path("*-until-*.pem"))
	require.NoError(t, err)
	require.Len(t, kept, 2, "root and issuing certificate of before")
	require.Equal(t, exitOK, r.run("ca", "show").code)

	r.configure("keys:\n" + line(issuer, "use: issuer") + line(other, "use: issuer"))
	got := r.run("ca", "import", "issuing", chain, "--replace")
	require.Contains(t, got.err, "choose one of issuer-2026, issuer-2027 with --key")
	got = r.run("ca", "import", "issuing", chain, "--replace", "--key", "issuer-2027")
	require.Contains(t, got.err, "the configuration pins issuer-2027 as sha256:")
}

// unlogged is for certificates that no log has to know.
func unlogged(context.Context, []byte) error { return nil }
