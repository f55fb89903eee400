package history_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := history.ParseZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func paris(t testing.TB) *time.Location { return zone(t, "Europe/Paris") }

// startsOf asks for the beginnings of all buckets of a range in local time.
func startsOf(t *testing.T, h *history.History, zoneName, step, from, to string) []string {
	t.Helper()
	loc := zone(t, zoneName)
	at := func(s string) trefoil.Instant {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
		if err != nil {
			t.Fatal(err)
		}
		return trefoil.InstantOf(v)
	}
	s, err := history.ParseStep(step)
	if err != nil {
		t.Fatal(err)
	}
	q := history.Query{Devices: history.Of("dev"), From: at(from), To: at(to), Step: s, Zone: loc, Fill: history.FillNull, Aggregates: []history.Aggregate{history.Count}}
	list, err := h.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list[0].T {
		out = append(out, x.Time().In(loc).Format("2006-01-02 15:04 -0700"))
	}
	return out
}

func TestBucketsFollowTheClockOnTheWall(t *testing.T) {
	s, h := open(t)
	put(t, s, reading("m", start, 1))
	for _, c := range []struct {
		name, zone, step, from, to string
		want                       []string
	}{
		{
			"a day of 23 hours", "Europe/Paris", "1d", "2026-03-28 00:00", "2026-03-31 00:00",
			[]string{"2026-03-28 00:00 +0100", "2026-03-29 00:00 +0100", "2026-03-30 00:00 +0200"},
		},
		{
			"a day of 25 hours", "Europe/Paris", "24h", "2026-10-24 12:00", "2026-10-26 12:00",
			[]string{"2026-10-24 00:00 +0200", "2026-10-25 00:00 +0200", "2026-10-26 00:00 +0100"},
		},
		{
			"an hour that is not there", "Europe/Paris", "1h", "2026-03-29 00:30", "2026-03-29 04:00",
			[]string{"2026-03-29 00:00 +0100", "2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200"},
		},
		{
			"an hour that comes twice", "Europe/Paris", "1h", "2026-10-25 01:00", "2026-10-25 04:00",
			[]string{"2026-10-25 01:00 +0200", "2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00 +0100"},
		},
		{
			"six hours across a change", "Europe/Paris", "6h", "2026-10-25 00:00", "2026-10-25 18:00",
			[]string{"2026-10-25 00:00 +0200", "2026-10-25 06:00 +0100", "2026-10-25 12:00 +0100"},
		},
		{
			"two hours that begin in the hour that is not there", "Europe/Paris", "2h", "2026-03-29 00:00", "2026-03-29 06:00",
			[]string{"2026-03-29 00:00 +0100", "2026-03-29 03:00 +0200", "2026-03-29 04:00 +0200"},
		},
		{
			"weeks begin on Mondays", "Europe/Paris", "1w", "2026-03-25 00:00", "2026-04-07 00:00",
			[]string{"2026-03-23 00:00 +0100", "2026-03-30 00:00 +0200", "2026-04-06 00:00 +0200"},
		},
		{
			"weeks begin on Mondays in UTC too", "UTC", "1w", "2026-03-25 00:00", "2026-04-07 00:00",
			[]string{"2026-03-23 00:00 +0000", "2026-03-30 00:00 +0000", "2026-04-06 00:00 +0000"},
		},
		{
			"months", "Europe/Paris", "1mo", "2026-02-27 00:00", "2026-04-02 00:00",
			[]string{"2026-02-01 00:00 +0100", "2026-03-01 00:00 +0100", "2026-04-01 00:00 +0200"},
		},
		{
			"quarters in UTC", "UTC", "3mo", "2025-12-27 00:00", "2026-04-02 00:00",
			[]string{"2025-10-01 00:00 +0000", "2026-01-01 00:00 +0000", "2026-04-01 00:00 +0000"},
		},
		{
			"years", "Europe/Paris", "1y", "2024-12-27 00:00", "2026-04-02 00:00",
			[]string{"2024-01-01 00:00 +0100", "2025-01-01 00:00 +0100", "2026-01-01 00:00 +0100"},
		},
		{
			"hours of a zone with half of an hour", "Asia/Kolkata", "1h", "2026-03-29 00:10", "2026-03-29 02:00",
			[]string{"2026-03-29 00:00 +0530", "2026-03-29 01:00 +0530"},
		},
		{
			"a change of half an hour", "Australia/Lord_Howe", "1h", "2026-04-05 00:30", "2026-04-05 03:00",
			[]string{"2026-04-05 00:00 +1100", "2026-04-05 01:00 +1100", "2026-04-05 01:30 +1030", "2026-04-05 02:00 +1030"},
		},
		{
			"a midnight that is not there", "Asia/Beirut", "1d", "2026-03-28 00:00", "2026-03-31 00:00",
			[]string{"2026-03-28 00:00 +0200", "2026-03-29 01:00 +0300", "2026-03-30 00:00 +0300"},
		},
		{
			"a midnight that comes twice", "America/Havana", "1d", "2026-10-31 00:00", "2026-11-03 00:00",
			[]string{"2026-10-31 00:00 -0400", "2026-11-01 00:00 -0400", "2026-11-02 00:00 -0500"},
		},
		{
			"a day that is not there", "Pacific/Apia", "1d", "2011-12-29 00:00", "2012-01-01 00:00",
			[]string{"2011-12-29 00:00 -1000", "2011-12-31 00:00 +1400"},
		},
	} {
		if d := cmp.Diff(c.want, startsOf(t, h, c.zone, c.step, c.from, c.to)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}

func TestEveryReadingIsInTheBucketThatItsLocalTimeSays(t *testing.T) {
	s, h := open(t)
	zones := []string{"UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana", "Pacific/Apia", "Africa/Casablanca"}
	steps := []string{"5m", "30m", "1h", "2h", "3h", "6h", "12h", "24h", "1d", "2d", "1w", "1mo", "3mo", "1y"}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		loc := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		name := rapid.SampledFrom(steps).Draw(rt, "step")
		step, err := history.ParseStep(name)
		if err != nil {
			rt.Fatal(err)
		}
		// Around a change of the clock, where there is one.
		from := start + trefoil.Instant(rapid.Int64Range(0, 3*365*86400).Draw(rt, "from"))*second
		if _, change := from.Time().In(loc).ZoneBounds(); !change.IsZero() {
			from = trefoil.InstantOf(change) - trefoil.Instant(rapid.Int64Range(0, 2*86400).Draw(rt, "before"))*second
		}
		n++
		device := trefoil.DeviceID("d" + time.Duration(n).String())
		var list []trefoil.Reading
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "distances"), 0))
		for at := from; len(list) < 300; at += trefoil.Instant(1+r.IntN(3600)) * second {
			list = append(list, reading("m", at, float64(len(list))))
		}
		putFor(t, s, device, list...)
		to := list[len(list)-1].Time + 1
		got, err := h.Query(t.Context(), history.Query{
			Devices: history.Of(device), From: from, To: to, Step: step, Zone: loc,
			Aggregates: []history.Aggregate{history.Count, history.First},
		})
		if err != nil {
			rt.Fatal(err)
		}
		check(rt, got[0], list, name, loc)
	})
}

