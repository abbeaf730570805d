package artifactory

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// object hands each key of an object to field, which must read the value.
func (d *buildDecoder) object(field func(key string) error) error {
	if t, err := d.json.Token(); err != nil || t != json.Delim('{') {
		return cmp.Or(err, fmt.Errorf("%v where an object should begin, at byte %d", t, d.json.InputOffset()))
	}
	for d.json.More() {
		key, err := d.json.Token()
		if err != nil {
			return err
		}
		if err := field(fmt.Sprint(key)); err != nil {
			return err
		}
	}
	_, err := d.json.Token()
	return err
}

// list calls element for each of a list, which must read it; null is an empty list.
func (d *buildDecoder) list(element func() error) error {
	t, err := d.json.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("%v where a list should begin, at byte %d", t, d.json.InputOffset())
	}
	for d.json.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err = d.json.Token()
	return err
}

// skip reads one value of any size in memory that does not grow with it.
func (d *buildDecoder) skip() error {
	for depth := 0; ; {
		t, err := d.json.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth > maxBuildDepth {
			return fmt.Errorf("%w: nested more than %d times", ErrTooLarge, maxBuildDepth)
		}
		if depth == 0 {
			return nil
		}
	}
}
