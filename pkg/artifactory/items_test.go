package artifactory_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// house is a stand-in server and a client with one of its tokens.
func house(t testing.TB, token string, change ...func(*artifactory.Config)) (*standin.Server, *artifactory.Client) {
	t.Helper()
	s := artifactorytest.Start(t, standin.Config{})
	file := secret(t, token)
	change = append([]func(*artifactory.Config){func(cfg *artifactory.Config) { cfg.Token = file }}, change...)
	return s, newClient(t, s.URL(), change...)
}

func put(t testing.TB, s *standin.Server, path, content string) {
	t.Helper()
	require.NoError(t, s.Put("ci", testRepo, path, strings.NewReader(content), nil))
}

func TestInfo(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	put(t, s, "app/1.0/app.tgz", payload)
	require.NoError(t, s.Put("ci", testRepo, "empty", strings.NewReader(""), nil))

	info, err := c.Info(t.Context(), ref(t, "app/1.0/app.tgz"))
	require.NoError(t, err)
	require.Equal(t, artifact.Digest(sha256.Sum256([]byte(payload))), info.SHA256)
	require.Equal(t, partOf("", payload).SHA1, info.SHA1)
	require.EqualValues(t, len(payload), info.Size)
	require.Equal(t, "ci", info.CreatedBy)
	require.Equal(t, "ci", info.ModifiedBy)
	require.False(t, info.Created.IsZero())
	require.False(t, info.Modified.IsZero())

	info, err = c.Info(t.Context(), ref(t, "empty"))
	require.NoError(t, err)
	require.Zero(t, info.Size)
	require.NoError(t, c.Pull(t.Context(), info))

	_, err = c.Info(t.Context(), ref(t, "app/1.0/other.tgz"))
	require.ErrorIs(t, err, artifact.ErrGone)
	require.False(t, artifactory.Temporary(err))
	_, err = c.Info(t.Context(), ref(t, "app/1.0"))
	require.ErrorIs(t, err, artifactory.ErrNotFile)

	other := ref(t, "app/1.0/app.tgz")
	other.Instance = "elsewhere"
	_, err = c.Info(t.Context(), other)
	require.ErrorContains(t, err, `instance "elsewhere"`)
	_, err = c.Info(t.Context(), artifact.Ref{Repo: testRepo, Path: "../" + artifactorytest.Release + "/x"})
	require.ErrorIs(t, err, artifactory.ErrPath, "a reference made without its constructor is checked too")
	_, err = c.Info(t.Context(), ref(t, "a.jar!/META-INF/MANIFEST.MF"))
	require.ErrorIs(t, err, artifactory.ErrPath)
}

func TestInfoRefusesStrangeAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want string
	}{
		"another path":       {`{"repo":"libs-staging-local","path":"/app","size":"1"}`, "another item"},
		"another repository": {`{"repo":"libs-release-local","path":"/app.bin","size":"1"}`, "another item"},
		"no JSON":            {`<html>`, "reading file information"},
		"negative size":      {`{"repo":"libs-staging-local","path":"/app.bin","size":"-1"}`, `size "-1"`},
		"size with exponent": {`{"repo":"libs-staging-local","path":"/app.bin","size":1e3}`, `size "1e3"`},
		"half a digest":      {`{"repo":"libs-staging-local","path":"/app.bin","size":"1","checksums":{"sha256":"abcd"}}`, "SHA-256 that is none"},
		"endless":            {`{"repo":"` + strings.Repeat("x", 5<<20), "larger than allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tc.body) }).URL)
			_, err := c.Info(t.Context(), ref(t, "app.bin"))
			require.ErrorContains(t, err, tc.want)
		})
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"repo":"libs-staging-local","path":"/app.bin","size":7}`)
	}).URL)
	info, err := c.Info(t.Context(), ref(t, "app.bin"))
	require.NoError(t, err, "a size that is a number and a file without SHA-256 are told as they are")
	require.EqualValues(t, 7, info.Size)
	require.True(t, info.SHA256.IsZero())
	require.ErrorIs(t, c.Pull(t.Context(), info), artifactory.ErrDigest)
}

func TestPull(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	require.NoError(t, s.Put("ci", testRepo, "big.bin", bytes.NewReader(content), nil))
	at := ref(t, "big.bin")
	info, err := c.Info(t.Context(), at)
	require.NoError(t, err)

	// Twice the connection ends half-way; the hashes must hold the bytes once.
	s.Fail(standin.Fault{Method: "GET", Path: "/artifactory/" + testRepo + "/**", When: standin.After, Truncate: 100_000, Times: 2})
	long := sha512.New384()
	require.NoError(t, c.Pull(t.Context(), info, long))
	want := sha512.Sum384(content)
	require.Equal(t, want[:], long.Sum(nil))

	s.Fail(standin.Fault{Method: "GET", Path: "/artifactory/" + testRepo + "/**", When: standin.After, Truncate: 100_000, Times: -1})
	err = c.Pull(t.Context(), info)
	require.ErrorIs(t, err, artifactory.ErrTruncated)
	require.True(t, artifactory.Temporary(err))
}

func TestPullNoticesAReplacedFile(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	put(t, s, "app.bin", payload)
	info, err := c.Info(t.Context(), ref(t, "app.bin"))
	require.NoError(t, err)
	put(t, s, "app.bin", "something else")
	err = c.Pull(t.Context(), info)
	require.ErrorIs(t, err, artifactory.ErrChanged)
	require.ErrorIs(t, err, artifactory.ErrDigest)
	require.False(t, artifactory.Temporary(err))
	require.NoError(t, s.Delete("ci", testRepo, "app.bin"))
	require.ErrorIs(t, c.Pull(t.Context(), info), artifact.ErrGone)
}

func TestPullComparesTheBytes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want error
	}{
		"other bytes of the same length": {strings.ToUpper(payload), artifactory.ErrDigest},
		"longer":                         {payload + "!", artifactory.ErrDigest},
		"shorter":                        {payload[:5], artifactory.ErrTruncated},
		"nothing":                        {"", artifactory.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tc.body) }).URL,
				func(cfg *artifactory.Config) { cfg.Retries = -1 })
			require.ErrorIs(t, c.Pull(t.Context(), appInfo(t)), tc.want)
		})
	}
	endless := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(payload)); err != nil {
				return
			}
		}
	}).URL)
	require.ErrorIs(t, endless.Pull(t.Context(), appInfo(t)), artifactory.ErrDigest, "reading stops behind the reported size")
}

// Not parallel: it counts what the whole process allocates.
func TestPullKeepsNothingInMemory(t *testing.T) {
	const size = 64 << 20
	chunk := make([]byte, 1<<20)
	sum := sha256.New()
	for range size / len(chunk) {
		sum.Write(chunk)
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range size / len(chunk) {
			_, _ = w.Write(chunk)
		}
	}).URL)
	info := artifact.Info{Ref: ref(t, "big"), SHA256: artifact.Digest(sum.Sum(nil)), Size: size}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Pull(t.Context(), info); err != nil {
				b.Fatal(err)
			}
		}
	})
	require.Less(t, r.AllocedBytesPerOp(), int64(4<<20), "server's and client's allocations for 64 MiB")
}

func sig(t testing.TB, content string) artifact.Attachment {
	t.Helper()
	return artifact.Attachment{Ref: ref(t, "app/app.tgz.sigstore.json"), MediaType: "application/json", Content: []byte(content)}
}

func TestStore(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Signer)
	require.NoError(t, c.Store(t.Context(), sig(t, "one")))
	got, err := s.Content(testRepo, "app/app.tgz.sigstore.json")
	require.NoError(t, err)
	require.Equal(t, "one", string(got))

	require.NoError(t, c.Store(t.Context(), sig(t, "one")), "the same again is a success, though overwriting is forbidden")

	err = c.Store(t.Context(), sig(t, "two"))
	var no *artifactory.Refused
	require.ErrorAs(t, err, &no)
	require.Equal(t, http.StatusForbidden, no.Status)
	require.Contains(t, no.Message, "overwrite")
	got, err = s.Content(testRepo, "app/app.tgz.sigstore.json")
	require.NoError(t, err)
	require.Equal(t, "one", string(got))
}

func TestStoreWhenTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]standin.Fault{
		"cut after the effect":  {Reset: true, When: standin.After},
		"cut before the effect": {Reset: true, When: standin.Before},
		"500 after the effect":  {Status: 500, When: standin.After},
		"503 before the effect": {Status: 503, When: standin.Before},
		"half an answer":        {Truncate: 20, When: standin.After},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := house(t, artifactorytest.Signer)
			f.Method, f.Path = "PUT", "/artifactory/**"
			struck := s.Fail(f)
			require.NoError(t, c.Store(t.Context(), sig(t, "one")))
			require.Equal(t, 1, struck())
			_, there := s.File(testRepo, "app/app.tgz.sigstore.json")
			require.True(t, there)
		})
	}
}

func TestStoreRefusals(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 405, 409, 413, 507} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s, c := house(t, artifactorytest.Signer)
			s.Fail(standin.Fault{Method: "PUT", Status: status, Times: -1})
			err := c.Store(t.Context(), sig(t, "one"))
			var no *artifactory.Refused
			require.ErrorAs(t, err, &no)
			require.Equal(t, status, no.Status)
			require.NotEmpty(t, no.Message)
			require.False(t, artifactory.Temporary(err))
			require.Equal(t, 1, s.CountRequests("PUT", "/"))
		})
	}
	_, c := house(t, artifactorytest.Reader)
	var no *artifactory.Refused
	require.ErrorAs(t, c.Store(t.Context(), sig(t, "one")), &no)
}

func TestStoreComparesWhatWasStored(t *testing.T) {
	t.Parallel()
	head := `{"repo":"libs-staging-local","size":"3","path":"/app/app.tgz.sigstore.json"`
	right := fmt.Sprintf(`,"checksums":{"sha256":"%x"}}`, sha256.Sum256([]byte("one")))
	for name, tc := range map[string]struct {
		answer string
		want   error
	}{
		"another digest":  {head + `,"checksums":{"sha256":"` + strings.Repeat("0", 63) + `1"}}`, artifactory.ErrStored},
		"another path":    {strings.Replace(head, "app.tgz", "app", 1) + right, artifactory.ErrOtherItem},
		"no digest, read": {head + `}`, artifactory.ErrStored},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, tc.answer)
			}).URL)
			require.ErrorIs(t, c.Store(t.Context(), sig(t, "one")), tc.want)
		})
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, _ = io.Copy(io.Discard, r.Body); r.Method == http.MethodPut {
			fmt.Fprint(w, head+`}`)
			return
		}
		fmt.Fprint(w, head+right)
	}).URL)
	require.NoError(t, c.Store(t.Context(), sig(t, "one")), "without a digest in the answer it is asked for")
}

func TestRead(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	put(t, s, "app.bin.sig", payload)
	got, err := c.Read(t.Context(), ref(t, "app.bin.sig"), int64(len(payload)))
	require.NoError(t, err)
	require.Equal(t, payload, string(got))
	_, err = c.Read(t.Context(), ref(t, "app.bin.sig"), int64(len(payload))-1)
	require.ErrorIs(t, err, artifactory.ErrTooLarge)
	_, err = c.Read(t.Context(), ref(t, "missing.sig"), 100)
	require.ErrorIs(t, err, artifact.ErrGone)

	s.Fail(standin.Fault{Method: "GET", When: standin.After, Truncate: 5})
	got, err = c.Read(t.Context(), ref(t, "app.bin.sig"), 1000)
	require.NoError(t, err)
	require.Equal(t, payload, string(got))

	endless := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(payload)); err != nil {
				return
			}
		}
	}).URL)
	_, err = endless.Read(t.Context(), ref(t, "app.bin.sig"), 1000)
	require.ErrorIs(t, err, artifactory.ErrTooLarge)
}

func TestProperties(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Signer)
	put(t, s, "app/app.bin", payload)
	at := ref(t, "app/app.bin")

	props, err := c.Properties(t.Context(), at)
	require.NoError(t, err)
	require.Empty(t, props)
	_, err = c.Properties(t.Context(), ref(t, "missing"))
	require.ErrorIs(t, err, artifact.ErrGone)

	awkward := `;a=b|c\,"x" ä/?#&{}+%41`
	require.NoError(t, c.Merge(t.Context(), at, map[string][]string{"hallmark.state": {"signed"}, "hallmark.keys": {"a", "b"}, "other": {awkward}}))
	require.NoError(t, c.Merge(t.Context(), at, map[string][]string{"hallmark.state": {"denied"}, "hallmark.keys": nil, "never.there": nil}))
	props, err = c.Properties(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"hallmark.state": {"denied"}, "other": {awkward}}, props)

	require.NoError(t, c.Merge(t.Context(), ref(t, "app"), map[string][]string{"on": {"folder"}}))
	f, _ := s.File(testRepo, "app/app.bin")
	require.NotContains(t, f.Properties, "on", "never what lies below")

	require.NoError(t, c.Merge(t.Context(), at, map[string][]string{"long": {strings.Repeat("x", artifactory.MaxPropertyValue)}}))
	for name, bad := range map[string]map[string][]string{
		"long value":  {"a": {strings.Repeat("x", artifactory.MaxPropertyValue+1)}},
		"long key":    {strings.Repeat("x", artifactory.MaxPropertyKey+1): {"v"}},
		"empty key":   {"": {"v"}},
		"strange key": {"a=b": {"v"}},
		"no value":    {"a": {}},
		"empty value": {"a": {""}},
		"line break":  {"a": {"x\ny"}},
		"not UTF-8":   {"a": {"\xff"}},
	} {
		s.ForgetRequests()
		require.ErrorIs(t, c.Merge(t.Context(), at, bad), artifactory.ErrProperty, name)
		require.Empty(t, s.Requests(), name)
	}

	require.ErrorIs(t, c.Merge(t.Context(), ref(t, "missing"), map[string][]string{"a": {"b"}}), artifact.ErrGone)
	_, reader := house(t, artifactorytest.Reader)
	var no *artifactory.Refused
	require.ErrorAs(t, reader.Merge(t.Context(), at, map[string][]string{"a": {"b"}}), &no)
	require.Equal(t, http.StatusForbidden, no.Status)
}

