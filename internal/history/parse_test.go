package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

func TestParseTimeTakesEveryAllowedForm(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(d time.Duration) trefoil.Instant { return trefoil.InstantOf(now.Add(d)) }
	for in, want := range map[string]trefoil.Instant{
		"now":                          at(0),
		"2026-11-22T10:00:00Z":         at(0),
		"2026-11-22T11:30:00.25+01:00": at(30*time.Minute + 250*time.Millisecond),
		"2026-11-22":                   at(-10 * time.Hour),
		"1700000000000":                1_700_000_000_000_000,
		"1700000000000.125":            1_700_000_000_000_125,
		"0":                            0,
		"-1000":                        -1_000_000,
		"-24h":                         at(-24 * time.Hour),
		"+10m":                         at(10 * time.Minute),
		"-7d":                          at(-7 * 24 * time.Hour),
		"-2w":                          at(-14 * 24 * time.Hour),
		"-1d12h":                       at(-36 * time.Hour),
		"-1.5h":                        at(-90 * time.Minute),
		"-500ms":                       at(-500 * time.Millisecond),
	} {
		got, err := history.ParseTime(in, now)
		if err != nil || got != want {
			t.Errorf("ParseTime(%q): got %v, %v; want %v", in, got.Time(), err, want.Time())
		}
	}
}

func TestParseTimeRefusesTheRestAndNamesTheForms(t *testing.T) {
	for _, in := range []string{"", "-", "yesterday", "24h", "-24x", "-h", "-1h-2h", "1e3", "NaN", "-Inf", "2026-13-01", "99999999999999999999", "-999999999w", "--1h", "-1..2h"} {
		got, err := history.ParseTime(in, time.Now())
		if trefoil.CodeOf(err) != trefoil.CodeInvalid || !strings.Contains(err.Error(), "RFC 3339") {
			t.Errorf("ParseTime(%q): got %v, %v; want an error that names the forms", in, got, err)
		}
	}
}

func TestParseStep(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "5m": 5 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour,
		"1w": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute, "1500ms": 1500 * time.Millisecond, "60000": time.Minute, "1.5h": 90 * time.Minute,
	} {
		if got, err := history.ParseStep(in); err != nil || got != want {
			t.Errorf("ParseStep(%q): got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-5m", "5", "999ms", "5 m", "m", "1y", "100000d", "9999999999999999", "1e9s", "+1h"} {
		if got, err := history.ParseStep(in); trefoil.CodeOf(err) != trefoil.CodeInvalid || !strings.Contains(err.Error(), "10s") {
			t.Errorf("ParseStep(%q): got %v, %v; want an error that names the forms", in, got, err)
		}
	}
}

func TestParseAggregates(t *testing.T) {
	got, err := history.ParseAggregates([]string{"avg,min", "max", "avg"})
	if err != nil || len(got) != 3 || got[2] != history.Max {
		t.Errorf("got %v, %v; want avg, min, max", got, err)
	}
	_, err = history.ParseAggregates([]string{"avg,median"})
	if trefoil.CodeOf(err) != trefoil.CodeInvalid || !strings.Contains(err.Error(), `"median"`) || !strings.Contains(err.Error(), "count") {
		t.Errorf("got error %v, want one that names median and the allowed ones", err)
	}
}
