package artifactory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	maxBuildInfo  = 64 << 20 // bytes of a build-info
	maxBuildParts = 100_000  // artifacts of all its modules; promotions in its history
	maxBuildDepth = 1000     // nesting of what is skipped
)

// buildInfo is a build-info document: GET /api/build has it below "buildInfo", the record in a repository is it.
type buildInfo struct {
	artifact.Build
	started string // as it is written
	comment string // of the newest promotion
}

func (b *buildInfo) decode(resp *http.Response) error {
	body := &watched{Reader: resp.Body}
	doc, err := decodeBuildInfo(body)
	if body.err != nil {
		return bodyError(body.err)
	}
	*b = doc
	return err
}

// decodeBuildInfo reads a build-info as a stream; what is not asked for is skipped unread. Digests that are none are
// left empty. More than maxBuildInfo bytes or maxBuildParts artifacts are ErrTooLarge.
func decodeBuildInfo(r io.Reader) (buildInfo, error) {
	d := buildDecoder{json: json.NewDecoder(&bounded{from: r, left: maxBuildInfo + 1})}
	err := d.fields(true)
	if err == nil {
		if _, err = d.json.Token(); err == nil {
			err = errors.New("something follows its end")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return buildInfo{}, fmt.Errorf("reading build-info: %w", err)
	}
	d.Started = parseTime(d.started)
	slices.Reverse(d.history) // of two at one time the later line is the newer
	slices.SortStableFunc(d.history, func(x, y buildLine) int { return y.at().Compare(x.at()) })
	for _, l := range d.history {
		d.Promotions = append(d.Promotions, artifact.BuildPromotion{Status: string(l.Status), Repo: string(l.Repository), At: l.at(), By: string(l.User)})
	}
	if len(d.history) > 0 {
		d.comment = string(d.history[0].Comment)
	}
	return d.buildInfo, nil
}

// bounded fails with ErrTooLarge when the last of the bytes that are left is read.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left <= 0 {
		return n, fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, maxBuildInfo)
	}
	return n, err
}

// loose is a string, or a number as it is written; anything else is "".
type loose string

// UnmarshalJSON never fails: a field of an unexpected type is an empty one.
func (l *loose) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil && raw[0] != '{' && raw[0] != '[' && raw[0] != 't' && raw[0] != 'f' {
		s = string(raw)
	}
	*l = loose(s)
	return nil
}

// buildLine is one line of a build's history.
type buildLine struct {
	Status     loose `json:"status"`
	Comment    loose `json:"comment"`
	Repository loose `json:"repository"`
	User       loose `json:"user"` // who was let in; "ciUser" beside it is what the caller said
	Timestamp  loose `json:"timestamp"`
	Date       loose `json:"timestampDate"` // milliseconds
}

func (l buildLine) at() time.Time {
	if t := parseTime(string(l.Timestamp)); !t.IsZero() {
		return t
	}
	if ms, err := strconv.ParseInt(string(l.Date), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

type buildDecoder struct {
	buildInfo
	json    *json.Decoder
	history []buildLine
}

// fields reads the document's object; the outer one may be a cover of the one that counts.
func (d *buildDecoder) fields(outer bool) error {
	return d.object(func(key string) error {
		switch key {
		case "buildInfo":
			if outer {
				return d.fields(false)
			}
		case "name":
			return d.text(&d.Name)
		case "number":
			return d.text(&d.Number)
		case "started":
			return d.text(&d.started)
		case "modules":
			return d.list(d.module)
		case "statuses":
			return d.list(func() error {
				var l buildLine
				if err := d.json.Decode(&l); err != nil {
					return err
				}
				d.history = append(d.history, l)
				return atMost(len(d.history), "promotions")
			})
		}
		return d.skip()
	})
}

func (d *buildDecoder) module() error {
	return d.object(func(key string) error {
		if key == "artifacts" {
			return d.list(d.built)
		}
		return d.skip()
	})
}

func (d *buildDecoder) built() error {
	var doc struct {
		Name   loose `json:"name"`
		Path   loose `json:"path"`
		SHA1   loose `json:"sha1"`
		SHA256 loose `json:"sha256"`
	}
	if err := d.json.Decode(&doc); err != nil {
		return err
	}
	b := artifact.Built{Name: string(doc.Name), Path: string(doc.Path), SHA1: sha1Text(string(doc.SHA1))}
	b.SHA256, _ = artifact.ParseDigest(strings.ToLower(string(doc.SHA256))) // what is none is none
	d.Artifacts = append(d.Artifacts, b)
	return atMost(len(d.Artifacts), "artifacts")
}

func atMost(n int, what string) error {
	if n > maxBuildParts {
		return fmt.Errorf("%w: more than %d %s", ErrTooLarge, maxBuildParts, what)
	}
	return nil
}

// sha1Text is a SHA-1 in lowercase hexadecimal, "" for what is none.
func sha1Text(s string) string {
	s = strings.ToLower(s)
	if len(s) != 40 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

func (d *buildDecoder) text(to *string) error {
	var l loose
	err := d.json.Decode(&l)
	*to = string(l)
	return err
}
