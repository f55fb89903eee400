package history

import (
	"context"
	"errors"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// errLimit ends a visit when the answer is long enough.
var errLimit = errors.New("limit reached")

// walker makes buckets of the readings of one series and gives each to emit
// when it is complete. With all, buckets without readings are emitted too.
type walker struct {
	grid   grid
	needs  needs
	all    bool
	from   trefoil.Instant
	to     trefoil.Instant
	now    trefoil.Instant // up to which the last value holds
	budget *budget
	emit   func(*bucket) error // keeps nothing of the bucket

	open bucket          // the values of its readings have memory that is used again
	end  trefoil.Instant // of the open bucket; before from while none is open

	reference store.Sample    // of a counter; without a kind before the first number
	holding   store.Sample    // the value that holds; without a kind before the first reading
	counted   trefoil.Instant // how far it is counted
}

// walk reads the series.
func (w *walker) walk(ctx context.Context, s Store, device trefoil.DeviceID, metric string) error {
	w.end = w.from
	r := store.ReadRequest{Device: device, Metric: metric, From: w.from, To: w.to}
	if w.needs.before() {
		if err := w.seed(ctx, s, r); err != nil {
			return err
		}
	}
	if !w.needs.samples() {
		r.Resolution = w.grid.resolution(w.from, w.to)
	}
	if w.all {
		w.begin(w.from)
	}
	if err := s.Read(ctx, r, w.visit); err != nil {
		return err
	}
	return w.finish()
}

// seed finds the last reading before the range.
func (w *walker) seed(ctx context.Context, s Store, r store.ReadRequest) error {
	x, ok, err := edge(ctx, s, store.ReadRequest{Device: r.Device, Metric: r.Metric, From: firstInstant, To: r.From, Reverse: true})
	if err != nil || !ok {
		return err
	}
	w.holding = x
	if x.Value.Kind() != trefoil.Text {
		w.reference = x
	}
	return nil
}

func (w *walker) visit(b store.Block) error {
	if b.Samples == nil {
		if err := w.reach(b.First.Time); err != nil {
			return err
		}
		w.open.block(&b)
		return w.budget.scan(1)
	}
	for i := range b.Samples {
		x := b.Samples[i]
		if x.Time >= w.end {
			if err := w.reach(x.Time); err != nil {
				return err
			}
		}
		if err := w.add(x); err != nil {
			return err
		}
	}
	return w.budget.scan(len(b.Samples))
}

func (w *walker) add(x store.Sample) error {
	w.open.sample(x)
	if w.needs.values && x.Value.Kind() != trefoil.Text {
		if err := w.budget.keep(1); err != nil {
			return err
		}
		w.open.values = append(w.open.values, x.Value.Float())
	}
	if w.needs.rate && x.Value.Kind() != trefoil.Text {
		w.count(x)
	}
	if !w.needs.hold {
		return nil
	}
	err := w.holdUntil(x.Time)
	w.holding = x
	return err
}

// count adds the increase of a counter since the reading before.
func (w *walker) count(x store.Sample) {
	if w.reference.Value.Kind() != 0 {
		before, now := w.reference.Value.Float(), x.Value.Float()
		if now < before { // it was reset
			before = 0
		}
		w.open.increase += now - before
		w.open.over += x.Time - w.reference.Time
	}
	w.reference = x
}

// holdUntil counts the value that holds up to t.
func (w *walker) holdUntil(t trefoil.Instant) error {
	var err error
	if d := t - w.counted; d > 0 && w.holding.Value.Kind() != 0 {
		err = w.open.hold(w.holding.Value, d)
	}
	w.counted = max(w.counted, t)
	return err
}

// reach makes the bucket of t the open one.
func (w *walker) reach(t trefoil.Instant) error {
	if t < w.end {
		return nil
	}
	isOpen := w.end > w.from
	if isOpen {
		if err := w.flush(); err != nil {
			return err
		}
	}
	for w.all && isOpen {
		w.begin(w.end)
		if t < w.end {
			return nil
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.begin(t)
	return nil
}

// begin opens the bucket of t, which is empty.
func (w *walker) begin(t trefoil.Instant) {
	w.open = bucket{values: w.open.values[:0]}
	w.open.start, w.end = w.grid.bucket(t)
	w.counted = max(w.open.start, w.from)
}

// flush completes the open bucket.
func (w *walker) flush() error {
	if w.needs.hold {
		if err := w.holdUntil(min(w.end, w.to, w.now)); err != nil {
			return err
		}
	}
	w.open.end()
	return w.emit(&w.open)
}

// finish completes the last buckets.
func (w *walker) finish() error {
	if w.end > w.from {
		if err := w.flush(); err != nil {
			return err
		}
	}
	for w.all && w.end < w.to {
		w.begin(w.end)
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// firstInstant is before every reading.
const firstInstant = trefoil.Instant(-1 << 62)

// edge gives the first reading that the request finds.
func edge(ctx context.Context, s Store, r store.ReadRequest) (x store.Sample, ok bool, err error) {
	err = s.Read(ctx, r, func(b store.Block) error {
		x, ok = b.Samples[0], true
		return errLimit
	})
	if errors.Is(err, errLimit) {
		err = nil
	}
	return x, ok, err
}