// check compares buckets with what the calendar of package time says about
// each reading: its label is the same as that of its bucket's first reading,
// and another one than that of the bucket before.
func check(rt *rapid.T, got history.Series, list []trefoil.Reading, step string, loc *time.Location) {
	label := labels(step)
	i := 0
	for b, at := range got.T {
		count := int(got.Columns[0].V[b].Float())
		for k := range count {
			x := list[i+k]
			local := x.Time.Time().In(loc)
			if x.Time < at || b+1 < len(got.T) && x.Time >= got.T[b+1] {
				rt.Fatalf("reading at %v is in the bucket of %v", local, at.Time().In(loc))
			}
			if want := label(list[i].Time.Time().In(loc)); label(local) != want {
				rt.Fatalf("readings %s and %s share the bucket of %v", label(local), want, at.Time().In(loc))
			}
		}
		if i > 0 && label(list[i-1].Time.Time().In(loc)) == label(list[i].Time.Time().In(loc)) {
			rt.Fatalf("readings at %v and %v belong together and are in two buckets", list[i-1].Time.Time().In(loc), list[i].Time.Time().In(loc))
		}
		i += count
	}
	if i != len(list) {
		rt.Fatalf("got %d readings in buckets, want %d", i, len(list))
	}
}

// labels gives what readings of one bucket have in common.
func labels(step string) func(time.Time) string {
	return func(t time.Time) string {
		days := int(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
		date, minutes := t.Format("2006-01-02 "), t.Hour()*60+t.Minute()
		slot := func(width int) string { return date + time.Duration(minutes/width).String() }
		year, week := t.ISOWeek()
		switch step {
		case "5m":
			return slot(5) + t.Format(" -0700")
		case "30m":
			return slot(30) + t.Format(" -0700")
		case "1h":
			return slot(60) + t.Format(" -0700")
		case "2h":
			return slot(120)
		case "3h":
			return slot(180)
		case "6h":
			return slot(360)
		case "12h":
			return slot(720)
		case "24h", "1d":
			return date
		case "2d":
			return time.Duration(days / 2).String()
		case "1w":
			return time.Duration(year*100 + week).String()
		case "1mo":
			return t.Format("2006-01")
		case "3mo":
			return time.Duration(t.Year()*4 + (int(t.Month())-1)/3).String()
		default:
			return t.Format("2006")
		}
	}
}
