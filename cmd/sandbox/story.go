package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// story prints what happens and checks it. After the first failed check it does nothing more.
type story struct {
	ctx     context.Context //nolint:containedctx // a story is one call of demo
	s       *sandbox.Sandbox
	checked int
	err     error
}

func (t *story) chapter(format string, args ...any) {
	if t.err == nil {
		fmt.Printf("\n── %s\n", fmt.Sprintf(format, args...))
	}
}

func (t *story) say(format string, args ...any) {
	if t.err == nil {
		fmt.Printf("   %s\n", fmt.Sprintf(format, args...))
	}
}

// check prints ok, or ends the story.
func (t *story) check(ok bool, what string, detail ...string) {
	switch {
	case t.err != nil:
	case ok:
		t.checked++
		fmt.Printf("   ok  %s\n", what)
	default:
		t.err = fmt.Errorf("not as it should be: %s\n%s", what, strings.Join(detail, "\n"))
	}
}

// upload deploys a file as a user; target may carry matrix parameters.
func (t *story) upload(user, repo, target string, content []byte) {
	if t.err != nil {
		return
	}
	err := put(t.ctx, t.s.Artifactory.URL()+"/artifactory/"+repo+"/"+target, user, content)
	t.check(err == nil, fmt.Sprintf("%s uploads %s (%d bytes)", user, target, len(content)), fmt.Sprint(err))
}

// signed waits until the properties say so, and shows the way there.
func (t *story) signed(file string) {
	start := time.Now()
	for t.err == nil {
		f, ok := t.s.Artifactory.File(sandbox.Staging, file)
		if ok && slices.Contains(f.Properties["hallmark.state"], "signed") && t.recorded(file) {
			t.check(true, fmt.Sprintf("%s: uploaded, event, decided, signed, properties", file))
			return
		}
		select {
		case <-t.ctx.Done():
			t.check(false, file+" is signed in time", fmt.Sprintf("properties after %s: %v", time.Since(start), f.Properties))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// recorded reports whether the outcome is on record, too, which is the last step.
func (t *story) recorded(file string) bool {
	out, code, err := t.s.Run(t.ctx, "status", sandbox.Staging+"/"+file)
	return err == nil && code == 0 && strings.HasPrefix(out, "SIGNED")
}

func (t *story) stored(files ...string) {
	for _, file := range files {
		f, ok := t.s.Artifactory.File(sandbox.Staging, file)
		t.check(ok && f.CreatedBy == "hallmark", fmt.Sprintf("%s is stored (%d bytes)", file, f.Size))
	}
}

func (t *story) property(file, key, value string) {
	f, _ := t.s.Artifactory.File(sandbox.Staging, file)
	t.check(slices.Equal(f.Properties[key], []string{value}), fmt.Sprintf("property %s=%s on %s", key, value, file), fmt.Sprint(f.Properties))
}

// lend copies a signature file beside another artifact, as anyone with the right to deploy could.
func (t *story) lend(from, to string) {
	content, err := t.s.Artifactory.Content(sandbox.Staging, from)
	t.check(err == nil, "mallory reads "+from, fmt.Sprint(err))
	t.upload(sandbox.Annotator, sandbox.Staging, to, content)
}

// fetch downloads files into the work directory.
func (t *story) fetch(files ...string) {
	for _, file := range files {
		content, err := t.s.Artifactory.Content(sandbox.Staging, file)
		if err == nil {
			err = os.WriteFile(t.s.Path("work", path.Base(file)), content, 0o600)
		}
		t.check(err == nil, "fetched "+path.Base(file), fmt.Sprint(err))
	}
}

// tamper changes one byte of a fetched file.
func (t *story) tamper(file string) {
	name := t.s.Path("work", file)
	content, err := os.ReadFile(name)
	if err == nil {
		content[len(content)/2] ^= 1
		err = os.WriteFile(name, content, 0o600)
	}
	t.check(err == nil, "one bit of "+file+" flips", fmt.Sprint(err))
}

// replaceUnseen overwrites an artifact while its webhook is lost, so that only the gate stands in the way.
func (t *story) replaceUnseen(file string, content []byte) {
	t.s.Artifactory.HoldEvents()
	t.upload(sandbox.Annotator, sandbox.Staging, file, content)
}

// deliverAgain lets webhooks through after replaceUnseen, and proves it with one more upload.
func (t *story) deliverAgain() {
	t.s.Artifactory.ReleaseEvents(func([]standin.Event) []standin.Event { return nil })
	t.upload(sandbox.Developer, sandbox.Staging, kept, []byte("uploaded after the story"))
	t.signed(kept)
}

// hallmark runs the product's command line; it must end with the code and print the text.
func (t *story) hallmark(code int, text string, args ...string) {
	if t.err != nil {
		return
	}
	fmt.Printf("   $ hallmark %s\n", strings.Join(t.short(args), " "))
	out, got, err := t.s.Run(t.ctx, args...)
	if err != nil {
		t.check(false, "hallmark runs", err.Error())
		return
	}
	t.judge(code, text, got, out)
}

// cosign has the program that lies beside this one judge a fetched file by its certificate, or tells how it would.
func (t *story) cosign(code int, text string, file string) {
	args := []string{"verify-blob", "--bundle", file + ".sigstore.json", "--trusted-root", export + "/trusted_root.json",
		"--certificate-identity", sandbox.Identity, "--certificate-oidc-issuer", sandbox.Issuer, file}
	program, err := besideMe("cosign")
	if err != nil {
		t.say("(with cosign installed: cosign %s)", strings.Join(args, " "))
		return
	}
	t.shell(code, text, program, args...)
}

// shell runs a program in the work directory; it must end with the code (1 means: any failure) and print the text.
func (t *story) shell(code int, text string, program string, args ...string) {
	if t.err != nil {
		return
	}
	fmt.Printf("   $ %s %s\n", filepath.Base(program), strings.Join(t.short(args), " "))
	out, got := runProgram(t.ctx, t.s.Path("work"), program, args...)
	t.judge(code, text, got, out)
}

func (t *story) judge(code int, text string, got int, out string) {
	for line := range strings.Lines(t.brief(out)) {
		fmt.Printf("     %s\n", strings.TrimRight(line, "\n"))
	}
	t.check(got == code && bytes.Contains([]byte(out), []byte(text)), fmt.Sprintf("exit status %d, says %q", code, text),
		fmt.Sprintf("exit status %d, output:\n%s", got, out))
}

// short shows paths below the sandbox by their last part.
func (t *story) short(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if strings.HasPrefix(a, t.s.Dir) {
			out[i] = path.Base(a)
		}
	}
	return out
}

// brief leaves the sandbox's own directory out of what is shown.
func (t *story) brief(out string) string {
	return strings.ReplaceAll(strings.TrimSpace(out), t.s.Dir+"/", "")
}
