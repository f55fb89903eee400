package sqlite_test

import (
	"slices"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// chunks counts the chunks of hours and of days.
func chunks(t *testing.T, s *sqlite.Store) (hours, days int) {
	t.Helper()
	for _, name := range partitions(t, s) {
		var h, d int
		err := s.Rows().QueryRowContext(t.Context(), "select coalesce(sum(hours = 1), 0), coalesce(sum(hours = 24), 0) from "+name).Scan(&h, &d)
		if err != nil {
			t.Fatal(err)
		}
		hours, days = hours+h, days+d
	}
	return hours, days
}

// partitions gives the names of the tables of chunks, ascending.
func partitions(t testing.TB, s *sqlite.Store) (names []string) {
	t.Helper()
	rows, err := s.Rows().QueryContext(t.Context(), "select name from partition order by start")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func TestDaysThatHaveEndedAreJoinedAndLateReadingsFindTheirDay(t *testing.T) {
	start := trefoil.InstantOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	now := start.Time()
	s := open(t, t.TempDir(), store.Options{Now: func() time.Time { return now }})
	var want []store.Sample
	for i := range 3 * 24 * 12 { // every five minutes of three days
		at := start.Add(time.Duration(i) * 5 * time.Minute)
		x := store.Sample{Time: at, Value: trefoil.NumberValue(float64(i))}
		commit(t, s, &trefoil.Message{Device: "dev", Readings: []trefoil.Reading{{Metric: "m", Time: x.Time, Value: x.Value}}})
		want = append(want, x)
		if now = at.Time().Add(3 * time.Minute); i%12 == 0 {
			upkeep(t, s)
		}
	}
	now = now.Add(time.Hour) // 3rd day over, not settled
	upkeep(t, s)
	if hours, days := chunks(t, s); hours != 24 || days != 2 {
		t.Errorf("one hour after the third day: got %d chunks of hours and %d of days, want 24 and 2", hours, days)
	}
	now = now.Add(6 * time.Hour)
	late := store.Sample{Time: start.Add(30*time.Hour + time.Second), Value: trefoil.TextValue("late")}
	again := store.Sample{Time: want[100].Time, Value: trefoil.NumberValue(-1)}
	old := store.Sample{Time: start.Add(-100 * time.Hour), Value: trefoil.BooleanValue(true)}
	m := &trefoil.Message{Device: "dev"}
	for _, x := range []store.Sample{late, again, old} {
		m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: x.Time, Value: x.Value})
	}
	commit(t, s, m)
	want[100] = again
	want = append(want, late, old)
	slices.SortFunc(want, func(a, b store.Sample) int { return int(a.Time - b.Time) })
	for range 2 { // the first upkeep moves them to chunks, that of the next day joins those
		now = now.Add(24 * time.Hour)
		upkeep(t, s)
		if got := readAll(t, s, "dev", "m"); !slices.Equal(got, want) {
			t.Errorf("got %d readings, want %d", len(got), len(want))
		}
	}
	if hours, days := chunks(t, s); hours != 0 || days != 4 {
		t.Errorf("at last: got %d chunks of hours and %d of days, want 0 and 4", hours, days)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Readings != int64(len(want)) {
		t.Errorf("stats: got %d readings, %v; want %d", st.Readings, err, len(want))
	}
}
