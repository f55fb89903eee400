package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// own are the tables that an engine has besides the shared ones, and that hold
// readings or what can be made again from them.
func own(engine string) []string {
	if engine == "sqlite" {
		return []string{"chunk_unsorted", "clean_stop", "damaged_chunk", "dropped_series", "log", "log_cut", "partition", "series"}
	}
	return []string{
		"commit_state", "commit_writer", "dropped_series", "latest", "reading", "reading_partition", "series",
	}
}

func TestEveryTableIsCopiedOrHasAReasonNotToBe(t *testing.T) {
	shared, err := sharedTables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, tab := range shared {
		known = append(known, tab.name)
	}
	for name := range excluded() {
		if !slices.Contains(known, name) {
			t.Errorf("table %s is excluded and does not exist", name)
		}
	}
	for engine, c := range map[string]struct{ place, query string }{
		"sqlite":   {t.TempDir(), "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'"},
		"postgres": {cluster.Database(t), "select table_name::text from information_schema.tables where table_schema = current_schema() and table_type = 'BASE TABLE'"},
	} {
		names, err := list(t.Context(), reach(t, c.place, false).Rows(), c.query)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			// Partitions come and go with the readings.
			partition := strings.HasPrefix(name, "chunk_") || strings.HasPrefix(name, "reading_")
			if !partition && !slices.Contains(known, name) && !slices.Contains(own(engine), name) {
				t.Errorf("%s has the table %s, which is not in the shared migrations: copy it, or name it here as the engine's own", engine, name)
			}
		}
		for _, tab := range shared {
			if !slices.Contains(names, tab.name) {
				t.Errorf("%s lacks the shared table %s; it has %q", engine, tab.name, names)
			}
		}
	}
}

// move runs a transfer between two places.
func move(t testing.TB, ctx context.Context, from, to string, progress func(Progress)) (Summary, error) {
	t.Helper()
	return Run(ctx, from, reach(t, from, true), reach(t, to, false), Options{Progress: progress})
}

