package artifact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func TestParseImage(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 32)
	digest, err := artifact.ParseDigest(hex)
	require.NoError(t, err)
	for path, want := range map[string]struct {
		name artifact.RegistryName
		file string // the first place to look; "" when the path is no such name
	}{
		"app:1.0":                            {artifact.RegistryName{Repo: "r", Image: "app", Tag: "1.0"}, "app/1.0/manifest.json"},
		"team/app:latest":                    {artifact.RegistryName{Repo: "r", Image: "team/app", Tag: "latest"}, "team/app/latest/manifest.json"},
		"team/app@sha256:" + hex:             {artifact.RegistryName{Repo: "r", Image: "team/app", Digest: digest}, "team/app/sha256:" + hex + "/manifest.json"},
		"team/app:1.0@sha256:" + hex:         {artifact.RegistryName{Repo: "r", Image: "team/app", Digest: digest}, "team/app/sha256:" + hex + "/manifest.json"},
		"team/app/1.0/manifest.json":         {},
		"app/sha256:" + hex:                  {},
		"app/sha256:" + hex + "/x.json":      {},
		"app@sha256:" + hex[1:]:              {},
		"app@sha512:" + hex + hex:            {},
		"app@sha256:" + strings.ToUpper(hex): {},
		"app:":                               {}, "a/:1": {}, "app:1:2": {}, "@sha256:" + hex: {}, "plain": {},
	} {
		got, ok := artifact.ParseImage(artifact.Ref{Repo: "r", Path: path})
		require.Equal(t, want.file != "", ok, path)
		if ok {
			require.Equal(t, want.name, got, path)
			require.Equal(t, want.file, got.Files()[0].Path)
			for _, f := range got.Files() {
				at, ok := artifact.ImageAt(f)
				require.True(t, ok)
				require.Equal(t, []string{got.Image, got.Tag}, []string{at.Name, at.Tag})
			}
		}
	}
}

func FuzzParseImage(f *testing.F) {
	f.Add("team/app:1.0")
	f.Add("app@sha256:" + strings.Repeat("0a", 32))
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := artifact.NewRef("", "r", text)
		if err != nil {
			return
		}
		n, ok := artifact.ParseImage(ref)
		if !ok {
			return
		}
		for _, file := range n.Files() {
			if _, err := artifact.NewRef("", file.Repo, file.Path); err != nil && len(file.Path) <= 1024 {
				t.Fatalf("%q leads to %q: %v", text, file.Path, err)
			}
			if at, ok := artifact.ImageAt(file); !ok || at.Name != n.Image {
				t.Fatalf("%q leads to %q, which is of %q", text, file.Path, at.Name)
			}
		}
	})
}
