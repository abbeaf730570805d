package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Artifactory's limits for properties. Over them a server fails or, worse, silently cuts the value.
const (
	MaxPropertyKey   = 255
	MaxPropertyValue = 2400
)

// ErrProperty means that a property cannot be stored faithfully: its key or value is too long or holds what servers
// are known to change. Nothing was sent.
var ErrProperty = errors.New("property cannot be stored faithfully")

// Properties returns all properties of an item; an item without any has an empty map. The order of a key's values
// means nothing. A missing item is artifact.ErrGone. Anybody with annotate rights can write properties: they are never
// evidence.
func (c *Client) Properties(ctx context.Context, ref artifact.Ref) (map[string][]string, error) {
	props, err := c.properties(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("reading properties of %s: %w", ref, err)
	}
	return props, nil
}

func (c *Client) properties(ctx context.Context, ref artifact.Ref) (map[string][]string, error) {
	p, err := c.itemPath(ref)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Properties map[string][]string `json:"properties"`
	}
	r := request{call: callProperties, method: http.MethodGet, url: c.base + "api/storage/" + p + "?properties"}
	err = c.do(ctx, r, func(resp *http.Response) error {
		raw, err := readAll(resp, maxAnswer)
		if err != nil {
			return err
		}
		doc.Properties = nil
		return json.Unmarshal(raw, &doc)
	})
	if isStatus(err, http.StatusNotFound) {
		// 404 means either; only the text tells.
		if st, _ := errors.AsType[*StatusError](err); strings.Contains(st.Message, "No properties could be found") {
			return map[string][]string{}, nil
		}
		return nil, artifact.ErrGone
	}
	if err != nil {
		return nil, err
	}
	if doc.Properties == nil {
		doc.Properties = map[string][]string{}
	}
	return doc.Properties, nil
}

// Merge sets the given properties of one item in one call and leaves its others alone; nil deletes a key, and deleting
// what is not there is fine. It never touches what lies below a folder. Of two writers the last wins. A final no is
// *Refused, a missing item artifact.ErrGone.
func (c *Client) Merge(ctx context.Context, ref artifact.Ref, props map[string][]string) error {
	if err := c.merge(ctx, ref, props); err != nil {
		return fmt.Errorf("setting properties of %s: %w", ref, err)
	}
	return nil
}

func (c *Client) merge(ctx context.Context, ref artifact.Ref, props map[string][]string) error {
	for key, values := range props {
		if err := checkProperty(key, values); err != nil {
			return err
		}
	}
	p, err := c.itemPath(ref)
	if err != nil {
		return err
	}
	if err := c.writable(ctx, ref); err != nil {
		return err
	}
	return c.patch(ctx, callMerge, p, props)
}

// patch sends PATCH /api/metadata, whose JSON body needs none of the escaping of the older property calls.
func (c *Client) patch(ctx context.Context, call callName, item string, props map[string][]string) error {
	body, err := json.Marshal(map[string]any{"props": props})
	if err != nil {
		return err
	}
	err = c.do(ctx, request{
		call: call, method: http.MethodPatch, body: body, headers: map[string]string{"Content-Type": "application/json"},
		url: c.base + "api/metadata/" + item + "?recursiveProperties=0&atomicProperties=1",
	}, discard)
	return refusal("setting properties", gone(err))
}

// Faithful reports whether Merge would send a property.
func Faithful(key string, values []string) bool { return checkProperty(key, values) == nil }

func checkProperty(key string, values []string) error {
	switch {
	case key == "" || len(key) > MaxPropertyKey:
		return fmt.Errorf("%w: a key has 1 to %d characters, this has %d", ErrProperty, MaxPropertyKey, len(key))
	case strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "":
		return fmt.Errorf("%w: in the key %q only letters, digits, '.', '_' and '-' are safe", ErrProperty, key)
	case values != nil && len(values) == 0:
		return fmt.Errorf("%w: %s has no value; nil deletes", ErrProperty, key)
	}
	for _, v := range values {
		switch {
		case v == "":
			return fmt.Errorf("%w: %s has an empty value", ErrProperty, key)
		case len(v) > MaxPropertyValue:
			return fmt.Errorf("%w: a value of %s has %d bytes, the limit is %d", ErrProperty, key, len(v), MaxPropertyValue)
		case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl):
			return fmt.Errorf("%w: a value of %s is not plain text", ErrProperty, key)
		}
	}
	return nil
}
