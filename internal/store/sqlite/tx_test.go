package sqlite_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func TestCommitLargerThanARowOfTheLogIsStillOneCommit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	commit(t, s, texts(0, 1))
	var list []*trefoil.Message
	for i := range 10 {
		list = append(list, texts(1+500*i, 500)) // 2 MB each
	}
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if err := tx.Append(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, s, "dev", "m")); got != 1 {
		t.Errorf("after a rollback: got %d readings, want 1", got)
	}
	seq := commit(t, s, list...)
	after := open(t, copyFiles(t, dir), store.Options{})
	if got := len(readAll(t, after, "dev", "m")); got != 5001 || after.Seq() != seq {
		t.Errorf("after a crash: got %d readings and seq %d, want 5001 and %d", got, after.Seq(), seq)
	}
	var rows int
	if err := s.Rows().QueryRowContext(t.Context(), "select count(*) from log").Scan(&rows); err != nil || rows < 3 {
		t.Errorf("rows of the log: got %d, %v; want several for this test to mean something", rows, err)
	}
}

func TestFailedInsertOfASeriesEndsTheTransactionNotTheStore(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(context.Background(), "create temp trigger no_series before insert on main.series begin select raise(abort, 'no series today'); end"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Append(numbered(0, 0)); err == nil || trefoil.CodeOf(err) != trefoil.CodeInternal {
		t.Errorf("append: got error %v, want one that is not the message's fault", err)
	}
	if _, err := tx.Commit(context.Background()); err == nil || !strings.Contains(err.Error(), "no series today") {
		t.Errorf("commit: got error %v, want that of the append", err)
	}
	commit(t, s, numbered(0, 0))
	if got := len(readAll(t, s, "dev-0", "n")); got != 1 {
		t.Errorf("next transaction: got %d readings, want 1", got)
	}
}

func TestFastSensorFillsChunksOfBoundedSize(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{HeadBytes: 1})
	const perCommit, commits = 1000, 40 // a reading every 50 ms: 72,000 an hour
	for i := range commits {
		m := &trefoil.Message{Device: "dev"}
		for k := range perCommit {
			at := trefoil.Instant(1_700_000_000_000_000 + int64(i*perCommit+k)*50_000)
			m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: at, Value: trefoil.NumberValue(float64(k))})
		}
		commit(t, s, m)
		upkeep(t, s)
	}
	var largest, count int
	err := s.Rows().QueryRowContext(t.Context(), "select max(length(data)), count(*) from "+partitions(t, s)[0]).Scan(&largest, &count)
	if err != nil || largest > 16<<10 || count < 5 || count > 20 {
		t.Errorf("got %d chunks, the largest of %d bytes, %v; want 5 to 20 chunks of at most 16 KB", count, largest, err)
	}
	if got := len(readAll(t, s, "dev", "m")); got != perCommit*commits {
		t.Errorf("got %d readings, want %d", got, perCommit*commits)
	}
	late := numbered(0, 0)
	late.Device, late.Readings[0].Metric = "dev", "m"
	late.Readings[0].Time = 1_700_000_000_000_000 + 3_000_001
	commit(t, s, late)
	upkeep(t, s)
	if got := len(readAll(t, s, "dev", "m")); got != perCommit*commits+1 {
		t.Errorf("with a late reading: got %d readings, want %d", got, perCommit*commits+1)
	}
}

func TestManySeriesOfOneDeviceAreFoundInAnyOrder(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	m := &trefoil.Message{Device: "dev"}
	for i := range 300 {
		name := fmt.Sprint("m", i*7%300)
		m.Readings = append(m.Readings, trefoil.Reading{Metric: name, Time: trefoil.Instant(i), Value: trefoil.NumberValue(float64(i))})
	}
	commit(t, s, m)
	for i := range 300 {
		name := fmt.Sprint("m", i*7%300)
		if got := readAll(t, s, "dev", name); len(got) != 1 || got[0].Value != trefoil.NumberValue(float64(i)) {
			t.Fatalf("%s: got %v, want %d", name, got, i)
		}
	}
}

func TestTransactionThatTheDatabaseUndidIsNotCommittedInParts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	const insert = "insert into profile (name, doc) values ('a', '{}')"
	for name, undo := range map[string]func(tx store.Tx) error{
		"by a change": func(tx store.Tx) error {
			_, err := tx.ExecContext(context.Background(), "insert or rollback into profile (name, doc) values ('a', '{}')")
			return err
		},
		"inside a savepoint": func(tx store.Tx) error {
			return tx.Savepoint(context.Background(), func(w store.Writer) error {
				_, err := w.ExecContext(context.Background(), "insert or rollback into profile (name, doc) values ('a', '{}')")
				return err
			})
		},
		"by a query": func(tx store.Tx) error {
			var name string
			return tx.QueryRowContext(context.Background(), "insert or rollback into profile (name, doc) values ('a', '{}') returning name").Scan(&name)
		},
	} {
		t.Run(name, func(t *testing.T) {
			seq := s.Seq()
			tx, err := s.Begin(context.Background())
			if err == nil {
				err = tx.Append(numbered(0, 0))
			}
			if err == nil {
				_, err = tx.ExecContext(context.Background(), insert)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := undo(tx); err == nil {
				t.Fatal("a conflict: got no error")
			}
			if _, err := tx.Commit(context.Background()); err == nil {
				t.Error("commit: got no error, want one: the transaction is gone")
			}
			after := open(t, copyFiles(t, dir), store.Options{})
			if got := len(readAll(t, after, "dev-0", "n")); got != 0 || after.Seq() != seq || s.Seq() != seq {
				t.Errorf("got %d readings, seq %d and %d after a crash; want 0 and %d", got, s.Seq(), after.Seq(), seq)
			}
		})
	}
	commit(t, s, numbered(0, 1))
}
