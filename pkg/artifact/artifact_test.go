package artifact_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const hexDigest = "3f6d0b0e6d1c3d0b6a5e1b7a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f70819203"

func TestDigest(t *testing.T) {
	t.Parallel()
	d, err := artifact.ParseDigest(hexDigest)
	require.NoError(t, err)
	require.Equal(t, hexDigest, d.String())
	for _, bad := range []string{"", hexDigest[1:], hexDigest + "0", strings.ToUpper(hexDigest), "sha256:" + hexDigest, strings.Repeat("g", 64)} {
		_, err := artifact.ParseDigest(bad)
		require.Error(t, err, bad)
	}
	out, err := json.Marshal(map[string]artifact.Digest{"known": d, "unknown": {}})
	require.NoError(t, err)
	require.JSONEq(t, `{"known":"`+hexDigest+`","unknown":""}`, string(out))
	var in map[string]artifact.Digest
	require.NoError(t, json.Unmarshal(out, &in))
	require.Equal(t, d, in["known"])
	require.True(t, in["unknown"].IsZero())
	require.Error(t, json.Unmarshal([]byte(`{"known":"zz"}`), &in))
}

type source map[string]artifact.Info

func (s source) Info(_ context.Context, ref artifact.Ref) (artifact.Info, error) {
	info, ok := s[ref.String()]
	if !ok {
		return artifact.Info{}, artifact.ErrGone
	}
	return info, nil
}

func (s source) Read(context.Context, artifact.Ref, int64) ([]byte, error) {
	return nil, artifact.ErrGone
}

func (s source) Repository(_ context.Context, key string) (artifact.Repository, error) {
	return artifact.Repository{Key: key, Class: artifact.Local, Package: "generic"}, nil
}

func (s source) Locate(_ context.Context, ref artifact.Ref) (artifact.Ref, error) { return ref, nil }

func (source) Build(context.Context, artifact.Ref) (artifact.Build, error) {
	return artifact.Build{}, artifact.ErrGone
}

func (source) Built(context.Context, artifact.Build, []string, func(artifact.Info) error) error {
	return artifact.ErrGone
}

func (source) Bundle(context.Context, artifact.Ref) (artifact.Bundle, error) {
	return artifact.Bundle{}, artifact.ErrGone
}

func (source) Copies(context.Context, []artifact.Bundled, func(artifact.Info) error) error {
	return artifact.ErrGone
}

func TestResolveFile(t *testing.T) {
	t.Parallel()
	d, err := artifact.ParseDigest(hexDigest)
	require.NoError(t, err)
	ref, err := artifact.ParseRef("main", "libs/app.tgz")
	require.NoError(t, err)
	old, err := artifact.ParseRef("main", "libs/old.tgz")
	require.NoError(t, err)
	gone, err := artifact.ParseRef("main", "libs/gone.tgz")
	require.NoError(t, err)
	src := source{ref.String(): {Ref: ref, SHA256: d, Size: 7}, old.String(): {Ref: old}}

	m, err := artifact.Resolve(t.Context(), src, ref)
	require.NoError(t, err)
	require.Equal(t, artifact.Meaning{
		Kind: artifact.KindFile, Ref: ref, Repo: artifact.Repository{Key: "libs", Class: artifact.Local, Package: "generic"},
		Subjects: []artifact.Subject{{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref, SHA256: d, Size: 7}}},
	}, m)
	_, err = artifact.Resolve(t.Context(), src, gone)
	require.True(t, errors.Is(err, artifact.ErrGone))
	m, err = artifact.Resolve(t.Context(), src, old)
	require.NoError(t, err)
	require.True(t, m.Whole().SHA256.IsZero(), "an item without a SHA-256 is told as it is; policy denies it with a reason")
}
