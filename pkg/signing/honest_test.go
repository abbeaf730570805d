package signing_test

import (
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// requireSigned holds an artifact to everything that "signed" means.
func (r *rig) requireSigned(path, content string, files ...string) {
	r.t.Helper()
	o := r.outcome(path)
	require.Equal(r.t, ledger.Signed, o.State, "%+v", o.Reasons)
	require.Equal(r.t, []string{"signed"}, r.props(path)["hallmark.state"])
	require.Equal(r.t, []string{artifact.Attachment{Content: []byte(content)}.SHA256().String()}, r.props(path)["hallmark.sha256"])
	if len(files) == 0 {
		files = []string{path + ".sigstore.json", path + ".sig"}
	}
	require.Equal(r.t, files, r.signatureFiles(path))
	r.requireHonest(path)
}

// requireHonest holds what must be true at every moment, whatever has failed: a file that is published is in the ledger,
// verifies, and is for these bytes; and what says signed has all its files.
func (r *rig) requireHonest(path string) {
	r.t.Helper()
	f, ok := r.art.File(repo, path)
	if !ok {
		return
	}
	content, err := r.art.Content(repo, path)
	require.NoError(r.t, err)
	digest := artifact.Attachment{Content: content}.SHA256()
	kept, err := r.ledger.Signatures(r.t.Context(), digest)
	require.NoError(r.t, err)
	files := r.signatureFiles(path)
	for _, name := range files {
		stored, err := r.art.Content(repo, name)
		require.NoError(r.t, err)
		require.True(r.t, slices.ContainsFunc(kept, func(s ledger.Signature) bool { return string(s.Content) == string(stored) }),
			"%s was published but is not in the ledger", name)
		require.NotEmpty(r.t, r.verifies(name, content, stored), "%s does not verify", name)
	}
	switch state := f.Properties["hallmark.state"]; {
	case state == nil:
	case state[0] == "signed":
		require.NotEmpty(r.t, files, "marked as signed without a signature file")
		require.Equal(r.t, []string{digest.String()}, f.Properties["hallmark.sha256"], "marked as signed with other bytes")
		for _, name := range r.grantedFiles(path, digest) {
			require.Contains(r.t, files, name, "marked as signed with a file missing")
		}
	default:
		require.Equal(r.t, []string{"denied"}, state)
	}
}

// signatureFiles lists what lies beside an artifact, in the formats' order.
func (r *rig) signatureFiles(path string) (files []string) {
	for _, format := range seal.FormatsOf(artifact.KindFile) {
		f, _ := seal.Lookup(format)
		var of []string
		for _, p := range r.art.Paths(repo) {
			if strings.HasPrefix(p, path+".") && strings.HasSuffix(p, f.Suffix) {
				of = append(of, p)
			}
		}
		slices.Sort(of)
		slices.Reverse(of) // x.sig before x.key.sig
		files = append(files, of...)
	}
	return files
}

// grantedFiles are the files that the policy in force wants.
func (r *rig) grantedFiles(path string, digest artifact.Digest) (names []string) {
	r.t.Helper()
	o := r.outcome(path)
	if o.State != ledger.Signed || o.Subject != digest {
		return nil
	}
	for _, f := range o.Files {
		names = append(names, r.ref(path).Beside(f).Path)
	}
	return names
}

// verifies returns the name of the key whose signature a file is; "" for none.
func (r *rig) verifies(name string, content, stored []byte) string {
	r.t.Helper()
	format, ok := seal.FormatOf(name)
	require.True(r.t, ok)
	for _, k := range r.keys.Keys() {
		if format.Verify(k.PublicKey, digests(r, k, content), stored) == nil {
			return k.Name
		}
	}
	return ""
}

func digests(r *rig, k hsm.Public, content []byte) seal.Digests {
	r.t.Helper()
	d, err := seal.NewDigester(k.PublicKey)
	require.NoError(r.t, err)
	_, _ = d.Write(content)
	return d.Digests()
}
