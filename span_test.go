package trefoil

import (
	"testing"
	"time"
)

func TestSpansReadTheFormThatTheyShow(t *testing.T) {
	const day = Span(24 * time.Hour)
	for s, want := range map[string]struct {
		span  Span
		shown string
	}{
		"12h": {day / 2, "12h"}, "90d": {90 * day, "90d"}, "8w": {56 * day, "8w"}, "5y": {5 * 365 * day, "5y"},
		"10d": {10 * day, "10d"}, "forever": {Forever, "forever"}, "365d": {365 * day, "1y"},
	} {
		got, err := ParseSpan(s)
		if err != nil || got != want.span || got.String() != want.shown {
			t.Errorf("%s: got %v shown as %s, %v; want %v shown as %s", s, time.Duration(got), got, err, time.Duration(want.span), want.shown)
		}
	}
	for _, s := range []string{"", "d", "0d", "-1d", "1.5d", "90", "5m", "10s", "201y", "99999999999d", "1d2h", "6mo", "for ever"} {
		if got, err := ParseSpan(s); err == nil || CodeOf(err) != CodeInvalid {
			t.Errorf("ParseSpan(%q) = %v, %v; want an error", s, got, err)
		}
	}
}
