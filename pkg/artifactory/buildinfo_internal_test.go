package artifactory

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func TestBuildInfoIsBounded(t *testing.T) {
	t.Parallel()
	many := func(key, element string, n int) string {
		return `{"name":"b","number":"1",` + key + `[` + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + `]`
	}
	_, err := decodeBuildInfo(strings.NewReader(many(`"modules":[{"artifacts":`, `{}`, maxBuildParts) + `}]}`))
	require.NoError(t, err)
	_, err = decodeBuildInfo(strings.NewReader(many(`"modules":[{"artifacts":`, `{}`, maxBuildParts+1) + `}]}`))
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "100000 artifacts")
	_, err = decodeBuildInfo(strings.NewReader(many(`"statuses":`, `{}`, maxBuildParts+1) + `}`))
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = decodeBuildInfo(strings.NewReader(`{"x":` + strings.Repeat("[", maxBuildDepth+2)))
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = decodeBuildInfo(strings.NewReader(strings.Repeat(`{"buildInfo":`, 3_000_000)))
	require.Error(t, err, "covers do not nest")
	endless := io.MultiReader(strings.NewReader(`{"dependencies":[`), &repeated{text: `"` + strings.Repeat("x", 4<<10) + `",`})
	_, err = decodeBuildInfo(endless)
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "67108864 bytes")
}

// repeated is a text without end.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at]
		r.at = (r.at + 1) % len(r.text)
	}
	return len(p), nil
}

func TestBuildInfoThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `null`, `[]`, `"x"`, `{`, `{"name":"b"`, `{"buildInfo":null}`, `{"modules":{}}`, `{"modules":["x"]}`, `{"modules":[{"artifacts":{}}]}`,
		`{"modules":[{"artifacts":["x"]}]}`, `{"statuses":[7]}`, `{}{}`, `{"a":1}]`, `<html>`,
	} {
		_, err := decodeBuildInfo(strings.NewReader(text))
		require.ErrorContains(t, err, "reading build-info", text)
	}
	b, err := decodeBuildInfo(strings.NewReader(`{"name":"b","number":7,"modules":null,"statuses":null,"started":{},"buildInfo":{"number":8,"modules":[{"artifacts":null},{"artifacts":[{"name":true,"sha1":7,"sha256":{"x":1}},null]}]}}`))
	require.NoError(t, err)
	require.Equal(t, make([]artifact.Built, 2), b.Artifacts, "fields of another type are empty ones")
	require.Equal(t, []string{"b", "8"}, []string{b.Name, b.Number})
	require.True(t, b.Started.IsZero())
	b, err = decodeBuildInfo(strings.NewReader(`{"statuses":[{"status":"a","timestampDate":7},{"status":"b","comment":"c","timestamp":"1970-01-01T00:00:00.007Z"},{"status":"none"}]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a", "none"}, []string{b.Promotions[0].Status, b.Promotions[1].Status, b.Promotions[2].Status}, "of two at one time the later")
	require.Equal(t, "c", b.comment)
}

func FuzzBuildInfo(f *testing.F) {
	f.Add([]byte(`{"uri":"u","buildInfo":{"name":"b","number":"7","started":"2026-11-21T21:26:55.486+0200","modules":[{"id":"m","artifacts":[{"name":"a","sha1":"91a77170822b6f88a02129adff28b84d511b6301","sha256":"43aa744482a4012931ca163afff41002fd78c44bfd61217b5ec7705904bbd07e"}],"dependencies":[{}]}],"statuses":[{"status":"s","repository":"r","timestamp":"2026-11-21T21:26:55.486+0200","timestampDate":1}]}}`))
	f.Add([]byte(`{"number":7,"modules":[null,{"artifacts":[null,{"sha1":[],"sha256":7}]}],"statuses":[{"timestampDate":"12"},{"timestampDate":1e99}]}`))
	f.Add([]byte(`{"x":[[[{"y":[]}]]],"buildInfo":{"buildInfo":{}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := decodeBuildInfo(strings.NewReader(string(raw)))
		if err != nil {
			require.Empty(t, b.Artifacts)
			return
		}
		for _, a := range b.Artifacts {
			require.True(t, a.SHA1 == "" || len(a.SHA1) == 40 && a.SHA1 == strings.ToLower(a.SHA1))
		}
		for i := range b.Promotions {
			require.False(t, i > 0 && b.Promotions[i].At.After(b.Promotions[i-1].At), "newest first")
		}
		if strings.Contains(string(raw), "uildInfo") || strings.Contains(string(raw), `\u`) {
			return // has a cover already, perhaps
		}
		again, err := decodeBuildInfo(strings.NewReader(`{"buildInfo":` + string(raw) + `}`))
		require.NoError(t, err, "with a cover or without")
		require.Equal(t, b, again)
	})
}
