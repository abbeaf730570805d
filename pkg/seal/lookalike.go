package seal

import (
	"encoding/json"
	"strings"
)

// Lookalike watches the bytes of a file for a text that signatures of other things are made over. The signature of such
// a file, taken out of its own place, would be a valid signature of an image or a release bundle that nobody ever signed:
// raw and sigstore sign the hash of whatever the bytes are, and DSSE and simple signing sign the hash of a text.
//
// It is written to like a hash and implements hash.Hash, so that it can run beside the hashes of a download; its sum is
// empty. It holds a few hundred bytes, whatever is written. It is not safe for concurrent use.
type Lookalike struct {
	n     int    // bytes at the start that were compared with the prefix
	start byte   // the first byte that is no blank; 0 before
	off   bool   // it cannot be a lookalike any more
	found string // what it is one of

	inString, escaped bool
	literal           []byte // of a JSON string, without quotes; nil when too long
}

const (
	// dssePrefix begins every pre-authentication encoding (DSSE protocol, version 1).
	dssePrefix = "DSSEv1 "
	// simpleSigningKey stands in every simple-signing text that a verifier accepts.
	simpleSigningKey = "docker-manifest-digest"
	// longestLiteral is the key with every character escaped.
	longestLiteral = len(simpleSigningKey) * len(`\u0000`)
)

// Found names what the bytes would pass for; "" when for nothing. It is final once all bytes were written.
func (l *Lookalike) Found() string { return l.found }

// Write looks at p. It never fails.
func (l *Lookalike) Write(p []byte) (int, error) {
	for i := 0; i < len(p) && l.found == "" && !l.off; i++ {
		l.see(p[i])
	}
	return len(p), nil
}

func (l *Lookalike) see(c byte) {
	if l.n >= 0 && l.n < len(dssePrefix) {
		if c != dssePrefix[l.n] {
			l.n = -1
		} else if l.n++; l.n == len(dssePrefix) {
			l.found = "the text that a DSSE signature is made over"
			return
		}
	}
	switch {
	case l.start == 0 && strings.IndexByte(" \t\r\n", c) >= 0:
	case l.start == 0:
		l.start = c
	case l.start == '{':
		l.json(c)
	}
	l.off = l.n < 0 && l.start != 0 && l.start != '{'
}

// json follows the strings of a JSON text. Readers of JSON do not care for case and escapes, so neither does this.
func (l *Lookalike) json(c byte) {
	switch {
	case !l.inString:
		if l.inString = c == '"'; l.inString {
			l.literal = make([]byte, 0, longestLiteral)
		}
		return
	case c == '"' && !l.escaped:
		l.inString = false
		if l.literal == nil {
			return
		}
		var s string
		quoted := append(append([]byte{'"'}, l.literal...), '"')
		if json.Unmarshal(quoted, &s) == nil && strings.EqualFold(s, simpleSigningKey) {
			l.found = "a simple-signing text about an image"
		}
		return
	}
	l.escaped = c == '\\' && !l.escaped
	if l.literal != nil && len(l.literal) < longestLiteral {
		l.literal = append(l.literal, c)
	} else {
		l.literal = nil
	}
}

// Sum appends nothing to b.
func (l *Lookalike) Sum(b []byte) []byte { return b }

// Reset forgets everything.
func (l *Lookalike) Reset() { *l = Lookalike{} }

// Size is 0.
func (l *Lookalike) Size() int { return 0 }

// BlockSize is 1.
func (l *Lookalike) BlockSize() int { return 1 }
