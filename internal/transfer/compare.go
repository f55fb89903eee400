package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// DifferenceError says that target and source are not the same at the end.
// The next run begins anew.
type DifferenceError struct{ What string }

func (e *DifferenceError) Error() string {
	return "the target is not the same as the source: " + e.What +
		"; make sure that nothing else writes to either, and run the same command again, which begins anew"
}

// digest is what a series holds.
type digest struct {
	count       int64
	first, last trefoil.Instant
	hash        uint64 // over all times and values in order
}

func (d digest) String() string {
	if d.count == 0 {
		return "no readings"
	}
	return fmt.Sprintf("%d readings from %s to %s with the checksum %016x",
		d.count, d.first.Time().Format(time.RFC3339Nano), d.last.Time().Format(time.RFC3339Nano), d.hash)
}

// compare reads everything back from both stores.
func (t *transfer) compare(ctx context.Context) error {
	begin := time.Now()
	err := t.compareTables(ctx)
	if err == nil {
		err = t.compareReadings(ctx)
	}
	t.summary.CompareTime = time.Since(begin)
	var differs *DifferenceError
	if !errors.As(err, &differs) {
		return err
	}
	return errors.Join(err, t.change(ctx, func(w store.Writer) error { return t.state.invalidate(ctx, w) }))
}

func (t *transfer) compareTables(ctx context.Context) error {
	for _, tab := range t.tables {
		source, err := t.sumTable(ctx, tab, t.from.Rows())
		if err != nil {
			return fmt.Errorf("read table %s of the source: %w", tab.name, err)
		}
		target, err := t.sumTable(ctx, tab, t.to.Rows())
		if err != nil {
			return fmt.Errorf("read table %s of the target: %w", tab.name, err)
		}
		if source != target {
			return &DifferenceError{fmt.Sprintf("table %s has %d rows with the checksum %016x in the source, and %d with %016x in the target",
				tab.name, source.rows, source.hash, target.rows, target.hash)}
		}
		t.summary.Rows += source.rows
		if source.rows > 0 {
			t.summary.Tables++
		}
	}
	return nil
}

// verdict is what the comparison of one series found.
type verdict struct {
	key            key
	source, target digest
	summarized     int64
	err            error
}

// comparers is the number of series that are compared at the same time; each
// reads one store after the other.
const comparers = 4

func (t *transfer) compareReadings(ctx context.Context) error {
	packed, err := t.hasSummaries(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for v := range t.verdicts(ctx, packed) {
		if err == nil {
			if err = t.count(v); err != nil {
				cancel() // and take what the others still find
			}
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return t.compareLists(ctx)
}

// verdicts compares all series in any order, until ctx ends. The channel is
// closed when nothing of it goes on; the caller must read so far.
func (t *transfer) verdicts(ctx context.Context, packed bool) <-chan verdict {
	work, out := make(chan key), make(chan verdict)
	var all sync.WaitGroup
	all.Go(func() {
		defer close(work)
		for _, k := range t.series {
			select {
			case work <- k:
			case <-ctx.Done():
				return
			}
		}
	})
	for range comparers {
		all.Go(func() {
			for k := range work {
				out <- t.compareSeries(ctx, k, packed)
			}
		})
	}
	go func() {
		all.Wait()
		close(out)
	}()
	return out
}

// count takes a verdict into the summary.
func (t *transfer) count(v verdict) error {
	s := &t.summary
	switch {
	case v.err != nil:
		return v.err
	case v.source != v.target:
		return &DifferenceError{fmt.Sprintf("the series %s has %s in the source, and %s in the target", v.key, v.source, v.target)}
	case v.source.count == 0:
		s.Empty++
	default:
		s.Series++
	}
	s.Readings += v.source.count
	s.Summarized += v.summarized
	t.tell(Progress{Step: Compare, Series: s.Series + s.Empty, AllSeries: len(t.series), Readings: s.Readings, AllReadings: max(t.state.readings, s.Readings)})
	return nil
}

// compareLists finds series that only the target has.
func (t *transfer) compareLists(ctx context.Context) error {
	list, err := seriesOf(ctx, t.to.Rows())
	if err != nil {
		return err
	}
	for _, k := range list {
		if _, found := slices.BinarySearchFunc(t.series, k, key.compare); !found {
			return &DifferenceError{fmt.Sprintf("only the target has the series %s", k)}
		}
	}
	return nil
}

func (t *transfer) compareSeries(ctx context.Context, k key, packed bool) (v verdict) {
	v.key = k
	if v.source, v.err = t.digest(ctx, t.from, k); v.err != nil {
		v.err = readFault(ctx, k, v.err)
		return v
	}
	if v.target, v.err = t.digest(ctx, t.to, k); v.err != nil {
		v.err = fmt.Errorf("read %s back from the target: %w", k, v.err)
		return v
	}
	if packed {
		v.summarized, v.err = t.summarized(ctx, k, v.source.count)
	}
	return v
}

func (t *transfer) digest(ctx context.Context, s store.Store, k key) (d digest, err error) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	r := store.ReadRequest{Device: k.device, Metric: k.metric, From: math.MinInt64, To: math.MaxInt64}
	err = s.Read(ctx, r, func(b store.Block) error {
		if d.count == 0 {
			d.first = b.First.Time
		}
		d.last = b.Last.Time
		d.count += int64(b.Count)
		for _, x := range b.Samples {
			hashNumber(&h, byte(x.Value.Kind()), uint64(x.Time))
			hashNumber(&h, 'v', math.Float64bits(x.Value.Float()))
			if x.Value.Kind() == trefoil.Text {
				hashNumber(&h, 's', uint64(len(x.Value.Text())))
				_, _ = h.WriteString(x.Value.Text()) // never fails
			}
		}
		return nil
	})
	d.hash = h.Sum64()
	return d, err
}

// hasSummaries reports whether retention has replaced readings of the source
// by summaries, which the contract has no way to write.
func (t *transfer) hasSummaries(ctx context.Context) (bool, error) {
	var n int
	err := t.from.Rows().QueryRowContext(ctx, "select count(*) from retention_drop where what = $1", string(store.DropRaw)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for summaries in the source: %w", err)
	}
	return n > 0, nil
}

// summarized counts readings of the series of which only summaries are left.
// A wide resolution lets the engine answer from what it has added up.
func (t *transfer) summarized(ctx context.Context, k key, readings int64) (int64, error) {
	all := -readings
	r := store.ReadRequest{Device: k.device, Metric: k.metric, From: math.MinInt64, To: math.MaxInt64, Resolution: 1000 * 24 * time.Hour}
	err := t.from.Read(ctx, r, func(b store.Block) error {
		all += int64(b.Count)
		return nil
	})
	if err != nil {
		return 0, readFault(ctx, k, err)
	}
	return all, nil
}