func TestServer(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Signer)
	require.NoError(t, c.Ping(t.Context()))
	v, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^7\.`, v)
	s.RemoveToken(artifactorytest.Signer)
	_, err = c.Version(t.Context())
	require.ErrorContains(t, err, "token is not accepted")
}

func TestRights(t *testing.T) {
	t.Parallel()
	yes, no := artifactory.Yes, artifactory.No
	for token, want := range map[string]artifactory.Rights{
		artifactorytest.Signer:    {Read: yes, Annotate: yes, Deploy: yes},
		artifactorytest.CI:        {Read: yes, Annotate: yes, Deploy: yes},
		artifactorytest.Annotator: {Read: yes, Annotate: yes, Deploy: no},
		artifactorytest.Reader:    {Read: yes, Annotate: no, Deploy: no},
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			s, c := house(t, token)
			want.Delete = artifactory.Unknown
			got, err := c.Rights(t.Context(), testRepo)
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, there := s.File(testRepo, ".hallmark-probe")
			require.False(t, there, "a probe must leave nothing behind")
			_, err = c.Rights(t.Context(), "libs-nowhere")
			require.ErrorIs(t, err, artifact.ErrGone)
			s.RemoveToken(token)
			_, err = c.Rights(t.Context(), testRepo)
			require.True(t, err != nil && !errors.Is(err, artifact.ErrGone), "%v", err)
		})
	}
}
