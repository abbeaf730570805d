package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// pipeline runs one of the examples of policies/gates/ci in a directory of its own, as its platform would.
type pipeline func(t *testing.T, w *workspace, artifact string) result

var pipelines = map[string]pipeline{"github-actions.yml": runGitHub, "gitlab-ci.yml": runGitLab, "Jenkinsfile": runJenkins}

// workspace is where a pipeline runs: a machine of its own, with hallmark on its PATH.
type workspace struct {
	*sandbox.Sandbox
	dir   string
	token string // the secret, for both roles
}

func newWorkspace(t *testing.T, s *sandbox.Sandbox, token string) *workspace {
	t.Helper()
	w := &workspace{s, t.TempDir(), token}
	for _, dir := range []string{"bin", "tmp", "work", "credentials"} {
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, dir), 0o700))
	}
	// Every command line is kept: a token must stand in none.
	program := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + filepath.Join(w.dir, "commands") + "\nexec " + binary + ` "$@"` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "bin", "hallmark"), []byte(program), 0o700))
	return w
}

// run runs a command in the workspace with these variables and no others of ours.
func (w *workspace) run(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = filepath.Join(w.dir, "work")
	cmd.Env = []string{"PATH=" + filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + filepath.Join(w.dir, "tmp")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return finish(t, w.Sandbox, cmd)
}

func example(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "policies", "gates", "ci", name))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into), name)
}

// runGitHub runs the jobs in order. The environment is put together from the file, so that what it forgets is missing.
func runGitHub(t *testing.T, w *workspace, artifact string) result {
	var file struct {
		Permissions map[string]string
		Env         map[string]string
		Jobs        map[string]struct {
			Needs string
			Env   map[string]string
			Steps []struct {
				Shell, Run, Uses, If string
				Env, With            map[string]string
			}
		}
	}
	example(t, "github-actions.yml", &file)
	require.NotNil(t, file.Permissions)
	require.Empty(t, file.Permissions)
	context := strings.NewReplacer("${{ vars.HALLMARK_SERVER }}", w.URL, "${{ inputs.artifact }}", artifact, "${{ inputs.target }}", sandbox.Release,
		"${{ secrets.HALLMARK_GATE_TOKEN }}", w.token, "${{ secrets.HALLMARK_PROMOTE_TOKEN }}", w.token)
	require.Len(t, file.Jobs, 2)
	require.Equal(t, "gate", file.Jobs["promote"].Needs)
	var whole result
	for _, name := range []string{"gate", "promote"} {
		job := file.Jobs[name]
		require.Len(t, job.Steps, 2, name)
		step, kept := job.Steps[0], job.Steps[1]
		require.Equal(t, "bash", step.Shell)
		require.NotContains(t, step.Run, "${{", "what is typed in would be run")
		require.Equal(t, "always()", kept.If)
		require.Regexp(t, `^actions/upload-artifact@[0-9a-f]{40}$`, kept.Uses)
		require.Contains(t, step.Run, kept.With["path"])
		env := map[string]string{}
		for _, set := range []map[string]string{file.Env, job.Env, step.Env} {
			for key, value := range set {
				env[key] = context.Replace(value)
			}
		}
		script := filepath.Join(w.dir, name+".sh")
		require.NoError(t, os.WriteFile(script, []byte(step.Run), 0o600))
		r := w.run(t, env, "bash", "--noprofile", "--norc", "-eo", "pipefail", script)
		whole = result{whole.out + r.out, whole.err + r.err, r.code}
		if r.code != 0 {
			break
		}
	}
	return whole
}

func runGitLab(t *testing.T, w *workspace, artifact string) result {
	type job struct {
		Extends, Stage string
		Script         []string
		Retry          struct {
			Max       int
			ExitCodes int `yaml:"exit_codes"`
		}
		Artifacts struct {
			When  string
			Paths []string
		}
	}
	var file struct {
		Stages    []string
		Variables map[string]string
		Hidden    job `yaml:".hallmark"`
		Gate      job
		Promote   job
	}
	example(t, "gitlab-ci.yml", &file)
	require.Equal(t, []string{"gate", "promote"}, file.Stages)
	require.Equal(t, 2, file.Hidden.Retry.ExitCodes, "what is not known is asked again, what is refused is not")
	require.Equal(t, "always", file.Hidden.Artifacts.When)
	env := maps.Clone(file.Variables)
	require.Contains(t, env, "HALLMARK_SERVER")
	env["HALLMARK_SERVER"], env["ARTIFACT"], env["TARGET"] = w.URL, artifact, sandbox.Release
	for _, name := range []string{"HALLMARK_GATE_TOKEN", "HALLMARK_PROMOTE_TOKEN"} {
		env[name] = filepath.Join(w.dir, "credentials", name)
		require.NoError(t, os.WriteFile(env[name], []byte(w.token), 0o600))
	}
	var whole result
	for name, j := range map[string]job{"gate": file.Gate, "promote": file.Promote} {
		require.Equal(t, name, j.Stage)
		require.Equal(t, ".hallmark", j.Extends)
	}
	for _, j := range []job{file.Gate, file.Promote} {
		r := w.run(t, env, "sh", "-ec", strings.Join(j.Script, "\n"))
		whole = result{whole.out + r.out, whole.err + r.err, r.code}
		if r.code != 0 {
			break
		}
	}
	return whole
}

