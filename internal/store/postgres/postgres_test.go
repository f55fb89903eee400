package postgres_test

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
)

func one(metric string, t trefoil.Instant, v trefoil.Value) *trefoil.Message {
	return &trefoil.Message{Device: "dev", Readings: []trefoil.Reading{{Metric: metric, Time: t, Value: v}}}
}

// column reads the first column of all rows as text.
func column(t testing.TB, q store.Querier, query string) []string {
	t.Helper()
	rows, err := q.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s sql.NullString
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.String)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func maintain(t testing.TB, s store.Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Maintain(context.Background(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSQLUsersFindPlainRows(t *testing.T) {
	s := open(t, cluster.Database(t), store.Options{})
	at := trefoil.InstantOf(time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC))
	commit(t, s, one("temperature", at, trefoil.NumberValue(21.5)), one("door", at, trefoil.BooleanValue(true)),
		one("state", at, trefoil.TextValue("a\x00b")))
	want := []string{
		"dev door 2026-03-01 12:00:00.123456+00 1 true",
		"dev state 2026-03-01 12:00:00.123456+00 a\uFFFDb",
		"dev temperature 2026-03-01 12:00:00.123456+00 21.5",
	}
	for _, view := range []string{"readings", "latest_readings"} {
		got := column(t, s.Rows(), `select concat_ws(' ', device, metric, time at time zone 'UTC' || '+00', value, boolean::text, text)
			from `+view+` order by metric`)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", view, d)
		}
	}
	if _, err := s.Rows().ExecContext(context.Background(), "delete from series"); err == nil {
		t.Error("readers can write, want an error")
	}
}

func TestPartitionsAreMadeAheadAndForLateReadings(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday
	s := open(t, cluster.Database(t), store.Options{Now: func() time.Time { return now }})
	maintain(t, s)
	partitions := func() []string {
		return column(t, s.Rows(), `select name || ' ' || (low at time zone 'UTC')::date || ' ' || (high at time zone 'UTC')::date
			from reading_partition order by low`)
	}
	want := []string{"reading_20260302 2026-03-02 2026-03-09", "reading_20260309 2026-03-09 2026-03-16"}
	if d := cmp.Diff(want, partitions()); d != "" {
		t.Errorf("ahead: (-want +got)\n%s", d)
	}
	for _, at := range []time.Time{
		time.Date(2026, 2, 1, 23, 59, 59, 0, time.UTC), // last week of January
		time.Date(2019, 7, 9, 0, 0, 0, 0, time.UTC),    // long ago: a month
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),    // a clock that was never set
		time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		commit(t, s, one("m", trefoil.InstantOf(at), trefoil.NumberValue(1)))
	}
	want = slices.Concat([]string{"reading_20190701 2019-07-01 2019-08-01", "reading_20260126 2026-01-26 2026-02-02"}, want)
	if d := cmp.Diff(want, partitions()); d != "" {
		t.Errorf("after late readings: (-want +got)\n%s", d)
	}
	if got := column(t, s.Rows(), "select count(*) from reading where series_id > 0"); got[0] != "4" {
		t.Errorf("readings: got %s, want 4", got[0])
	}
}

func TestReadingsOfADroppedSeriesLeaveTheTables(t *testing.T) {
	s := open(t, cluster.Database(t), store.Options{})
	m := &trefoil.Message{Device: "dev"}
	for i := range trefoil.Instant(5000) {
		m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: i * 1_000_000, Value: trefoil.NumberValue(1)})
	}
	commit(t, s, m)
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.DropSeries(context.Background(), "dev"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	maintain(t, s)
	for _, table := range []string{"reading", "latest", "series", "dropped_series"} {
		if got := column(t, s.Rows(), "select count(*) from "+table); got[0] != "0" {
			t.Errorf("rows in %s: got %s, want 0", table, got[0])
		}
	}
}

func TestASeriesThatSomebodyElseDroppedGetsNoReadings(t *testing.T) {
	url := cluster.Database(t)
	s := open(t, url, store.Options{})
	commit(t, s, one("m", 1, trefoil.NumberValue(1)))
	name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
	cluster.Exec(t, name, "delete from series; update commit_state set drops = drops + 1")
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Append(one("m", 2, trefoil.NumberValue(2))); err != nil {
		t.Fatal(err)
	}
	if seq, err := tx.Commit(context.Background()); err == nil {
		t.Errorf("commit with what is known from before: got %d, want an error", seq)
	}
	commit(t, s, one("m", 2, trefoil.NumberValue(2))) // the next try
	if got := column(t, s.Rows(), "select time::text from readings"); len(got) != 1 {
		t.Errorf("readings: got %v, want that of the second try", got)
	}
}

func TestOneProcessAtATimeWrites(t *testing.T) {
	url := cluster.Database(t)
	first := open(t, url, store.Options{})
	if s, err := postgres.Open(context.Background(), url, store.Options{}, slog.New(slog.DiscardHandler)); err == nil {
		s.Close()
		t.Error("a second store: got no error")
	} else if want := "another Trefoil uses this database"; !strings.Contains(err.Error(), want) {
		t.Errorf("a second store: got %q, want %q in it", err, want)
	}
	commit(t, first, one("m", 1, trefoil.NumberValue(1)))
}

func TestASumThatIsTooLargeIsNoError(t *testing.T) {
	s := open(t, cluster.Database(t), store.Options{})
	const huge = 1.7e308
	for i := range trefoil.Instant(4) {
		commit(t, s, one("m", i*1_000_000, trefoil.NumberValue(huge)))
	}
	n := 0
	r := store.ReadRequest{Device: "dev", Metric: "m", To: 10_000_000, Resolution: 10 * time.Second}
	err := s.Read(context.Background(), r, func(b store.Block) error {
		n += b.Count
		return nil
	})
	if err != nil || n != 4 {
		t.Errorf("got %d readings and error %v, want 4", n, err)
	}
}

func TestTextsThatPostgreSQLCannotHoldAreReplacedInRows(t *testing.T) {
	s := open(t, cluster.Database(t), store.Options{})
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.ExecContext(context.Background(), "insert into profile (name, doc) values ($1, $2)", "a\x00b", "\xff")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := column(t, s.Rows(), "select name || doc from profile"); got[0] != "a\uFFFDb\uFFFD" {
		t.Errorf("got %q, want U+FFFD in the place of what is not text", got[0])
	}
}
