package sqlite

import (
	"context"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// blockSize is the number of samples in a block of single readings.
const blockSize = 1024

// emit gives c to visit in blocks with samples.
func (v *view) emit(ctx context.Context, c *series.Columns) error {
	for start := 0; start < c.Len(); start += blockSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := start, min(start+blockSize, c.Len())
		if v.r.Reverse {
			from, to = c.Len()-to, c.Len()-from
		}
		part := c.Slice(from, to)
		v.samples = appendSamples(v.samples[:0], &part, v.r.Reverse)
		b := block(part.Summarize(), part.Time(0), part.Time(part.Len()-1))
		b.Samples = v.samples
		if err := v.visit(b); err != nil {
			return err
		}
	}
	return nil
}

func block(s series.Summary, first, last trefoil.Instant) store.Block {
	return store.Block{
		Count: s.Count, Min: s.Min, Max: s.Max, Sum: s.Sum,
		First: store.Sample{Time: first, Value: s.First},
		Last:  store.Sample{Time: last, Value: s.Last},
	}
}

func appendSamples(out []store.Sample, c *series.Columns, reverse bool) []store.Sample {
	for i := range c.Len() {
		out = append(out, store.Sample{Time: c.Time(i), Value: c.Value(i)})
	}
	if reverse {
		slices.Reverse(out)
	}
	return out
}
