package sqlite_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// unsort makes a database as it was before there were partitions.
func unsort(t *testing.T, dir string, names []string) {
	t.Helper()
	statements := []string{`create table chunk (id integer primary key, hours integer not null, first integer not null, last integer not null, summary blob not null, data blob not null)`}
	for _, name := range names {
		statements = append(statements, "insert into chunk select * from "+name, "drop table "+name)
	}
	statements = append(statements, "create index chunk_hourly on chunk (hours) where hours = 1",
		"drop table partition", "drop table clean_stop", "delete from schema_version where part = 'sqlite' and version >= 2")
	edit(t, dir, statements...)
}

// edit runs statements on a database that nobody has open.
func edit(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// impatient is a context that ends after it was asked for some times.
type impatient struct {
	context.Context
	left atomic.Int64
}

func (c *impatient) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestChunksMoveIntoPartitionsAlsoWhenThatIsInterrupted(t *testing.T) {
	m := newMonths(t, 40, time.Date(2026, 4, 10, 12, 0, 0, 0, time.UTC))
	want := readAll(t, m.Store, "dev-7", "m")
	names := partitions(t, m.Store)
	counted := readingsOfParts(t, m.Store)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	unsort(t, m.dir, names)
	interrupted := 0
	for patience := 1; ; patience++ {
		ctx := &impatient{Context: context.Background()}
		ctx.left.Store(int64(patience))
		s, err := sqlite.Open(ctx, m.dir, store.Options{}, slog.New(slog.DiscardHandler))
		if err != nil {
			interrupted++
			if patience > 200 {
				t.Fatalf("still interrupted: %v", err)
			}
			continue
		}
		if got := readAll(t, s, "dev-7", "m"); !slices.Equal(got, want) {
			t.Errorf("got %d readings, want %d", len(got), len(want))
		}
		if got := partitions(t, s); !slices.Equal(got, names) {
			t.Errorf("partitions: got %v, want %v", got, names)
		}
		if got := readingsOfParts(t, s); got != counted {
			t.Errorf("readings of all partitions: got %d, want %d", got, counted)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		break
	}
	if interrupted < 2 {
		t.Errorf("opening was interrupted %d times, want several for this test to mean something", interrupted)
	}
}

func readingsOfParts(t *testing.T, s *sqlite.Store) (n int64) {
	t.Helper()
	all, err := s.Storage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all.Tables {
		n += table.Readings
	}
	if n == 0 || all.Oldest == 0 {
		t.Errorf("storage: got %+v, want readings and the oldest of them", all)
	}
	return n
}
