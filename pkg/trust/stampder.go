package trust

import (
	"errors"
	"fmt"
)

// maxDepth bounds how deeply the elements of a time-stamp may be nested. Those of real authorities need about 15.
const maxDepth = 32

var errDER = errors.New("not DER")

// shallow reads nothing but tags and lengths: it refuses what has indefinite or overlong lengths, bytes left over, or is
// nested too deeply. Libraries that convert BER take time with the square of such input's size.
func shallow(der []byte) error { return shallowIn(der, maxDepth) }

func shallowIn(der []byte, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: nested more than %d deep", errDER, maxDepth)
	}
	for len(der) > 0 {
		constructed, content, rest, err := element(der)
		if err != nil {
			return err
		}
		if constructed {
			if err := shallowIn(content, depth-1); err != nil {
				return err
			}
		}
		der = rest
	}
	return nil
}

// element splits the first element off, which must be of definite length and have a tag of one byte.
func element(der []byte) (constructed bool, content, rest []byte, err error) {
	if len(der) < 2 {
		return false, nil, nil, fmt.Errorf("%w: cut off", errDER)
	}
	if der[0]&0x1f == 0x1f {
		return false, nil, nil, fmt.Errorf("%w: a tag of several bytes", errDER)
	}
	constructed = der[0]&0x20 != 0
	length, der := int(der[1]), der[2:]
	if length >= 0x80 {
		n := length - 0x80
		if n == 0 || n > 3 || n > len(der) {
			return false, nil, nil, fmt.Errorf("%w: a length that is indefinite, too long or cut off", errDER)
		}
		length = 0
		for _, b := range der[:n] {
			length = length<<8 | int(b)
		}
		der = der[n:]
	}
	if length > len(der) {
		return false, nil, nil, fmt.Errorf("%w: %d bytes are announced, %d are there", errDER, length, len(der))
	}
	return constructed, der[:length], der[length:], nil
}
