package ingest_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/store"
	_ "modernc.org/sqlite" // the ledger reads rows
)

// faulty is a store whose commits wait for a permit or fail, which no real
// engine does on request. It keeps the messages of each commit.
type faulty struct {
	store.Store // panics on what the loop must not use
	permit      chan error
	mu          sync.Mutex
	commits     [][]string
	began       int
	refuse      []error // of the next Begins, one each
}

func (f *faulty) Begin(context.Context) (store.Tx, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began++
	if len(f.refuse) > 0 {
		err := f.refuse[0]
		f.refuse = f.refuse[1:]
		return nil, err
	}
	return &faultyTx{store: f}, nil
}

func (f *faulty) Maintain(context.Context, time.Duration) (bool, error) { return false, nil }

func (f *faulty) state() (commits [][]string, began int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits, f.began
}

type faultyTx struct {
	store.Tx
	store    *faulty
	messages []string
}

func (t *faultyTx) Append(m *trefoil.Message) error {
	if len(m.Readings) > 0 && m.Readings[0].Metric == "one too many" {
		return trefoil.Errorf(trefoil.CodeTooMany, "too many metrics")
	}
	t.messages = append(t.messages, string(m.Device))
	return nil
}

func (t *faultyTx) Savepoint(_ context.Context, fn func(store.Writer) error) error { return fn(t) }

func (t *faultyTx) ExecContext(context.Context, string, ...any) (sql.Result, error) { return nil, nil }

func (t *faultyTx) Commit(context.Context) (trefoil.Seq, error) {
	if err := <-t.store.permit; err != nil {
		return 0, err
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	t.store.commits = append(t.store.commits, t.messages)
	return trefoil.Seq(len(t.store.commits)), nil
}

func (t *faultyTx) Rollback() error { return nil }

type noMeter struct{}

func (noMeter) Committed(time.Duration, int, int) {}
func (noMeter) CommitFailed()                     {}
func (noMeter) Dropped(trefoil.DropReason, int64) {}

// seen records what an observer was shown.
type seen struct{ devices []string }

func (s *seen) Committed(_ trefoil.Seq, _ trefoil.Instant, stored []*trefoil.Message) {
	for _, m := range stored {
		s.devices = append(s.devices, string(m.Device))
	}
}

type rig struct {
	*ingest.Loop
	store  *faulty
	ledger *ingest.Ledger
	seen   *seen
	ended  chan struct{}
	mu     sync.Mutex
	acks   []string
}

func start(t *testing.T, weight int) *rig {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := store.Migrate(t.Context(), db, store.Dialect{Blob: "blob"}, store.RowMigrations()); err != nil {
		t.Fatal(err)
	}
	ledger, err := ingest.NewLedger(t.Context(), db, time.Now, noMeter{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: &faulty{permit: make(chan error)}, ledger: ledger, seen: &seen{}, ended: make(chan struct{})}
	r.Loop = ingest.New(ingest.Config{
		Store: r.store, Ledger: r.ledger, Meter: noMeter{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Known:       func(id trefoil.DeviceID) bool { return id != "deleted" },
		Observers:   []ingest.Observer{r.seen},
		QueueWeight: weight,
	})
	go func() { defer close(r.ended); r.Run() }()
	return r
}

func (r *rig) message(device, metric string) *trefoil.Message {
	m := r.NewMessage()
	m.Device, m.Received = trefoil.DeviceID(device), trefoil.InstantOf(time.Now())
	m.Readings = append(m.Readings, trefoil.Reading{Metric: metric, Time: m.Received, Value: trefoil.NumberValue(1)})
	return m
}

func (r *rig) write(device, metric string) ingest.Write {
	return ingest.Write{Message: r.message(device, metric), Done: func(_ trefoil.Seq, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			device += " " + string(trefoil.CodeOf(err))
		}
		r.acks = append(r.acks, device)
	}}
}

func (r *rig) acked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.acks...)
}

// finish stops the loop, permitting the commits that are still wanted.
func (r *rig) finish(t *testing.T) {
	t.Helper()
	r.Stop()
	for {
		select {
		case r.store.permit <- nil:
		case <-r.ended:
			return
		}
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestDoneComesAfterTheCommitAndWritesInFlightShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		r.Accept(t.Context(), r.write("a", "m"))
		synctest.Wait() // the loop is in Commit now
		for _, d := range []string{"b", "c", "d"} {
			r.Accept(t.Context(), r.write(d, "m"))
		}
		synctest.Wait()
		same(t, "acks before the commit", r.acked(), []string{})
		r.store.permit <- nil
		synctest.Wait()
		same(t, "acks after the first commit", r.acked(), []string{"a"})
		r.store.permit <- nil
		synctest.Wait()
		same(t, "acks after the second commit", r.acked(), []string{"a", "b", "c", "d"})
		commits, _ := r.store.state()
		if d := cmp.Diff([][]string{{"a"}, {"b", "c", "d"}}, commits); d != "" {
			t.Errorf("commits (-want +got):\n%s", d)
		}
		same(t, "observed", r.seen.devices, []string{"a", "b", "c", "d"})
		r.finish(t)
	})
}

func TestAFailingCommitAnswersNobodyAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		r.Accept(t.Context(), r.write("a", "m"))
		for range 3 {
			r.store.permit <- errors.New("disk full")
			synctest.Wait()
			same(t, "acks while commits fail", r.acked(), []string{})
			if r.Health() == nil {
				t.Error("Health() is nil while commits fail")
			}
		}
		r.store.permit <- nil
		synctest.Wait()
		same(t, "acks after recovery", r.acked(), []string{"a"})
		if err := r.Health(); err != nil {
			t.Errorf("Health() = %v after recovery, want nil", err)
		}
		r.finish(t)
	})
}

func TestARefusedWriteLeavesTheOthersOfItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		r.Accept(t.Context(), r.write("first", "m"))
		synctest.Wait()
		conflict := r.write("conflict", "m")
		conflict.Rows = func(context.Context, store.Writer) error { return trefoil.Errorf(trefoil.CodeConflict, "exists") }
		for _, w := range []ingest.Write{r.write("a", "m"), r.write("deleted", "m"), r.write("b", "one too many"), conflict, r.write("c", "m")} {
			r.Accept(t.Context(), w)
		}
		r.store.permit <- nil
		r.store.permit <- nil
		synctest.Wait()
		same(t, "outcomes", r.acked(), []string{"first", "a", "deleted not_found", "b too_many", "conflict conflict", "c"})
		commits, _ := r.store.state()
		same(t, "stored", commits[1], []string{"a", "c"})
		for device, want := range map[trefoil.DeviceID]ingest.Counts{
			"a": {Received: 1, Stored: 1}, "b": {Received: 1, Dropped: 1}, "deleted": {Received: 1, Dropped: 1},
		} {
			if got, _ := r.ledger.Of(device); got != want {
				t.Errorf("ledger of %s: %+v, want %+v", device, got, want)
			}
		}
		r.finish(t)
	})
}

func TestAFullQueueRefusesOrWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 10) // room for two messages
		r.Accept(t.Context(), r.write("in commit", "m"))
		synctest.Wait()
		r.Accept(t.Context(), r.write("a", "m"))
		r.Accept(t.Context(), r.write("b", "m"))
		if err := r.TryAccept(r.write("c", "m")); trefoil.CodeOf(err) != trefoil.CodeTooMany {
			t.Errorf("TryAccept with a full queue: %v, want code too_many", err)
		}
		go r.Accept(t.Context(), r.write("waits", "m"))
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r.Accept(short, r.write("gives up", "m"))
		same(t, "acks while the queue is full", r.acked(), []string{"gives up unavailable"})
		for range 3 {
			r.store.permit <- nil
			synctest.Wait()
		}
		same(t, "acks at the end", r.acked(), []string{"gives up unavailable", "in commit", "a", "b", "waits"})
		r.finish(t)
	})
}

func TestStopSettlesWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		r.Accept(t.Context(), r.write("a", "m"))
		synctest.Wait()
		r.Accept(t.Context(), r.write("b", "m"))
		r.Stop()
		r.Accept(t.Context(), r.write("late", "m"))
		r.finish(t)
		same(t, "acks", r.acked(), []string{"late unavailable", "a", "b"})
	})
}

func TestStopDoesNotWaitForAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		r.Accept(t.Context(), r.write("a", "m"))
		r.store.permit <- errors.New("disk full")
		r.Stop()
		select {
		case <-r.ended:
		case r.store.permit <- errors.New("disk full"): // the flush of the ledger
			<-r.ended
		}
		same(t, "acks", r.acked(), []string{"a unavailable"})
	})
}

func TestAClockFarAheadIsReplacedByTheArrivalAndNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		w := r.write("a", "m")
		arrival := w.Message.Received
		w.Message.Readings[0].Time = arrival.Add(2 * time.Hour)
		var stored trefoil.Instant
		w.Rows = func(context.Context, store.Writer) error { stored = w.Message.Readings[0].Time; return nil }
		r.Accept(t.Context(), w)
		r.store.permit <- nil
		synctest.Wait()
		if stored != arrival {
			t.Errorf("stored with time %v, want %v", stored, arrival)
		}
		counts, notes := r.ledger.Of("a")
		if want := (ingest.Counts{Received: 1, Stored: 1}); counts != want {
			t.Errorf("counts %+v, want %+v", counts, want)
		}
		if len(notes) != 1 || notes[0].Reason != trefoil.NoteClock {
			t.Errorf("notes %+v, want one %q", notes, trefoil.NoteClock)
		}
		r.finish(t)
	})
}

func TestACallerWhoLeavesTakesTheChangeBackUnlessItIsBeingCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		runs := 0
		change := func(context.Context, store.Writer) error { runs++; return nil }
		result := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { result <- r.Do(ctx, change) }()
		synctest.Wait() // the change is in a commit
		cancel()
		synctest.Wait()
		r.store.permit <- errors.New("disk full")
		if err := <-result; trefoil.CodeOf(err) != trefoil.CodeUnavailable {
			t.Errorf("Do after its commit failed and its caller left: %v, want code unavailable", err)
		}
		r.store.permit <- nil
		synctest.Wait()
		if runs != 1 {
			t.Errorf("the change ran %d times, want once: it was taken back", runs)
		}
		ctx, cancel = context.WithCancel(t.Context())
		go func() { result <- r.Do(ctx, change) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		r.store.permit <- nil
		if err := <-result; err != nil {
			t.Errorf("Do of a committed change: %v, want nil although the caller left", err)
		}
		r.finish(t)
	})
}
