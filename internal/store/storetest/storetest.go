// Package storetest is the suite that every engine of internal/store passes.
package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Database is one database under test. One store at a time has it open.
type Database interface {
	// Open opens it, with what earlier stores committed.
	Open(t *testing.T, options store.Options) store.Store

	// Crash leaves the database as a killed process leaves it. The store is
	// not closed by the test and must not be used any more.
	Crash(t *testing.T, s store.Store)
}

// Run runs the suite. newDatabase makes an empty database for one test.
//
// Everything runs three times: without upkeep; with all upkeep after every
// commit while memory is short, so that readings have every form that the
// engine gives them; and with upkeep by the clock, which walks through the
// hours of the readings, so that some have moved on and some have not.
func Run(t *testing.T, newDatabase func(t *testing.T) Database) {
	for _, mode := range []struct {
		name    string
		upkeep  bool
		options store.Options
	}{
		{name: "fresh"},
		{name: "short of memory", upkeep: true, options: store.Options{HeadBytes: 1}},
		{name: "by the clock", upkeep: true, options: store.Options{Now: walkingClock()}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			for _, test := range tests() {
				t.Run(test.rule, func(t *testing.T) {
					t.Parallel()
					h := &harness{t: t, db: newDatabase(t), upkeep: mode.upkeep, options: mode.options}
					h.open()
					test.run(h)
				})
			}
		})
	}
}

// walkingClock gives a clock that goes on by seven minutes whenever somebody
// looks at it, and starts again after forty hours.
func walkingClock() func() time.Time {
	var looks atomic.Int64
	return func() time.Time {
		return (noon - 5*hour).Time().Add(time.Duration(looks.Add(1)*7%2400) * time.Minute)
	}
}

type test struct {
	rule string
	run  func(*harness)
}

func tests() []test {
	var all []test
	for _, group := range [][]test{readingTests(), rangeTests(), transactionTests(), lifecycleTests(), visitTests(), modelTests()} {
		all = append(all, group...)
	}
	return all
}

// harness is an open store with short words for what tests do with it.
type harness struct {
	t       *testing.T
	db      Database
	s       store.Store
	upkeep  bool
	options store.Options
}

func (h *harness) open() {
	h.t.Helper()
	h.s = h.db.Open(h.t, h.options)
}

// reopen closes the store and opens it again.
func (h *harness) reopen() {
	h.t.Helper()
	if err := h.s.Close(); err != nil {
		h.t.Fatalf("close: %v", err)
	}
	h.open()
}

// crash ends the store as a kill does, and opens the database again.
func (h *harness) crash() {
	h.t.Helper()
	h.db.Crash(h.t, h.s)
	h.open()
}

func (h *harness) begin() store.Tx {
	h.t.Helper()
	tx, err := h.s.Begin(context.Background())
	if err != nil {
		h.t.Fatalf("begin: %v", err)
	}
	return tx
}

func (h *harness) append(tx store.Tx, messages ...*trefoil.Message) {
	h.t.Helper()
	for _, m := range messages {
		if err := tx.Append(m); err != nil {
			h.t.Fatalf("append: %v", err)
		}
	}
}

func (h *harness) end(tx store.Tx) trefoil.Seq {
	h.t.Helper()
	seq, err := tx.Commit(context.Background())
	if err != nil {
		h.t.Fatalf("commit: %v", err)
	}
	h.maintain()
	return seq
}

// commit stores the messages in one transaction.
func (h *harness) commit(messages ...*trefoil.Message) trefoil.Seq {
	h.t.Helper()
	tx := h.begin()
	h.append(tx, messages...)
	return h.end(tx)
}

func (h *harness) maintain() {
	h.t.Helper()
	for h.upkeep {
		more, err := h.s.Maintain(context.Background(), time.Second)
		if err != nil {
			h.t.Fatalf("maintain: %v", err)
		}
		if !more {
			return
		}
	}
}

// all gives every reading of a series.
func (h *harness) all(device trefoil.DeviceID, metric string) []store.Sample {
	h.t.Helper()
	return h.read(store.ReadRequest{Device: device, Metric: metric, From: -1 << 62, To: 1 << 62})
}

func (h *harness) read(r store.ReadRequest) []store.Sample {
	h.t.Helper()
	var out []store.Sample
	err := h.s.Read(context.Background(), r, func(b store.Block) error {
		h.checkBlock(b, r)
		out = append(out, b.Samples...)
		return nil
	})
	if err != nil {
		h.t.Fatalf("read: %v", err)
	}
	return out
}

// checkBlock checks what holds for every block.
func (h *harness) checkBlock(b store.Block, r store.ReadRequest) {
	h.t.Helper()
	if b.Count == 0 {
		h.t.Error("got an empty block, want none")
	}
	if b.First.Time > b.Last.Time || b.First.Time < r.From || b.Last.Time >= r.To {
		h.t.Errorf("block from %d to %d is not inside [%d, %d)", b.First.Time, b.Last.Time, r.From, r.To)
	}
	if b.Samples == nil {
		if r.Resolution == 0 {
			h.t.Error("got a summary without resolution, want samples")
		}
		return
	}
	if b.Count != len(b.Samples) {
		h.t.Errorf("block says %d readings and has %d samples", b.Count, len(b.Samples))
	}
}

func (h *harness) want(what string, got, want any) {
	h.t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b trefoil.Value) bool { return a == b })); d != "" {
		h.t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

const (
	second = trefoil.Instant(1_000_000)
	hour   = 3600 * second
	noon   = trefoil.Instant(1_700_049_600_000_000) // 2023-11-15 12:00:00 UTC
)

// message carries the values of one metric at one time each.
func message(device trefoil.DeviceID, metric string, samples ...store.Sample) *trefoil.Message {
	m := &trefoil.Message{Device: device, Via: trefoil.ViaMQTT, Received: noon}
	for _, x := range samples {
		m.Readings = append(m.Readings, trefoil.Reading{Metric: metric, Time: x.Time, Value: x.Value})
	}
	return m
}

func num(t trefoil.Instant, v float64) store.Sample {
	return store.Sample{Time: t, Value: trefoil.NumberValue(v)}
}

func boolean(t trefoil.Instant, v bool) store.Sample {
	return store.Sample{Time: t, Value: trefoil.BooleanValue(v)}
}

func text(t trefoil.Instant, v string) store.Sample {
	return store.Sample{Time: t, Value: trefoil.TextValue(v)}
}
