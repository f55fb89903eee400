package sqlite

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Latest gives the newest reading of every metric of the device.
func (s *Store) Latest(ctx context.Context, id trefoil.DeviceID) ([]trefoil.Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := s.devices[id].list()
	out := make([]trefoil.Reading, 0, len(list))
	for _, x := range list {
		if x.latest.Value.Kind() != 0 {
			out = append(out, trefoil.Reading{Metric: x.metric, Time: x.latest.Time, Value: x.latest.Value})
		}
	}
	slices.SortFunc(out, func(a, b trefoil.Reading) int { return strings.Compare(a.Metric, b.Metric) })
	return out, nil
}

// Metrics gives the names of all metrics of the device.
func (s *Store) Metrics(ctx context.Context, id trefoil.DeviceID) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := s.devices[id].list()
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = x.metric
	}
	slices.Sort(names)
	return names, nil
}

// Read visits the readings of one series.
func (s *Store) Read(ctx context.Context, r store.ReadRequest, visit func(store.Block) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	x, _ := s.devices[r.Device].find(r.Metric, 0)
	if x == nil {
		s.mu.RUnlock()
		return nil
	}
	snapshot := x.head.Snapshot()
	s.mu.RUnlock()
	columns := snapshot.Columns()
	columns = columns.Range(r.From, r.To)
	return visitColumns(ctx, &columns, r.Reverse, visit)
}

// blockSize is the number of samples in a block of single readings.
const blockSize = 1024

// visitColumns gives c to visit in blocks with samples.
func visitColumns(ctx context.Context, c *series.Columns, reverse bool, visit func(store.Block) error) error {
	samples := make([]store.Sample, 0, min(c.Len(), blockSize))
	for start := 0; start < c.Len(); start += blockSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := start, min(start+blockSize, c.Len())
		if reverse {
			from, to = c.Len()-to, c.Len()-from
		}
		part := c.Slice(from, to)
		samples = appendSamples(samples[:0], &part, reverse)
		b := block(part.Summarize(), part.Time(0), part.Time(part.Len()-1))
		b.Samples = samples
		if err := visit(b); err != nil {
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

// Maintain moves readings to chunks.
func (s *Store) Maintain(ctx context.Context, _ time.Duration) (bool, error) { return false, ctx.Err() }
