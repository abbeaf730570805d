package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Span is a length of time that people write in days: 90d, or as Go writes durations: 36h.
type Span time.Duration

// UnmarshalText reads a span of at least a second.
func (s *Span) UnmarshalText(b []byte) error {
	text := string(b)
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			d = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || d < time.Second {
		return fmt.Errorf("%q is no length of time; write for example 90d or 36h", text)
	}
	*s = Span(d)
	return nil
}

// String is how people write it.
func (s Span) String() string {
	if d := time.Duration(s); d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	return time.Duration(s).String()
}

// Bytes is a size that people write with its unit: 512KiB, 20MB.
type Bytes int64

var byteUnits = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// UnmarshalText reads a size with its unit.
func (s *Bytes) UnmarshalText(b []byte) error {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(string(b), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err == nil && n >= 0 && n <= math.MaxInt64/u.size {
			*s = Bytes(n * u.size)
			return nil
		}
		break
	}
	return fmt.Errorf("%q is no size; write for example 512KiB, 20MB or 100B", b)
}

// String is the size in the largest unit that divides it.
func (s Bytes) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		for _, u := range byteUnits {
			if u.name == unit && s != 0 && int64(s)%u.size == 0 {
				return strconv.FormatInt(int64(s)/u.size, 10) + unit
			}
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
