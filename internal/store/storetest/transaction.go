package storetest

import (
	"context"
	"errors"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func transactionTests() []test {
	return []test{
		{"nothing is seen before its commit", unseenBeforeCommit},
		{"a rollback leaves nothing", rollbackLeavesNothing},
		{"a cancelled context stores nothing", cancelledStoresNothing},
		{"a savepoint undoes only its own", savepointUndoes},
		{"rows and readings are committed together", rowsAndReadings},
		{"a dropped series is gone and its name is free", dropSeries},
		{"a drop that is undone keeps the series", dropUndone},
		{"the number of a commit grows", seqGrows},
	}
}

func (h *harness) metrics(device trefoil.DeviceID) int {
	h.t.Helper()
	names, err := h.s.Metrics(context.Background(), device)
	if err != nil {
		h.t.Fatalf("metrics: %v", err)
	}
	return len(names)
}

func unseenBeforeCommit(h *harness) {
	h.commit(message("dev", "m", num(noon, 1)))
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon+second, 2)), message("dev", "new", num(noon, 3)))
	h.want("readings before the commit", len(h.all("dev", "m")), 1)
	h.want("metrics before the commit", h.metrics("dev"), 1)
	h.end(tx)
	h.want("readings after the commit", len(h.all("dev", "m")), 2)
	h.want("metrics after the commit", h.metrics("dev"), 2)
}

func rollbackLeavesNothing(h *harness) {
	h.commit(message("dev", "m", num(noon, 1)))
	seq := h.s.Seq()
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon, 5)), message("dev", "new", num(noon, 3)), message("other", "m", num(noon, 3)))
	h.setToken(tx, "rolled back")
	if err := tx.Rollback(); err != nil {
		h.t.Fatalf("rollback: %v", err)
	}
	if _, err := tx.Commit(context.Background()); err == nil {
		h.t.Error("commit after rollback: got no error")
	}
	if err := tx.Append(message("dev", "m", num(noon, 5))); err == nil {
		h.t.Error("append after rollback: got no error")
	}
	for range 2 {
		h.want("readings", h.all("dev", "m"), []store.Sample{num(noon, 1)})
		h.want("metrics of dev", h.metrics("dev"), 1)
		h.want("metrics of other", h.metrics("other"), 0)
		h.want("rows", h.tokens(), 0)
		h.want("seq", h.s.Seq(), seq)
		h.crash()
	}
	h.commit(message("dev", "new", num(noon, 4)))
	h.want("the same series later", h.all("dev", "new"), []store.Sample{num(noon, 4)})
}

func cancelledStoresNothing(h *harness) {
	ctx, cancel := context.WithCancel(context.Background())
	tx, err := h.s.Begin(ctx)
	if err != nil {
		h.t.Fatalf("begin: %v", err)
	}
	h.append(tx, message("dev", "m", num(noon, 1)))
	cancel()
	if _, err := tx.Commit(ctx); !errors.Is(err, context.Canceled) {
		h.t.Errorf("commit with a cancelled context: got error %v, want %v", err, context.Canceled)
	}
	if _, err := h.s.Begin(ctx); !errors.Is(err, context.Canceled) {
		h.t.Errorf("begin with a cancelled context: got error %v, want %v", err, context.Canceled)
	}
	h.want("readings", len(h.all("dev", "m")), 0)
	h.want("metrics", h.metrics("dev"), 0)
	h.commit(message("dev", "m", num(noon+second, 2)))
	h.crash()
	h.want("readings of the next transaction", h.all("dev", "m"), []store.Sample{num(noon+second, 2)})
}

// setToken writes a row that counts in tokens.
func (h *harness) setToken(w store.Writer, name string) {
	h.t.Helper()
	_, err := w.ExecContext(context.Background(), "insert into profile (name, doc) values ($1, $2) on conflict (name) do update set doc = excluded.doc", name, "{}")
	if err != nil {
		h.t.Fatalf("write a row: %v", err)
	}
}

func (h *harness) tokens() int {
	h.t.Helper()
	var n int
	if err := h.s.Rows().QueryRowContext(context.Background(), "select count(*) from profile").Scan(&n); err != nil {
		h.t.Fatalf("count rows: %v", err)
	}
	return n
}

