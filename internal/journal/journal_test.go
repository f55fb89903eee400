package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// commits is the commit loop of the tests: one change, one commit.
type commits struct {
	store store.Store

	mu    sync.Mutex
	count int
	fail  int // so many are refused first
}

func (c *commits) Do(ctx context.Context, fn func(context.Context, store.Writer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail > 0 {
		c.fail--
		return errors.New("disk full")
	}
	tx, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	if err := tx.Savepoint(ctx, func(w store.Writer) error { return fn(ctx, w) }); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	c.count++
	_, err = tx.Commit(ctx)
	return err
}

// bench is a journal on a real database with the devices a and b.
type bench struct {
	*Journal
	t       testing.TB
	commits *commits
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, err := sqlite.Open(t.Context(), t.TempDir(), store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return newBenchOn(t, st)
}

func newBenchOn(t testing.TB, st store.Store) *bench {
	t.Helper()
	t.Cleanup(func() { st.Close() })
	b := &bench{t: t, commits: &commits{store: st}}
	b.devices([]trefoil.DeviceID{"a", "b"})
	b.reopen()
	return b
}

func (b *bench) devices(ids []trefoil.DeviceID) {
	b.t.Helper()
	b.do(func(ctx context.Context, w store.Writer) error {
		for _, id := range ids {
			_, err := w.ExecContext(ctx, `insert into device (id, name, tags, profile, created, updated, online, presence_reason, presence_since)
				values ($1, '', '{}', '', 0, 0, false, '', 0)`, string(id))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) do(fn func(ctx context.Context, w store.Writer) error) {
	b.t.Helper()
	if err := b.commits.Do(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

// reopen is what a new process sees.
func (b *bench) reopen() {
	b.Journal = New(Options{Rows: b.commits.store.Rows(), Writer: b.commits, Log: slog.New(slog.DiscardHandler)})
}

// store stores what is pending, as Run does.
func (b *bench) store() {
	b.t.Helper()
	if err := b.flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) of(id trefoil.DeviceID) []Event {
	b.t.Helper()
	events, err := b.Of(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return events
}

// times are those of the events of a device, the latest first.
func (b *bench) times(id trefoil.DeviceID) (times []trefoil.Instant) {
	b.t.Helper()
	for _, e := range b.of(id) {
		times = append(times, e.Time)
	}
	return times
}

func TestAnEventComesBackAsItWas(t *testing.T) {
	b := newBench(t)
	want := []Event{
		{
			Kind: Disconnected, Time: 3, First: 3, Count: 1, Address: "10.0.0.7:1", Client: "c", Protocol: "5.0", Transport: "wss",
			Reason: trefoil.ReasonKeepAlive, Detail: "nothing came", KeepAlive: time.Minute, Heard: 2,
		},
		{Kind: Connected, Time: 1, First: 1, Count: 1, Address: "10.0.0.7:1", Client: "c"},
	}
	b.Add("a", want[1])
	b.Add("a", want[0])
	b.store()
	if diff := cmp.Diff(want, b.of("a")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := b.of("b"); len(got) != 0 {
		t.Errorf("events of another device: got %v, want none", got)
	}
}

func TestTheLastFiftyEventsAreKept(t *testing.T) {
	b := newBench(t)
	for i := range trefoil.Instant(120) {
		b.Add("a", Event{Kind: Connected, Time: i + 1})
		if i%7 == 0 {
			b.store()
		}
		if i == 60 {
			b.reopen()
		}
	}
	b.Add("b", Event{Kind: Connected, Time: 1})
	b.store()
	got := b.times("a")
	if len(got) != Bound || got[0] != 120 || got[Bound-1] != 120-Bound+1 {
		t.Errorf("times: got %v, want the last %d up to 120", got, Bound)
	}
}

func TestMoreThanTheBoundAtOnceDropsTheOldest(t *testing.T) {
	b := newBench(t)
	b.Add("a", Event{Kind: Refused, Time: 1, Detail: "x"})
	b.store()
	b.Add("a", Event{Kind: Refused, Time: 2, Detail: "x"}) // would be counted with the one before
	for i := range trefoil.Instant(Bound - 1) {
		b.Add("a", Event{Kind: Connected, Time: i + 3})
	}
	if got := len(b.pending["a"]); got != Bound {
		t.Fatalf("pending: got %d, want %d", got, Bound)
	}
	b.store()
	if got := b.times("a"); len(got) != Bound || got[0] != Bound+1 || got[Bound-1] != 2 {
		t.Errorf("times: got %v, want from %d down to 2", got, Bound+1)
	}
}

func TestEqualRefusalsInARowAreOneEvent(t *testing.T) {
	b := newBench(t)
	refused := func(at trefoil.Instant, from, why string) {
		b.Add("a", Event{Kind: Refused, Time: at, Address: from, Detail: why})
	}
	b.Add("a", Event{Kind: Connected, Time: 1})
	refused(2, "10.0.0.7:1", "wrong")
	refused(3, "10.0.0.7:2", "wrong")
	b.store()
	refused(4, "10.0.0.7:3", "wrong")
	b.store()
	refused(5, "10.0.0.8:1", "wrong")
	refused(6, "10.0.0.8:1", "other")
	b.store()
	want := []Event{
		{Kind: Refused, Time: 6, First: 6, Count: 1, Address: "10.0.0.8:1", Detail: "other"},
		{Kind: Refused, Time: 5, First: 5, Count: 1, Address: "10.0.0.8:1", Detail: "wrong"},
		{Kind: Refused, Time: 4, First: 2, Count: 3, Address: "10.0.0.7:3", Detail: "wrong"},
		{Kind: Connected, Time: 1, First: 1, Count: 1},
	}
	if diff := cmp.Diff(want, b.of("a")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAFleetThatReconnectsIsStoredInBatches(t *testing.T) {
	b := newBench(t)
	ids := make([]trefoil.DeviceID, 2*batch)
	for i := range ids {
		ids[i] = trefoil.DeviceID(fmt.Sprintf("d%d", i))
	}
	b.devices(ids)
	for _, id := range ids {
		b.Add(id, Event{Kind: Connected, Time: 1})
	}
	before := b.commits.count
	b.store()
	if got := b.commits.count - before; got != 2 {
		t.Errorf("commits: got %d, want 2", got)
	}
	for _, id := range []trefoil.DeviceID{"d0", "d250", "d499"} {
		if got := b.times(id); len(got) != 1 {
			t.Errorf("events of %s: got %v, want one", id, got)
		}
	}
}

func TestADeletedDeviceTakesItsEventsAlong(t *testing.T) {
	b := newBench(t)
	b.Add("a", Event{Kind: Connected, Time: 1})
	b.store()
	b.Add("a", Event{Kind: Disconnected, Time: 2}) // on its way while the device is deleted
	b.Add("b", Event{Kind: Connected, Time: 3})
	b.do(func(ctx context.Context, w store.Writer) error {
		_, err := w.ExecContext(ctx, "delete from device where id = 'a'")
		return err
	})
	b.store()
	b.Forget("a")
	b.devices([]trefoil.DeviceID{"a"})
	if got := b.times("a"); len(got) != 0 {
		t.Errorf("a new device of the same name has the events %v, want none", got)
	}
	if got := b.times("b"); len(got) != 1 {
		t.Errorf("the other device: got %v, want one event", got)
	}
}

func TestWhatAClientSaysIsBounded(t *testing.T) {
	b := newBench(t)
	b.Add("a", Event{Kind: Refused, Time: 1, Client: strings.Repeat("ä", maxText), Detail: "zero\x00 and \xff"})
	b.store()
	e := b.of("a")[0]
	if want := strings.Repeat("ä", maxText/2) + "…"; e.Client != want || e.Detail != "zero\uFFFD and \uFFFD" {
		t.Errorf("got client %q and detail %q, want them cut and valid", e.Client, e.Detail)
	}
}

func TestRunStoresWhatAFailingStoreRefusedAndWhatIsLeftAtTheEnd(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	synctest.Test(t, func(t *testing.T) {
		j := New(Options{Writer: refusing{}, Rows: nil, Log: slog.New(slog.DiscardHandler)})
		j.states["a"] = &state{}
		run, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- j.Run(run) }()
		j.Add("a", Event{Kind: Connected, Time: 1})
		synctest.Wait()
		j.Add("a", Event{Kind: Disconnected, Time: 2})
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if got := len(j.pending["a"]); got != 2 {
			t.Errorf("pending after refusals: got %d events, want both", got)
		}
		stop()
		if err := <-ended; err == nil {
			t.Error("Run: got nil, want the error of the last attempt")
		}
	})
	b.commits.fail = 1
	b.Add("a", Event{Kind: Connected, Time: 1})
	if err := b.flush(ctx); err == nil {
		t.Error("flush: got nil, want the store's error")
	}
	b.Add("a", Event{Kind: Disconnected, Time: 2})
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if got := b.times("a"); len(got) != 2 || got[0] != 2 {
		t.Errorf("times: got %v, want [2 1]", got)
	}
}

// refusing is a store that never takes anything.
type refusing struct{}

func (refusing) Do(context.Context, func(context.Context, store.Writer) error) error {
	return errors.New("disk full")
}
