package payload

import (
	"math"
	"strconv"
	"time"

	"github.com/trefoil-iot/trefoil"
)

const allowedTimes = "allowed are RFC 3339 (\"2026-11-22T20:40:09Z\") and Unix time in s, ms, µs or ns as a number"

// maxTime is the end of the year 9999, the last that RFC 3339 can write.
const maxTime = 253402300799_000000

// parseNumberTime reads Unix time. The unit follows from the size: a number
// below 10^11 is seconds (until the year 5138), below 10^14 milliseconds,
// below 10^17 microseconds, and nanoseconds above.
func parseNumberTime(s string) (trefoil.Instant, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return checkTime(integerTime(n), s)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > math.MaxInt64/2 {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "ts %s is not a time; %s", s, allowedTimes)
	}
	switch {
	case f < 1e11:
		f *= 1e6
	case f < 1e14:
		f *= 1e3
	case f >= 1e17:
		f /= 1e3
	}
	return checkTime(int64(math.Round(f)), s)
}

func integerTime(n int64) int64 {
	switch {
	case n < 1e11:
		return saturatingMul(n, 1e6)
	case n < 1e14:
		return n * 1e3
	case n < 1e17:
		return n
	default:
		return n / 1e3
	}
}

func saturatingMul(n, by int64) int64 {
	if n < math.MinInt64/by {
		return math.MinInt64
	}
	return n * by
}

// ParseTime reads the time of a reading as payloads write it: RFC 3339, or
// Unix time whose unit follows from its size.
func ParseTime(s string) (trefoil.Instant, error) { return parseTextTime(s) }

func parseTextTime(s string) (trefoil.Instant, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if _, isNumber := strconv.ParseFloat(s, 64); isNumber == nil {
			return parseNumberTime(s)
		}
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "ts %q is not a time; %s", s, allowedTimes)
	}
	return checkTime(t.UnixMicro(), s)
}

func checkTime(us int64, s string) (trefoil.Instant, error) {
	if us < 0 || us > maxTime {
		if s == "" {
			s = strconv.FormatInt(us, 10) + " µs"
		}
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "ts %s is outside of the years 1970 to 9999; %s", s, allowedTimes)
	}
	return trefoil.Instant(us), nil
}
