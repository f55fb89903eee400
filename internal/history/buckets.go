package history

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// buckets answers with aggregates.
func (h *History) buckets(ctx context.Context, q Query, p plan, b *budget) (Series, error) {
	g, err := newGrid(q.Step, q.Zone)
	if err != nil {
		return Series{}, err
	}
	width := trefoil.Instant(q.Step.Length().Microseconds())
	if n := (q.To-1)/width - q.From/width + 1; n > MaxBuckets && (q.Limit == 0 || q.Limit > MaxBuckets) {
		return Series{}, trefoil.Errorf(trefoil.CodeTooMany, "the range has %d steps of %v; at most %d are allowed, ask for a longer step or a shorter range", n, q.Step, MaxBuckets)
	}
	c := &columns{query: q, budget: b, out: p.series}
	for _, a := range q.Aggregates {
		c.out.Columns = append(c.out.Columns, Column{Aggregate: a})
	}
	now := q.Now
	if now == 0 {
		now = q.To
	}
	w := walker{grid: g, needs: needsOf(q.Aggregates), all: q.Fill != FillNone, from: q.From, to: q.To, now: now, budget: b}
	if q.Grouped {
		err = h.together(ctx, w, p, c)
	} else {
		w.emit = c.add
		err = w.walk(ctx, h.store, p.devices[0], p.series.Metric)
	}
	if errors.Is(err, errLimit) {
		c.out.More, err = true, nil
	}
	q.Fill.fill(&c.out)
	return c.out, err
}

// together merges the buckets of all devices of a group.
func (h *History) together(ctx context.Context, w walker, p plan, c *columns) error {
	all := make(map[trefoil.Instant]*bucket)
	w.emit = func(o *bucket) error {
		b := all[o.start]
		if b == nil {
			if err := c.budget.bucket(len(c.out.Columns)); err != nil {
				return err
			}
			b = &bucket{start: o.start}
			all[o.start] = b
		}
		return b.merge(o)
	}
	for _, device := range p.devices {
		one := w // each series has a state of its own
		if err := one.walk(ctx, h.store, device, p.series.Metric); err != nil {
			return err
		}
	}
	c.counted = true
	for _, start := range slices.Sorted(maps.Keys(all)) {
		if err := c.add(all[start]); err != nil {
			return err
		}
	}
	return nil
}

// columns writes complete buckets to the columns of a series.
type columns struct {
	query   Query
	budget  *budget
	counted bool // the buckets are in the budget already
	out     Series
}

func (c *columns) add(b *bucket) error {
	if c.query.Limit > 0 && len(c.out.T) == c.query.Limit {
		return errLimit
	}
	cells := len(b.held)
	if !c.counted {
		cells += len(c.out.Columns)
	}
	if err := c.budget.bucket(cells); err != nil {
		return err
	}
	c.out.T = append(c.out.T, b.start)
	for i := range c.out.Columns {
		col := &c.out.Columns[i]
		if col.Aggregate == States {
			col.States = append(col.States, b.states())
			continue
		}
		col.V = append(col.V, b.value(col.Aggregate))
	}
	return c.budget.keep(-len(b.values))
}