func savepointUndoes(h *harness) {
	fault := errors.New("fault")
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon, 1)))
	h.setToken(tx, "before")
	err := tx.Savepoint(context.Background(), func(w store.Writer) error {
		h.setToken(w, "undone")
		return fault
	})
	h.want("error of the savepoint", err == fault, true)
	err = tx.Savepoint(context.Background(), func(w store.Writer) error {
		_, err := w.ExecContext(context.Background(), "insert into profile (name) values ($1)", "no doc")
		return err
	})
	if err == nil {
		h.t.Error("savepoint with a statement that fails: got no error")
	}
	err = tx.Savepoint(context.Background(), func(w store.Writer) error {
		h.setToken(w, "kept")
		return nil
	})
	h.want("error of a good savepoint", err, nil)
	h.append(tx, message("dev", "m", num(noon+second, 2)))
	h.end(tx)
	h.want("rows", h.tokens(), 2)
	h.want("readings", len(h.all("dev", "m")), 2)
}

func rowsAndReadings(h *harness) {
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon, 1)))
	h.setToken(tx, "one")
	var inside int
	if err := tx.QueryRowContext(context.Background(), "select count(*) from profile").Scan(&inside); err != nil {
		h.t.Fatalf("read inside: %v", err)
	}
	h.want("rows seen inside", inside, 1)
	h.want("rows seen outside", h.tokens(), 0)
	h.end(tx)
	h.crash()
	h.want("rows", h.tokens(), 1)
	h.want("readings", len(h.all("dev", "m")), 1)
}

func dropSeries(h *harness) {
	h.commit(message("dev", "m", num(noon, 1), num(noon+hour, 2)), message("keep", "m", num(noon, 1)))
	h.commit(message("dev", "m", num(noon+2*hour, 3)))
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon+3*hour, 4)), message("dev", "n", num(noon, 4)))
	if err := tx.DropSeries(context.Background(), "dev"); err != nil {
		h.t.Fatalf("drop: %v", err)
	}
	h.append(tx, message("dev", "m", num(noon+second, 5)))
	h.end(tx)
	for range 2 {
		h.want("readings of the new series", h.all("dev", "m"), []store.Sample{num(noon+second, 5)})
		h.want("metrics", h.metrics("dev"), 1)
		h.want("readings of the other device", len(h.all("keep", "m")), 1)
		h.maintain()
		h.crash()
	}
}

func dropUndone(h *harness) {
	h.commit(message("dev", "m", num(noon, 1)))
	tx := h.begin()
	h.append(tx, message("dev", "m", num(noon+second, 2)), message("dev", "n", num(noon, 3)))
	fault := errors.New("fault")
	err := tx.Savepoint(context.Background(), func(w store.Writer) error {
		return errors.Join(w.DropSeries(context.Background(), "dev"), fault)
	})
	h.want("error of the savepoint", errors.Is(err, fault), true)
	h.append(tx, message("dev", "n", num(noon+second, 4)))
	h.end(tx)
	for range 2 {
		h.want("m", h.all("dev", "m"), []store.Sample{num(noon, 1), num(noon+second, 2)})
		h.want("n", h.all("dev", "n"), []store.Sample{num(noon, 3), num(noon+second, 4)})
		h.crash()
	}
}

func seqGrows(h *harness) {
	h.want("seq of a new database", h.s.Seq(), trefoil.Seq(0))
	last := trefoil.Seq(0)
	for i := range 12 {
		tx := h.begin()
		if i%3 == 0 {
			h.append(tx, message("dev", "m", num(noon+trefoil.Instant(i)*hour, 1)))
		}
		seq, err := tx.Commit(context.Background())
		h.want("error of commit", err, nil)
		if seq <= last {
			h.t.Errorf("commit %d has number %d after %d", i, seq, last)
		}
		h.want("seq of the store", h.s.Seq(), seq)
		h.maintain()
		if i == 7 {
			tx := h.begin()
			h.want("error of drop", tx.DropSeries(context.Background(), "dev"), nil)
			h.end(tx)
		}
		last = h.s.Seq()
		switch i % 4 {
		case 1:
			h.reopen()
		case 3:
			h.crash()
		}
		h.want("seq after opening again", h.s.Seq(), last)
	}
}
