package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Tell the product's story with real files, and check every step",
		Example: "  sandbox demo\n  sandbox demo --keep",
		Args:    cobra.NoArgs,
	}
	keep := cmd.Flags().Bool("keep", false, "leave everything running and print the addresses")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		hallmark, err := besideMe("hallmark")
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "hallmark-demo-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		return demo(cmd.Context(), sandbox.Config{Dir: dir, Hallmark: hallmark, Trust: true, TrustLevel: 3}, *keep)
	}
	return cmd
}

const (
	app      = "app/1.4.2/app.tgz"
	tool     = "app/1.4.2/tool.bin"
	unsigned = "manual/1.0/readme.txt"
	forged   = "manual/1.0/forged.bin"
	kept     = "app/1.4.3/app.tgz" // uploaded when the world is left running
	export   = "acme-trust"        // directory of what verifiers believe
)

// demo tells the story. Every line that says "ok" was checked; the first that is not ends it with an error.
func demo(ctx context.Context, c sandbox.Config, keep bool) error {
	stopped := ctx.Done()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	t := &story{ctx: ctx}
	t.chapter("A world on this machine: Artifactory (a stand-in), an HSM (SoftHSM), Hallmark")
	s, err := sandbox.Start(ctx, c)
	if err != nil {
		return err
	}
	defer s.Stop()
	t.s = s
	t.say("Artifactory  %s   repositories %s, %s", s.Artifactory.URL(), sandbox.Staging, sandbox.Release)
	t.say("Hallmark     %s   key %s made inside the token, as are those of root, authority, clock and log", s.URL, sandbox.Key)
	t.hallmark(0, "checks passed", "doctor")
	t.hallmark(0, "as it should be", "webhook", "check")

	t.chapter("Two builds are uploaded; nobody asks for a signature")
	t.upload(sandbox.Developer, sandbox.Staging, app, bytes.Repeat([]byte("a real build "), 5000))
	t.upload(sandbox.Developer, sandbox.Staging, tool, bytes.Repeat([]byte{0x7f, 'E', 'L', 'F'}, 3000))
	t.signed(app)
	t.signed(tool)
	t.hallmark(0, "SIGNED", "status", sandbox.Staging+"/"+app)
	t.stored(app+".sigstore.json", app+".sig")
	t.property(app, "hallmark.state", "signed")

	t.chapter("The promotion gate: yes to the signed build")
	t.hallmark(0, "ALLOWED", "gate", "check", sandbox.Staging+"/"+app, "--target", sandbox.Release)

	t.chapter("The gate: no to a file that policy does not sign, with the reason")
	t.upload(sandbox.Developer, sandbox.Staging, unsigned, []byte("read me\n"))
	t.hallmark(1, "signature-missing", "gate", "check", sandbox.Staging+"/"+unsigned, "--target", sandbox.Release)

	t.chapter("An attacker with every right on staging but no key: forges the property that says signed")
	t.upload(sandbox.Annotator, sandbox.Staging, forged+";hallmark.state=signed", []byte("evil\n"))
	t.property(forged, "hallmark.state", "signed")
	t.hallmark(1, "property-false", "gate", "check", sandbox.Staging+"/"+forged, "--target", sandbox.Release)

	t.chapter("The attacker borrows a good file's signature for other bytes")
	t.lend(app+".sigstore.json", forged+".sigstore.json")
	t.hallmark(1, "signature-swapped", "gate", "check", sandbox.Staging+"/"+forged, "--target", sandbox.Release)

	t.chapter("A user fetches the build, and once what to believe; then nothing of ours is asked any more")
	t.fetch(app, app+".sigstore.json", app+".sig")
	t.hallmark(0, "trusted_root.json", "trust", "export", export)
	file := path.Base(app)
	t.hallmark(0, "trust level 3", "verify", file, "--trust", export, "--min-level", "3")
	t.cosign(0, "Verified OK", file)
	t.shell(0, "Verified OK", "openssl", openssl(file)...)

	t.chapter("Tampered on the way: every verifier refuses")
	t.tamper(file)
	t.hallmark(1, "signature-wrong-bytes", "verify", file, "--trust", export)
	t.cosign(1, "error", file)
	t.shell(1, "Verification failure", "openssl", openssl(file)...)

	t.chapter("Tampered in the repository: the gate refuses what it allowed before")
	t.replaceUnseen(tool, []byte("trojan"))
	t.hallmark(1, "signature-wrong-bytes", "gate", "check", sandbox.Staging+"/"+tool, "--target", sandbox.Release)

	t.chapter("An auditor replays the log of key use and holds it against ledger and repositories: all accounted for")
	t.hallmark(0, "2 with signatures, 0 given up, 0 under way", "audit", "verify", "--trusted-root", export+"/trusted_root.json", "--repositories", sandbox.Staging+","+sandbox.Release)
	if t.err != nil {
		return t.err
	}
	fmt.Printf("\nEvery step was checked: %d.\n", t.checked)
	if !keep {
		return nil
	}
	t.deliverAgain()
	if t.err != nil {
		return t.err
	}
	fmt.Printf("\nLeft running until Ctrl-C:\n  Artifactory  %s  (token %q)\n  Hallmark     %s\n  metrics      %s/metrics\n  files        %s\n",
		s.Artifactory.URL(), sandbox.Developer, s.URL, s.MetricsURL, s.Dir)
	fmt.Printf("\nTry, in another terminal:\n  export SOFTHSM2_CONF=%s HALLMARK_CONFIG=%s HALLMARK_SERVER=%s HALLMARK_TOKEN_FILE=%s\n  %s gate check %s/%s --target %s\n",
		quoted(s.Path("softhsm2.conf")), quoted(s.Path("hallmark.yaml")), s.URL, quoted(s.Path("secrets", "caller")), quoted(s.Hallmark),
		sandbox.Staging, app, sandbox.Release)
	<-stopped
	return nil
}

// openssl judges the bare signature of a fetched file.
func openssl(file string) []string {
	return []string{"dgst", "-sha256", "-verify", export + "/keys/" + sandbox.Key + ".pem", "-signature", file + ".sig", file}
}

// quoted is one word for a shell, whatever characters the path has.
func quoted(path string) string {
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// put uploads like any client: one PUT.
func put(ctx context.Context, url, token string, content []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("uploading %s: HTTP %d", url, resp.StatusCode)
	}
	return nil
}

// runProgram executes a program in the sandbox's work directory.
func runProgram(ctx context.Context, dir, program string, args ...string) (string, int) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}
