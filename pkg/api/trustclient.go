package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// maxTrust bounds each file that is read, in bytes, maxTrustKeys how many keys.
const (
	maxTrust     = 1 << 20
	maxTrustKeys = 1000
)

// Trust reads what the service publishes for verifiers, in the order in which it is to be written. It needs no token. What
// comes is as good as the connection to the service: nothing here is signed.
func (c *Client) Trust(ctx context.Context) ([]trust.File, error) {
	for range 3 {
		list, err := c.trustFile(ctx, trust.TrustFile, true)
		if err != nil {
			return nil, err
		}
		files, err := c.trustFiles(ctx, list)
		if err != nil {
			return nil, err
		}
		again, err := c.trustFile(ctx, trust.TrustFile, true)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(again.Content, list.Content) {
			return append(files, *list), nil
		}
	}
	return nil, fmt.Errorf("calling %s: it changed each time while it was read; try again", pathTrust)
}

// trustFiles reads all files beside the list, which names the keys.
func (c *Client) trustFiles(ctx context.Context, list *trust.File) ([]trust.File, error) {
	var listed struct {
		Keys []struct {
			Name string `json:"name"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(list.Content, &listed); err != nil {
		return nil, fmt.Errorf("reading %s: %w", list.Name, err)
	}
	if len(listed.Keys) > maxTrustKeys {
		return nil, fmt.Errorf("reading %s: %d keys, over %d", list.Name, len(listed.Keys), maxTrustKeys)
	}
	var files []trust.File
	for _, name := range []string{trust.RootFile, trust.CAFile, trust.TimeFile} {
		f, err := c.trustFile(ctx, name, false)
		if err != nil {
			return nil, err
		}
		if f != nil {
			files = append(files, *f)
		}
	}
	for _, k := range listed.Keys {
		if strings.ContainsAny(k.Name, "/?#%") {
			return nil, fmt.Errorf("reading %s: a key is called %.64q", list.Name, k.Name)
		}
		f, err := c.trustFile(ctx, trust.KeysDir+"/"+k.Name+".pem", true)
		if err != nil {
			return nil, err
		}
		files = append(files, *f)
	}
	return files, nil
}

// trustFile reads one file; nil when there is none and none is needed.
func (c *Client) trustFile(ctx context.Context, name string, needed bool) (*trust.File, error) {
	path := strings.TrimSuffix(pathTrust, "*") + name
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", path, err)
	}
	req.Header.Set("Cache-Control", "no-cache") // files of different ages do not go together
	doer := c.HTTP
	if doer == nil {
		doer = http.DefaultClient
	}
	resp, err := doer.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusNotFound && media == "application/problem+json" && !needed {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		err := read(resp, path, new(json.RawMessage))
		if p := (*Problem)(nil); errors.As(err, &p) && p.Status == http.StatusNotFound && name == trust.TrustFile {
			return nil, fmt.Errorf("calling %s: this service publishes nothing for verifiers: %w", path, p)
		}
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxTrust+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	if len(content) > maxTrust {
		return nil, fmt.Errorf("reading the answer of %s: over %d bytes", path, maxTrust)
	}
	return &trust.File{Name: name, MediaType: media, Content: content}, nil
}