// all reads a series.
func all(t testing.TB, s store.Store, device trefoil.DeviceID, metric string) (list []trefoil.Reading) {
	t.Helper()
	r := store.ReadRequest{Device: device, Metric: metric, From: 0, To: 1 << 60}
	err := s.Read(context.Background(), r, func(b store.Block) error {
		for _, x := range b.Samples {
			list = append(list, trefoil.Reading{Metric: metric, Time: x.Time, Value: x.Value})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// contents gives all rows of the copied tables, in order.
func contents(t testing.TB, s store.Store) map[string][]string {
	t.Helper()
	tables, err := copiedTables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, tab := range tables {
		err := tab.each(t.Context(), s.Rows(), func(row []any) error {
			out[tab.name] = append(out[tab.name], fmt.Sprintf("%#v", row))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(out[tab.name])
	}
	return out
}

func compareValues(a, b trefoil.Value) bool { return a == b }

// wantSame checks that two stores hold the same, and that the numbers of
// commits go on.
func wantSame(t testing.TB, want, got store.Store) {
	t.Helper()
	if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	keys, err := seriesOf(t.Context(), want.Rows())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if diff := cmp.Diff(all(t, want, k.device, k.metric), all(t, got, k.device, k.metric), cmp.Comparer(compareValues)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
		a, errA := want.Latest(t.Context(), k.device)
		b, errB := got.Latest(t.Context(), k.device)
		if diff := cmp.Diff(a, b, cmp.Comparer(compareValues)); diff != "" || errA != nil || errB != nil {
			t.Errorf("latest of %s, %v, %v (-want +got):\n%s", k.device, errA, errB, diff)
		}
	}
	if got.Seq() <= want.Seq() {
		t.Errorf("commit: got %d, want it above %d", got.Seq(), want.Seq())
	}
}

func TestEverythingArrivesInBothDirections(t *testing.T) {
	dir, url, back := plant(t, 60_000), cluster.Database(t), t.TempDir()
	for _, c := range []struct{ from, to string }{{dir, url}, {url, back}} {
		t.Run("", func(t *testing.T) {
			s, err := move(t, t.Context(), c.from, c.to, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(3*(60_000+2*6_000) + 1); s.Readings != want || s.Copied != want || s.Series != 9 || s.Resumed {
				t.Errorf("got %+v, want %d readings of 9 series in one go", s, want)
			}
		})
	}
	first, last := reach(t, dir, true), reach(t, back, true)
	wantSame(t, first, reach(t, url, true))
	wantSame(t, first, last)
	seq := last.Seq()
	write(t, last, func(store.Tx) error { return nil })
	if last.Seq() <= seq {
		t.Errorf("a commit after the move: got %d, want it above %d", last.Seq(), seq)
	}
}

func TestAnInterruptedMoveGoesOnWhereItWas(t *testing.T) {
	dir, url := plant(t, 60_000), cluster.Database(t)
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := move(t, ctx, dir, url, func(p Progress) {
			if p.Step == CopyReadings && p.Readings > 50_000 {
				cancel()
			}
		})
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) || interrupted.Readings == 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it to be interrupted after some readings", err)
		}
	})
	t.Run("in between", func(t *testing.T) {
		if err := Unfinished(t.Context(), reach(t, url, false).Rows()); err == nil || !strings.Contains(err.Error(), "trefoil migrate-store") {
			t.Errorf("serving it: got %v, want an error with the next step", err)
		}
	})
	t.Run("again", func(t *testing.T) {
		s, err := move(t, t.Context(), dir, url, nil)
		if err != nil || !s.Resumed || s.Again || s.Copied >= s.Readings {
			t.Errorf("got %+v, %v, want it to go on and to copy what was left", s, err)
		}
	})
	from, to := reach(t, dir, true), reach(t, url, true)
	wantSame(t, from, to)
	if err := Unfinished(t.Context(), to.Rows()); err != nil {
		t.Errorf("serving it: %v", err)
	}
}

func TestASourceThatHasChangedIsMovedAnew(t *testing.T) {
	for name, target := range map[string]string{"postgres": cluster.Database(t), "sqlite": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			dir := plant(t, 60_000)
			t.Run("interrupted", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if _, err := move(t, ctx, dir, target, func(p Progress) {
					if p.Step == CopyReadings {
						cancel()
					}
				}); err == nil {
					t.Error("it was not interrupted")
				}
			})
			t.Run("changed", func(t *testing.T) {
				write(t, reach(t, dir, true), func(tx store.Tx) error {
					if _, err := tx.ExecContext(t.Context(), "delete from device where id = 'v0'"); err != nil {
						return err
					}
					if err := tx.DropSeries(t.Context(), "v0"); err != nil {
						return err
					}
					return tx.Append(&trefoil.Message{Device: "a-new-one", Readings: history("temperature", 10)})
				})
			})
			t.Run("again", func(t *testing.T) {
				if s, err := move(t, t.Context(), dir, target, nil); err != nil || !s.Again {
					t.Errorf("got %+v, %v, want it to begin anew", s, err)
				}
			})
			wantSame(t, reach(t, dir, true), reach(t, target, true))
		})
	}
}

