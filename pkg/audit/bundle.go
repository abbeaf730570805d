package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged means that a file of the log is not of the form that such files have.
var ErrDamaged = errors.New("the log is damaged")

// splitBundle takes a bundle of entries apart, at most limit of them: of a log that grows, a bundle may hold more than was
// asked for. The entries share the bundle's memory.
func splitBundle(bundle []byte, limit int) ([][]byte, error) {
	entries := make([][]byte, 0, limit)
	for len(bundle) > 0 && len(entries) < limit {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("%w: a bundle ends within the length of its entry %d", ErrDamaged, len(entries))
		}
		size := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+size {
			return nil, fmt.Errorf("%w: a bundle ends within its entry %d, which has %d bytes", ErrDamaged, len(entries), size)
		}
		entries = append(entries, bundle[2:2+size:2+size])
		bundle = bundle[2+size:]
	}
	return entries, nil
}

// appendEntry adds an entry to a bundle.
func appendEntry(bundle, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
}

// splitTile takes a tile apart, at most limit hashes.
func splitTile(tile []byte, limit int) ([][]byte, error) {
	if len(tile)%hashSize != 0 {
		return nil, fmt.Errorf("%w: a tile has %d bytes, which are no whole hashes", ErrDamaged, len(tile))
	}
	hashes := make([][]byte, 0, limit)
	for ; len(tile) > 0 && len(hashes) < limit; tile = tile[hashSize:] {
		hashes = append(hashes, tile[:hashSize:hashSize])
	}
	return hashes, nil
}
