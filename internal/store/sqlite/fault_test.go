package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

func texts(from, n int) *trefoil.Message {
	m := &trefoil.Message{Device: "dev"}
	for i := range n {
		at := trefoil.Instant(1_700_000_000_000_000 + int64(from+i)*1_000_000)
		m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: at, Value: trefoil.TextValue(strings.Repeat(string(rune('a'+i%26)), 4000))})
	}
	return m
}

// limitPages sets how large the file may grow, as a full disk does.
func limitPages(t *testing.T, s *sqlite.Store, statement string) {
	t.Helper()
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskStoresNothingAndIsOverWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	commit(t, s, texts(0, 10))
	limitPages(t, s, "pragma max_page_count = 1") // as large as it is
	seq := s.Seq()
	for range 3 {
		tx, err := s.Begin(context.Background())
		if err != nil {
			t.Fatalf("begin on a full disk: %v", err)
		}
		m := texts(10, 40)
		m.Readings = append(m.Readings, trefoil.Reading{Metric: "new", Time: 1, Value: trefoil.NumberValue(1)})
		err = tx.Append(m)
		if err == nil {
			_, err = tx.Commit(context.Background())
		}
		if err == nil || !strings.Contains(err.Error(), "full") {
			t.Fatalf("commit on a full disk: got error %v, want one that says full", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatalf("rollback on a full disk: %v", err)
		}
	}
	if got := len(readAll(t, s, "dev", "m")); got != 10 || s.Seq() != seq {
		t.Errorf("after failed commits: got %d readings and seq %d, want 10 and %d", got, s.Seq(), seq)
	}
	limitPages(t, s, "pragma max_page_count = 1000000")
	commit(t, s, texts(10, 40))
	for _, s := range []*sqlite.Store{s, open(t, copyFiles(t, dir), store.Options{})} {
		if got := len(readAll(t, s, "dev", "m")); got != 50 {
			t.Errorf("with room again: got %d readings, want 50", got)
		}
		if got := len(readAll(t, s, "dev", "new")); got != 0 {
			t.Errorf("a series of a failed commit: got %d readings, want none", got)
		}
	}
}

func TestUpkeepOnAFullDiskLosesNothingAndGoesOnLater(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{HeadBytes: 1})
	for i := range 20 {
		commit(t, s, numbered(0, i))
	}
	limitPages(t, s, "pragma max_page_count = 1")
	commit(t, s, numbered(0, 20)) // fits into a page that is there
	if _, err := s.Maintain(context.Background(), time.Second); err == nil {
		for i := range 4000 { // upkeep found room in a page that is there: fill that too
			tx, err := s.Begin(context.Background())
			if err == nil {
				err = tx.Append(numbered(i%50, 21+i))
			}
			if err == nil {
				_, err = tx.Commit(context.Background())
			}
			if err != nil {
				break
			}
		}
	}
	before := readAll(t, s, "dev-0", "n")
	_, failed := s.Maintain(context.Background(), time.Second)
	if got := readAll(t, s, "dev-0", "n"); !slices.Equal(got, before) {
		t.Errorf("after failed upkeep: got %d readings, want %d", len(got), len(before))
	}
	limitPages(t, s, "pragma max_page_count = 1000000")
	for more := true; more; {
		var err error
		if more, err = s.Maintain(context.Background(), time.Second); err != nil {
			t.Fatalf("upkeep with room again, after error %v: %v", failed, err)
		}
	}
	for _, s := range []*sqlite.Store{s, open(t, copyFiles(t, dir), store.Options{})} {
		if got := readAll(t, s, "dev-0", "n"); !slices.Equal(got, before) {
			t.Errorf("after upkeep: got %d readings, want %d", len(got), len(before))
		}
	}
}

func TestDamagedChunkIsNamedKeptAndDoesNotStopUpkeep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{HeadBytes: 1})
	commit(t, s, numbered(0, 0), numbered(0, 1), numbered(0, 1000))
	upkeep(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "update chunk_202311 set data = x'0102030405060708' where id = (select min(id) from chunk_202311)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	var log bytes.Buffer
	s, err = sqlite.Open(t.Context(), dir, store.Options{HeadBytes: 1}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := store.ReadRequest{Device: "dev-0", Metric: "n", From: 0, To: 1 << 60}
	err = s.Read(t.Context(), r, func(store.Block) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("read of a damaged chunk: got error %v, want one that says damaged", err)
	}
	commit(t, s, numbered(0, 2))
	upkeep(t, s)
	if got := readAll(t, s, "dev-0", "n"); len(got) != 2 || got[0].Value != trefoil.NumberValue(2) {
		t.Errorf("got %d readings, want the one that came after the damage and the one in the good chunk", len(got))
	}
	if !strings.Contains(log.String(), "damaged_chunk") {
		t.Errorf("log: got %q, want it to name damaged_chunk", log.String())
	}
	var kept int
	if err := s.Rows().QueryRowContext(t.Context(), "select count(*) from damaged_chunk").Scan(&kept); err != nil || kept != 1 {
		t.Errorf("chunks set aside: got %d, %v; want 1", kept, err)
	}
}

func upkeep(t testing.TB, s *sqlite.Store) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Maintain(context.Background(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
}