func TestATargetThatHoldsSomethingIsRefused(t *testing.T) {
	dir := plant(t, 100)
	for name, fill := range map[string]func(store.Tx) error{
		"readings": func(tx store.Tx) error {
			return tx.Append(&trefoil.Message{Device: "mine", Readings: history("temperature", 1)})
		},
		"rows": func(tx store.Tx) error {
			_, err := tx.ExecContext(context.Background(), "insert into account (name, password, role, created) values ('me', '', '', 0)")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			to := reach(t, cluster.Database(t), false)
			write(t, to, fill)
			before := contents(t, to)
			_, err := Run(t.Context(), dir, reach(t, dir, true), to, Options{})
			var occupied *NotEmptyError
			if !errors.As(err, &occupied) {
				t.Errorf("got %v, want it to be refused", err)
			}
			if diff := cmp.Diff(before, contents(t, to)); diff != "" {
				t.Errorf("it was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestADifferenceIsFoundAndTheNextRunBeginsAnew(t *testing.T) {
	dir, url := plant(t, 1000), cluster.Database(t)
	name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
	for what, change := range map[string]string{
		"temperature of device v0": "update reading set value = value + 1 where series_id = 1 and time = (select min(time) from reading where series_id = 1)",
		"table account":            "update account set role = 'other' where name = 'v0'",
	} {
		t.Run(what, func(t *testing.T) {
			id := "(select id from series where device = 'v0' and metric = 'temperature')"
			_, err := move(t, t.Context(), dir, url, func(p Progress) {
				if p.Step == CopyReadings {
					cluster.Exec(t, name, strings.ReplaceAll(change, "series_id = 1", "series_id = "+id))
				}
			})
			var differs *DifferenceError
			if !errors.As(err, &differs) || !strings.Contains(differs.What, what) {
				t.Errorf("got %v, want a difference of %s", err, what)
			}
		})
	}
	t.Run("again", func(t *testing.T) {
		if s, err := move(t, t.Context(), dir, url, nil); err != nil || !s.Again {
			t.Errorf("got %+v, %v, want it to begin anew", s, err)
		}
	})
}

func TestADamagedSourceSaysWhatToDo(t *testing.T) {
	dir := plant(t, 60_000)
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	names, err := list(t.Context(), db, "select name from sqlite_schema where type = 'table' and name like 'chunk_2%'")
	if err != nil || len(names) == 0 {
		t.Fatalf("tables of chunks: got %q, %v", names, err)
	}
	if _, err := db.Exec("update " + names[0] + " set data = x'00'"); err != nil {
		t.Fatal(err)
	}
	_, err = move(t, t.Context(), dir, cluster.Database(t), nil)
	if err == nil || !strings.Contains(err.Error(), "trefoil restore") || !strings.Contains(err.Error(), "of device v") {
		t.Errorf("got %v, want the series and the next step", err)
	}
}

func TestReadingsOfWhichOnlySummariesAreLeftAreCounted(t *testing.T) {
	dir := t.TempDir()
	const n = 10_000
	hourly := func(trefoil.DeviceID, string) store.Retention {
		return store.Retention{Raw: 1, Hourly: store.Forever}
	}
	now := (begin + n*interval).Time().AddDate(0, 3, 0)
	s, err := sqlite.Open(t.Context(), dir, store.Options{HeadBytes: 1, Keep: hourly, Now: func() time.Time { return now }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, func(tx store.Tx) error {
		return tx.Append(&trefoil.Message{Device: "old", Readings: history("temperature", n)})
	})
	for range 2 { // what is in chunks is packed an hour later
		for more := true; more; {
			if more, err = s.Maintain(t.Context(), upkeep); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(2 * time.Hour)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := move(t, t.Context(), dir, cluster.Database(t), nil)
	if err != nil || got.Summarized != n || got.Readings != 0 || got.Empty != 1 {
		t.Errorf("got %+v, %v, want %d summarized readings and none moved", got, err, n)
	}
}

func TestAPlaceIsADirectoryOrADatabase(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/var/lib/trefoil", "/var/lib/trefoil"},
		{"/var/lib/trefoil/trefoil.db", "/var/lib/trefoil"},
		{"sqlite:/var/lib/trefoil", "/var/lib/trefoil"},
		{"sqlite:///var/lib/trefoil/trefoil.db", "/var/lib/trefoil"},
		{"postgres://u:hunter2@db/t", "postgres://u:xxxxx@db/t"},
		{"postgresql:///t?host=/run&password=hunter2", "postgresql:///t?host=%2Frun&password=xxxxx"},
		{"mysql://u:hunter2@db/t", ""},
		{"", ""},
	} {
		p, err := ParsePlace(c.in)
		if got := p.String(); c.want != "" && (got != c.want || err != nil) {
			t.Errorf("%s: got %q, %v, want %q", c.in, got, err, c.want)
		}
		if c.want == "" && (err == nil || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: got error %v, want one without the password", c.in, err)
		}
	}
}
