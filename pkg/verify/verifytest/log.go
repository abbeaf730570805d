package verifytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Log is a log in memory.
type Log struct {
	testing.TB
	Origin string
	Key    *ecdsa.PrivateKey
	leaves [][]byte
}

// Fill adds entries that are about nothing.
func (l *Log) Fill(n int) {
	for i := range n {
		l.leaves = append(l.leaves, fmt.Appendf(nil, "entry %d of %s", i, l.Origin))
	}
}

// Entry is a log entry as bundles hold it; tests change it before it is stored.
type Entry struct {
	LogIndex int64  `json:"logIndex,string"`
	LogID    keyID  `json:"logId"`
	Kind     kind   `json:"kindVersion"`
	Proof    *Proof `json:"inclusionProof,omitempty"`
	Body     []byte `json:"canonicalizedBody"`
	Time     int64  `json:"integratedTime,omitempty,string"`
}

type keyID struct {
	KeyID []byte `json:"keyId"`
}

type kind struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

// Proof says that an entry is in a tree.
type Proof struct {
	LogIndex   int64      `json:"logIndex,string"`
	RootHash   []byte     `json:"rootHash"`
	TreeSize   int64      `json:"treeSize,string"`
	Hashes     [][]byte   `json:"hashes"`
	Checkpoint checkpoint `json:"checkpoint"`
}

type checkpoint struct {
	Envelope string `json:"envelope"`
}

// Add appends a body, then more entries, and proves the body in the tree of all of them.
func (l *Log) Add(body []byte, more int) *Entry {
	l.Helper()
	index := len(l.leaves)
	l.leaves = append(l.leaves, body)
	l.Fill(more)
	id := sha256.Sum256(SPKI(l, l.Key.Public()))
	root := tree(l.leaves)
	return &Entry{
		LogIndex: int64(index), LogID: keyID{id[:]}, Kind: kind{"hashedrekord", "0.0.2"}, Body: body,
		Proof: &Proof{LogIndex: int64(index), RootHash: root, TreeSize: int64(len(l.leaves)), Hashes: path(l.leaves, index), Checkpoint: checkpoint{l.Checkpoint(len(l.leaves), root)}},
	}
}

// Forget removes the newest entry.
func (l *Log) Forget() { l.leaves = l.leaves[: len(l.leaves)-1 : len(l.leaves)-1] }

// Head is the checkpoint of all entries.
func (l *Log) Head() string { return l.Checkpoint(len(l.leaves), tree(l.leaves)) }

// Checkpoint is a note over a tree of any size and root.
func (l *Log) Checkpoint(size int, root []byte) string {
	l.Helper()
	return l.Note(fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, base64.StdEncoding.EncodeToString(root)), l.Origin)
}

// Note signs any text under any name.
func (l *Log) Note(text, name string) string {
	l.Helper()
	sum, id := sha256.Sum256([]byte(text)), sha256.Sum256(SPKI(l, l.Key.Public()))
	sig, err := l.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	require.NoError(l, err)
	blob := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(id[:]))
	return text + "\n\u2014 " + name + " " + base64.StdEncoding.EncodeToString(append(blob, sig...)) + "\n"
}

// Body is the entry about a use of a key: sorted members, no blanks.
func Body(t testing.TB, algorithm, details string, digest, signature []byte, verifier string, raw []byte) []byte {
	t.Helper()
	type object = map[string]any
	b, err := json.Marshal(object{"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": object{"hashedRekordV002": object{
		"data":      object{"algorithm": algorithm, "digest": digest},
		"signature": object{"content": signature, "verifier": object{"keyDetails": details, verifier: object{"rawBytes": raw}}},
	}}})
	require.NoError(t, err)
	require.NotContains(t, strings.ToLower(string(b)), `\u`)
	return b
}

// The Merkle tree of RFC 6962, section 2.1, word for word.
func tree(leaves [][]byte) []byte {
	var sum [32]byte
	switch n := len(leaves); n {
	case 0:
		sum = sha256.Sum256(nil)
	case 1:
		sum = sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := split(n)
		sum = sha256.Sum256(append(append([]byte{1}, tree(leaves[:k])...), tree(leaves[k:])...))
	}
	return sum[:]
}

func path(leaves [][]byte, m int) [][]byte {
	n := len(leaves)
	if n == 1 {
		return nil
	}
	if k := split(n); m < k {
		return append(path(leaves[:k], m), tree(leaves[k:]))
	} else {
		return append(path(leaves[k:], m-k), tree(leaves[:k]))
	}
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}
