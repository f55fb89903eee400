package history

import (
	"context"
	"errors"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// errLimit ends a visit when the answer is long enough.
var errLimit = errors.New("limit reached")

// buckets answers with aggregates.
func (h *History) buckets(ctx context.Context, q Query, metric string, b *budget) (Series, error) {
	width := trefoil.Instant(q.Step.Microseconds())
	if n := (q.To-1)/width - q.From/width + 1; n > MaxBuckets && (q.Limit == 0 || q.Limit > MaxBuckets) {
		return Series{}, trefoil.Errorf(trefoil.CodeTooMany, "the range has %d steps of %v; at most %d are allowed, ask for a longer step or a shorter range", n, q.Step, MaxBuckets)
	}
	c := &collector{query: q, width: width, budget: b}
	for _, a := range q.Aggregates {
		c.out.Columns = append(c.out.Columns, Column{Aggregate: a})
	}
	r := store.ReadRequest{Device: q.Device, Metric: metric, From: q.From, To: q.To, Resolution: q.Step}
	err := h.store.Read(ctx, r, c.visit)
	if err == nil {
		err = c.flush()
	}
	if errors.Is(err, errLimit) {
		c.out.More, err = true, nil
	}
	return c.out, err
}

// collector makes buckets of blocks.
type collector struct {
	query  Query
	width  trefoil.Instant
	budget *budget
	out    Series

	at  trefoil.Instant // beginning of the open bucket
	sum tally           // of the open bucket
}

func (c *collector) visit(b store.Block) error {
	if b.Samples == nil {
		if err := c.open(b.First.Time); err != nil {
			return err
		}
		c.sum.block(&b)
		return c.budget.scan(1)
	}
	for i := range b.Samples {
		x := &b.Samples[i]
		if err := c.open(x.Time); err != nil {
			return err
		}
		c.sum.sample(x.Value)
	}
	return c.budget.scan(len(b.Samples))
}

// open makes the bucket of t the open one.
func (c *collector) open(t trefoil.Instant) error {
	if c.sum.count > 0 && t < c.at+c.width {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.at = floor(t, c.width)
	return nil
}

// flush writes the open bucket to the columns.
func (c *collector) flush() error {
	if c.sum.count == 0 {
		return nil
	}
	if c.query.Limit > 0 && len(c.out.T) == c.query.Limit {
		return errLimit
	}
	if err := c.budget.bucket(len(c.out.Columns)); err != nil {
		return err
	}
	c.out.T = append(c.out.T, c.at)
	for i := range c.out.Columns {
		col := &c.out.Columns[i]
		col.V = append(col.V, c.sum.value(col.Aggregate))
	}
	c.sum = tally{}
	return nil
}

func floor(t, width trefoil.Instant) trefoil.Instant {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}
