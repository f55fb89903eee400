package trefoil

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Span is how long something is kept. It is a whole number of hours; Forever
// has no end.
type Span time.Duration

// Forever is longer than every other span.
const Forever Span = math.MaxInt64

// spanUnits are the units of a span, the largest first. A year has 365 days.
func spanUnits() []struct {
	name string
	span Span
} {
	const day = Span(24 * time.Hour)
	return []struct {
		name string
		span Span
	}{{"y", 365 * day}, {"w", 7 * day}, {"d", day}, {"h", Span(time.Hour)}}
}

// maxSpan is what durations can hold, roundly.
const maxSpan = Span(200 * 365 * 24 * time.Hour)

// ParseSpan reads "12h", "90d", "8w", "5y" or "forever".
func ParseSpan(s string) (Span, error) {
	if s == "forever" {
		return Forever, nil
	}
	for i, c := range s {
		if c >= '0' && c <= '9' {
			continue
		}
		n, err := strconv.ParseInt(s[:i], 10, 32)
		for _, u := range spanUnits() {
			if err == nil && u.name == s[i:] && n > 0 && n <= int64(maxSpan/u.span) {
				return Span(n) * u.span, nil
			}
		}
		break
	}
	return 0, Errorf(CodeInvalid, "%q is not allowed; allowed: a number with h, d, w or y, up to 200y, such as 90d, or forever", s)
}

// String gives the largest unit that needs no fraction.
func (s Span) String() string {
	if s == Forever {
		return "forever"
	}
	for _, u := range spanUnits() {
		if s >= u.span && s%u.span == 0 {
			return strconv.FormatInt(int64(s/u.span), 10) + u.name
		}
	}
	return fmt.Sprint(time.Duration(s))
}
