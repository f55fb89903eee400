package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const (
	batchReadings = 32_768                // in one transaction
	upkeep        = 50 * time.Millisecond // of the target after each
)

// seriesOf lists all series in order. Both engines have them in a table of
// this form; the order of texts in it differs between databases.
func seriesOf(ctx context.Context, q store.Querier) ([]key, error) {
	rows, err := q.QueryContext(ctx, "select device, metric from series")
	if err != nil {
		return nil, fmt.Errorf("list the series: %w", err)
	}
	defer rows.Close()
	var all []key
	for rows.Next() {
		var k key
		if err := rows.Scan(&k.device, &k.metric); err != nil {
			return nil, fmt.Errorf("list the series: %w", err)
		}
		all = append(all, k)
	}
	slices.SortFunc(all, key.compare)
	return all, rows.Err()
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.device, o.device), cmp.Compare(k.metric, o.metric))
}

func (k key) String() string { return fmt.Sprintf("%s of device %s", k.metric, k.device) }

// batch is what one transaction moves, and how far that is.
type batch struct {
	messages []*trefoil.Message
	readings int64
	series   key // of the last reading
	until    trefoil.Instant
	done     int // series that are moved whole
}

// moveReadings moves what is left of them: one goroutine reads the next batch while this one
// writes the one before.
func (t *transfer) moveReadings(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan *batch, 1)
	read := make(chan error, 1)
	done := t.state // which write changes meanwhile
	go func() {
		defer close(batches)
		read <- t.readAll(ctx, done, batches)
	}()
	var err error
	for b := range batches {
		if err == nil {
			if err = t.write(ctx, b); err != nil {
				cancel() // and take what is still read, so that the reader ends
			}
		}
	}
	cancel()
	if readErr := <-read; err == nil {
		err = readErr
	}
	t.summary.CopyTime = time.Since(begin)
	return err
}

// write moves one batch in one transaction.
func (t *transfer) write(ctx context.Context, b *batch) error {
	next := t.state
	next.series, next.until, next.readings = b.series, b.until, t.state.readings+b.readings
	tx, err := t.to.Begin(ctx)
	if err != nil {
		return fmt.Errorf("write to the target: %w", err)
	}
	for _, m := range b.messages {
		if err := tx.Append(m); err != nil {
			return errors.Join(fmt.Errorf("write device %s to the target: %w", m.Device, err), tx.Rollback())
		}
	}
	if err := next.save(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("write to the target: %w", err)
	}
	t.state = next
	t.summary.Copied += b.readings
	t.tell(Progress{Step: CopyReadings, Series: b.done, AllSeries: len(t.series), Readings: next.readings, AllReadings: max(t.about, next.readings)})
	if _, err := t.to.Maintain(ctx, upkeep); err != nil {
		return fmt.Errorf("settle the target: %w", err)
	}
	return nil
}

// gatherer puts readings into batches.
type gatherer struct {
	out  chan<- *batch
	next *batch
}

// readAll reads what is not done yet, in order.
func (t *transfer) readAll(ctx context.Context, done state, out chan<- *batch) error {
	g := &gatherer{out: out, next: &batch{}}
	for i, k := range t.series {
		from := trefoil.Instant(math.MinInt64)
		if c := k.compare(done.series); done.readings > 0 && c < 0 {
			continue
		} else if done.readings > 0 && c == 0 {
			from = done.until + 1
		}
		r := store.ReadRequest{Device: k.device, Metric: k.metric, From: from, To: math.MaxInt64}
		err := t.from.Read(ctx, r, func(b store.Block) error { return g.add(ctx, k, b.Samples) })
		if err != nil {
			return readFault(ctx, k, err)
		}
		g.next.done = i + 1
	}
	return g.send(ctx)
}

// readFault says what to do about a series that cannot be read.
func readFault(ctx context.Context, k key, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("read %s from the source: %w (where it is damaged, put a backup in its place with trefoil restore)", k, err)
}

func (g *gatherer) add(ctx context.Context, k key, samples []store.Sample) error {
	for len(samples) > 0 {
		n := min(len(samples), int(batchReadings-g.next.readings))
		g.append(k, samples[:n])
		samples = samples[n:]
		if g.next.readings == batchReadings {
			if err := g.send(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *gatherer) append(k key, samples []store.Sample) {
	b := g.next
	if b.readings == 0 || b.series != k {
		b.messages = append(b.messages, &trefoil.Message{Device: k.device})
		b.series = k
	}
	m := b.messages[len(b.messages)-1]
	m.Readings = slices.Grow(m.Readings, len(samples))
	for _, x := range samples {
		m.Readings = append(m.Readings, trefoil.Reading{Metric: k.metric, Time: x.Time, Value: x.Value})
	}
	b.readings += int64(len(samples))
	b.until = samples[len(samples)-1].Time
}

// send hands the batch over, if there is anything in it.
func (g *gatherer) send(ctx context.Context) error {
	if g.next.readings == 0 {
		return ctx.Err()
	}
	select {
	case g.out <- g.next:
		g.next = &batch{done: g.next.done}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
