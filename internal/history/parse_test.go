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
	for in, want := range map[string]history.Step{
		"10s": history.Every(10 * time.Second), "5m": history.Every(5 * time.Minute), "24h": history.Every(24 * time.Hour),
		"1h30m": history.Every(90 * time.Minute), "1500ms": history.Every(1500 * time.Millisecond), "60000": history.Every(time.Minute),
		"1.5h": history.Every(90 * time.Minute), "1d12h": history.Every(36 * time.Hour), "0.5d": history.Every(12 * time.Hour),
		"1d": history.Days(1), "2w": history.Days(14), "1mo": history.Months(1), "1y": history.Months(12),
	} {
		if got, err := history.ParseStep(in); err != nil || got != want {
			t.Errorf("ParseStep(%q): got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-5m", "5", "999ms", "5 m", "m", "1x", "0d", "-1mo", "1mo1d", "d", "200y", "100000d", "9999999999999999", "1e9s", "+1h"} {
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

func TestParseZone(t *testing.T) {
	for _, name := range []string{"", "UTC", "Europe/Paris", "Asia/Kathmandu"} {
		if got, err := history.ParseZone(name); err != nil || got == nil {
			t.Errorf("ParseZone(%q): got %v, %v; want the zone", name, got, err)
		}
	}
	for _, name := range []string{"Europe/Lyon", "Local", "../etc/passwd", "+01:00"} {
		if got, err := history.ParseZone(name); trefoil.CodeOf(err) != trefoil.CodeInvalid || !strings.Contains(err.Error(), "Europe/Paris") {
			t.Errorf("ParseZone(%q): got %v, %v; want an error with examples", name, got, err)
		}
	}
}