// runJenkins has real Groovy run the pipeline against stand-ins of Jenkins' steps.
func runJenkins(t *testing.T, w *workspace, artifact string) result {
	root := tooltest.RepoRoot(t)
	for _, id := range []string{"hallmark-gate-token", "hallmark-promote-token"} {
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "credentials", id), []byte(w.token+"\n"), 0o600))
	}
	groovy, java := tooltest.Groovy(t)
	env := map[string]string{"JAVA_HOME": java, "HALLMARK_SERVER": w.URL, "PARAM_ARTIFACT": artifact, "PARAM_TARGET": sandbox.Release}
	r := w.run(t, env, groovy, filepath.Join(root, "e2e", "testdata", "jenkins.groovy"),
		filepath.Join(root, "policies", "gates", "ci", "Jenkinsfile"), filepath.Join(w.dir, "credentials"))
	require.Contains(t, r.out, "archived: hallmark-*.json")
	return r
}

// kept reads a report that the pipeline keeps; it is false when there is none, or an empty one.
func (w *workspace) kept(t *testing.T, name string, into any) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(w.dir, "work", name))
	if err != nil || len(content) == 0 {
		return false
	}
	require.NoError(t, json.Unmarshal(content, into), string(content))
	return true
}

// Each example promotes what the gate allows, and fails closed otherwise: refused, nobody answers, the wrong token, and
// names that try to be commands. What it says and keeps tells why.
func TestPipelines(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	released := func(path string) bool {
		_, there := s.Artifactory.File(sandbox.Release, path)
		return there
	}
	upload(t, s, "manual/unsigned.bin", "unsigned")
	names := slices.Sorted(maps.Keys(pipelines))
	for _, name := range names {
		upload(t, s, "app/"+name+".tgz", name)
	}
	t.Run("served", func(t *testing.T) {
		for _, name := range names {
			run, path := pipelines[name], "app/"+name+".tgz"
			awaitSigned(t, s, path)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorkspace(t, s, s.Secret("caller"))
				var v gate.Verdict
				var p promotion.Report

				r := run(t, w, sandbox.Staging+"/manual/unsigned.bin")
				require.Equal(t, 1, r.code, r.out+r.err)
				require.True(t, w.kept(t, "hallmark-gate.json", &v))
				require.False(t, v.Allow)
				require.Contains(t, r.out, string(v.Reasons[0].Code))
				require.Contains(t, r.out, "hallmark sign "+sandbox.Staging+"/manual/unsigned.bin", "the fix reaches the developer")
				require.False(t, w.kept(t, "hallmark-promotion.json", &p), "nothing is promoted after a refusal")
				if name == "github-actions.yml" {
					require.Contains(t, r.out, "::error title=Hallmark%3A refused%3A signature-missing,file="+sandbox.Staging+"/manual/unsigned.bin::")
				}

				r = run(t, w, sandbox.Staging+"/"+path)
				require.Equal(t, 0, r.code, r.out+r.err)
				require.True(t, w.kept(t, "hallmark-gate.json", &v) && v.Allow)
				require.True(t, w.kept(t, "hallmark-promotion.json", &p))
				require.Equal(t, promotion.StateDone, p.State)
				require.True(t, released(path))
				if name == "github-actions.yml" {
					require.Equal(t, 2, strings.Count(r.out, "::notice title=Hallmark"), r.out)
				}

				for _, artifact := range []string{
					"", "--help", `x"; touch pwned; "`, "$(touch pwned)`touch pwned`", "x' || touch pwned '", "a/b\n::set-output name=x::y%0A::error::z",
				} {
					r = run(t, w, artifact)
					require.NotEqual(t, 0, r.code, "%q\n%s%s", artifact, r.out, r.err)
					require.NoFileExists(t, filepath.Join(w.dir, "work", "pwned"))
					if name == "github-actions.yml" {
						for line := range strings.Lines(r.out) {
							require.Regexp(t, `^::error title=`, line, artifact)
						}
						require.Empty(t, r.err)
					}
				}

				for _, token := range []string{"", "wrong-token"} {
					wrong := newWorkspace(t, s, token)
					r = run(t, wrong, sandbox.Staging+"/"+path)
					require.Equal(t, 2, r.code, r.out+r.err)
					require.False(t, wrong.kept(t, "hallmark-promotion.json", &p))
				}

				left, err := os.ReadDir(filepath.Join(w.dir, "tmp"))
				require.NoError(t, err)
				for _, f := range left {
					require.Contains(t, f.Name(), "hsperfdata", "the token's file is gone")
				}
				commands, err := os.ReadFile(filepath.Join(w.dir, "commands"))
				require.NoError(t, err)
				noSecrets(t, s, string(commands))
			})
		}
	})

	require.NoError(t, s.Terminate())
	for _, name := range names {
		t.Run(name+" without service", func(t *testing.T) {
			w := newWorkspace(t, s, s.Secret("caller"))
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, "work", "hallmark-gate.json"), []byte(`{"allow": true}`), 0o600))
			r := pipelines[name](t, w, sandbox.Staging+"/app/"+name+".tgz")
			require.Equal(t, 2, r.code, r.out+r.err)
			var v gate.Verdict
			require.False(t, w.kept(t, "hallmark-gate.json", &v), "an old verdict is not kept as this one's")
			if name == "github-actions.yml" {
				require.Regexp(t, `^::error title=hallmark gate check::.*connection refused`, r.out)
			}
		})
	}
}
