package history

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// ParseTime reads a point in time as people and programs write it:
//
//	2026-11-22T10:00:00Z   RFC 3339, with any offset and fraction
//	2026-11-22             the beginning of that day, UTC
//	1700000000000          Unix milliseconds, with a fraction if need be
//	now                    now
//	-24h, +10m, -1d12h     relative to now, units ms s m h d w
func ParseTime(s string, now time.Time) (trefoil.Instant, error) {
	if s == "now" {
		return trefoil.InstantOf(now), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return trefoil.InstantOf(t), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return trefoil.InstantOf(t), nil
	}
	if t, ok := millis(s); ok {
		return t, nil
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if d, ok := duration(s[1:]); ok {
			if s[0] == '-' {
				d = -d
			}
			return trefoil.InstantOf(now.Add(d)), nil
		}
	}
	return 0, trefoil.Errorf(trefoil.CodeInvalid, "time %q: allowed are RFC 3339 (2026-11-22T10:00:00Z), a date (2026-11-22), Unix milliseconds (1700000000000), now, or relative to now (-24h, -7d; units ms s m h d w)", s)
}

// millis reads Unix milliseconds.
func millis(s string) (trefoil.Instant, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return trefoil.Instant(n * 1000), n < math.MaxInt64/1000 && n > math.MinInt64/1000
	}
	if strings.Trim(s, "+-0123456789.") != "" {
		return 0, false // no exponents, no Inf
	}
	f, err := strconv.ParseFloat(s, 64)
	return trefoil.Instant(math.Round(f * 1000)), err == nil && math.Abs(f) < math.MaxInt64/1000
}

// ParseDuration reads a length of time above 0, such as 10s, 5m or 1d.
func ParseDuration(s string) (time.Duration, error) {
	d, ok := duration(s)
	if !ok || d <= 0 {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "%q: allowed are lengths of time above 0, such as 10s, 5m, 1h, 1d", s)
	}
	return d, nil
}

// duration reads one or more whole or decimal numbers, each with a unit,
// without a sign.
func duration(s string) (total time.Duration, ok bool) {
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if i <= 0 {
			return 0, false
		}
		j := i + strings.IndexFunc(s[i:]+"0", func(r rune) bool { return r == '.' || '0' <= r && r <= '9' })
		n, err := strconv.ParseFloat(s[:i], 64)
		unit, known := unit(s[i:j])
		if err != nil || !known || n*float64(unit)+float64(total) > float64(MaxStep) {
			return 0, false
		}
		total += time.Duration(math.Round(n * float64(unit)))
		s, ok = s[j:], true
	}
	return total, ok
}

func unit(name string) (time.Duration, bool) {
	switch name {
	case "ms":
		return time.Millisecond, true
	case "s":
		return time.Second, true
	case "m":
		return time.Minute, true
	case "h":
		return time.Hour, true
	case "d":
		return 24 * time.Hour, true
	case "w":
		return 7 * 24 * time.Hour, true
	default:
		return 0, false
	}
}
