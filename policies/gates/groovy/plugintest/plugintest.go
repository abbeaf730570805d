// Package plugintest runs the user plugin in real Groovy, against stand-ins for the classes of Artifactory that it uses.
package plugintest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// patience bounds one call. It is generous: only a plugin that hangs runs into it.
const patience = time.Minute

// Path is Artifactory's RepoPath.
type Path struct {
	Repo   string `json:"repo"`
	Path   string `json:"path"`
	Folder bool   `json:"folder"`
}

// Call is one call of a hook by Artifactory.
type Call struct {
	ID     int    `json:"id"` // set by Do
	Hook   string `json:"hook"`
	Etc    string `json:"etc"` // Artifactory's etc directory; the plugin's configuration is plugins/hallmark.json below it
	User   string `json:"user,omitempty"`
	Item   *Path  `json:"item,omitempty"`   // what is moved, copied, annotated or downloaded
	Target *Path  `json:"target,omitempty"` // where it is moved or copied to
	Name   string `json:"name,omitempty"`   // of the property
}

// Outcome is what became of it.
type Outcome struct {
	ID      int      `json:"id"`
	Status  int      `json:"status"`  // of the CancelException or the response; 0 or -1 when Artifactory goes on
	Message string   `json:"message"` // for who is refused
	Log     []string `json:"log"`     // "level: text"
	Error   string   `json:"error"`   // an exception that is no CancelException; must never be
}

// Passed says whether Artifactory would go on.
func (o Outcome) Passed() bool { return o.Status <= 0 && o.Error == "" }

// Artifactory is a Java process that plays it. Safe for concurrent use. It ends with Stop, or with the tests.
type Artifactory struct {
	in     io.WriteCloser
	mu     sync.Mutex
	asked  []chan Outcome // by id
	done   chan struct{}
	errors bytes.Buffer
}

// Start starts Groovy with the plugin of this repository.
func Start(t testing.TB) *Artifactory {
	t.Helper()
	groovy, java := tooltest.Groovy(t)
	dir := filepath.Join(tooltest.RepoRoot(t), "policies", "gates", "groovy")
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path) // so that go test knows what the result depends on: it does not see what Java reads
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(groovy, "-cp", filepath.Join(dir, "plugintest", "standin"), filepath.Join(dir, "plugintest", "harness.groovy"), filepath.Join(dir, "hallmark.groovy"))
	cmd.Env = append(os.Environ(), "JAVA_HOME="+java, "JAVA_OPTS=-Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
	a := &Artifactory{done: make(chan struct{})}
	cmd.Stderr = &a.errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if a.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.done)
		a.listen(out)
		_ = cmd.Wait() // how it ended shows in what it wrote
	}()
	return a
}

// Stop ends the process.
func (a *Artifactory) Stop() {
	_ = a.in.Close()
	<-a.done
}

func (a *Artifactory) listen(out io.Reader) {
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var o Outcome
		if json.Unmarshal(line, &o) != nil {
			return // ends every wait
		}
		a.mu.Lock()
		told := a.asked[o.ID]
		a.mu.Unlock()
		told <- o
	}
}

// Do calls a hook and waits for what comes of it. An exception that Artifactory is not known to stop for fails the test.
func (a *Artifactory) Do(t testing.TB, c Call) Outcome {
	t.Helper()
	told := make(chan Outcome, 1)
	a.mu.Lock()
	c.ID = len(a.asked)
	a.asked = append(a.asked, told)
	line, err := json.Marshal(c)
	if err == nil {
		_, err = a.in.Write(append(line, '\n'))
	}
	a.mu.Unlock()
	if err != nil {
		t.Fatalf("calling %s: %v", c.Hook, err)
	}
	select {
	case o := <-told:
		if o.Error != "" {
			t.Fatalf("%s ended with %s", c.Hook, o.Error)
		}
		return o
	case <-a.done:
		t.Fatalf("groovy ended: %s", a.errors.String())
	case <-time.After(patience):
		t.Fatalf("%s does not end", c.Hook)
	}
	return Outcome{}
}

// Configure writes the plugin's configuration, and the token's file when there is a token, and returns the etc directory.
func Configure(t testing.TB, config map[string]any, token string) string {
	t.Helper()
	etc := t.TempDir()
	plugins := filepath.Join(etc, "plugins")
	content, err := json.Marshal(config)
	if err == nil {
		err = os.Mkdir(plugins, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(plugins, "hallmark.json"), content, 0o600)
	}
	if err == nil && token != "" {
		err = os.WriteFile(filepath.Join(plugins, "hallmark.token"), []byte(token+"\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return etc
}
