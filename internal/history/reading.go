package history

import (
	"context"
	"errors"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// readings answers with every reading of the range: in one piece, or in parts
// of a bounded length that are valid until emit returns.
func (h *History) readings(ctx context.Context, q Query, s Series, b *budget, emit func(Series) error) error {
	s.V = []trefoil.Value{}
	n := 0
	r := store.ReadRequest{Device: s.Device, Metric: s.Metric, From: q.From, To: q.To}
	err := h.store.Read(ctx, r, func(block store.Block) error {
		for _, x := range block.Samples {
			if q.Limit > 0 && n == q.Limit {
				return errLimit
			}
			n++
			if err := b.reading(q.Part > 0); err != nil {
				return err
			}
			s.append(x)
			if len(s.T) == q.Part {
				if err := emit(s); err != nil {
					return err
				}
				s.T, s.V = s.T[:0], s.V[:0]
			}
		}
		return nil
	})
	if errors.Is(err, errLimit) {
		s.More, err = true, nil
	}
	if err != nil {
		return err
	}
	return emit(s)
}

// points answers with about q.Points readings. It divides the time between
// the first and the last reading into equal parts and keeps of each part the
// reading with the smallest and the one with the largest number, so that no
// peak is lost; of texts and booleans it keeps the first and the last of each
// part. A series that has no more readings than asked for is given whole.
func (h *History) points(ctx context.Context, q Query, of Series, b *budget) (Series, error) {
	first, last, ok, err := h.extent(ctx, q, of)
	if err != nil || !ok {
		of.V = []trefoil.Value{}
		return of, err
	}
	parts := trefoil.Instant(max(q.Points/2, 1))
	d := &downsampler{points: q.Points, start: first, width: (last-first)/parts + 1}
	r := store.ReadRequest{Device: of.Device, Metric: of.Metric, From: first, To: last + 1}
	err = h.store.Read(ctx, r, func(block store.Block) error {
		for _, x := range block.Samples {
			d.add(x)
		}
		return b.scan(len(block.Samples))
	})
	if err != nil {
		return Series{}, err
	}
	s, kept := of, d.end()
	s.T, s.V = kept.T, kept.V
	if b.readings += len(s.T); b.readings > MaxReadings {
		return Series{}, trefoil.Errorf(trefoil.CodeTooMany, "the answer would have more than %d readings; ask for fewer points or metrics", MaxReadings)
	}
	if q.Limit > 0 && len(s.T) > q.Limit {
		s.T, s.V, s.More = s.T[:q.Limit], s.V[:q.Limit], true
	}
	return s, nil
}

// extent gives the times of the first and the last reading of the range.
func (h *History) extent(ctx context.Context, q Query, of Series) (first, last trefoil.Instant, ok bool, err error) {
	r := store.ReadRequest{Device: of.Device, Metric: of.Metric, From: q.From, To: q.To}
	x, ok, err := edge(ctx, h.store, r)
	if err != nil || !ok {
		return 0, 0, false, err
	}
	r.Reverse = true
	y, ok, err := edge(ctx, h.store, r)
	return x.Time, y.Time, ok, err
}

// downsampler keeps the extremes of equal parts of time.
type downsampler struct {
	points       int
	start, width trefoil.Instant

	all  Series // every reading while there are not too many
	over bool   // there are too many for all
	out  Series
	part trefoil.Instant
	open bool
	low  store.Sample
	high store.Sample
}

func (d *downsampler) add(x store.Sample) {
	switch {
	case d.over:
	case len(d.all.T) == d.points:
		d.all, d.over = Series{}, true
	default:
		d.all.append(x)
	}
	part := (x.Time - d.start) / d.width
	if !d.open || part != d.part {
		d.flush()
		d.open, d.part, d.low, d.high = true, part, x, x
		return
	}
	switch numbers := x.Value.Kind() == trefoil.Number && d.high.Value.Kind() == trefoil.Number; {
	case !numbers, x.Value.Float() > d.high.Value.Float():
		d.high = x
	case x.Value.Float() < d.low.Value.Float():
		d.low = x
	}
}

// flush writes the readings that were kept of the open part.
func (d *downsampler) flush() {
	if !d.open {
		return
	}
	a, b := d.low, d.high
	if a.Time > b.Time {
		a, b = b, a
	}
	d.out.append(a)
	if a.Time != b.Time {
		d.out.append(b)
	}
	d.open = false
}

func (d *downsampler) end() Series {
	if !d.over {
		return d.all
	}
	d.flush()
	return d.out
}

func (s *Series) append(x store.Sample) {
	s.T = append(s.T, x.Time)
	s.V = append(s.V, x.Value)
}
