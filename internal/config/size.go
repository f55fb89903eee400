package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// units, largest first; an SI unit and its binary neighbour are told apart by
// the i, as IEC 80000-13 has it.
var units = [...]struct {
	name  string
	bytes float64
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"kB", 1e3},
	{"B", 1},
}

// ParseSize reads "256KiB", "1.5 MB" or a plain number of bytes.
func ParseSize(s string) (Size, error) {
	number, factor := s, 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	bytes := n * factor
	if err != nil || bytes < 0 || bytes > math.MaxInt64/2 || bytes != math.Trunc(bytes) {
		return 0, fmt.Errorf("%q is not a size; write a number with B, KiB, MiB, GiB or TiB", s)
	}
	return Size(bytes), nil
}

// Approximate writes a number of bytes for people: "1.5 MiB".
func Approximate(bytes int64) string {
	n, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n < 1024 {
			break
		}
		n, unit = n/1024, next
	}
	if unit == "B" || n >= 100 {
		return fmt.Sprintf("%.0f %s", n, unit)
	}
	return fmt.Sprintf("%.1f %s", n, unit)
}

// String gives the largest binary unit that needs no fraction: "256KiB".
func (s Size) String() string {
	for _, u := range units {
		unit := Size(u.bytes)
		binary := strings.Contains(u.name, "i") || u.name == "B"
		if binary && s >= unit && s%unit == 0 {
			return strconv.FormatInt(int64(s/unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
