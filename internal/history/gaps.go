package history

import (
	"container/heap"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// GapQuery asks where readings of a device are missing.
type GapQuery struct {
	Device   trefoil.DeviceID
	Metrics  []string // none means all, by name
	From, To trefoil.Instant
	Now      trefoil.Instant // readings after it cannot be missing; 0 means To

	// Factor is how many times the cadence readings may be apart before that
	// is a gap; 0 means DefaultFactor.
	Factor float64

	// Cadence is the distance that readings should have; 0 asks for the one
	// that they had.
	Cadence time.Duration
}

// Bounds and defaults of a [GapQuery].
const (
	DefaultFactor = 3
	MinFactor     = 1.1
	MaxFactor     = 1000
	MaxGaps       = 1000 // of one series; the longest
)

// Gaps are those of one series.
type Gaps struct {
	Metric   string
	Readings int           // in the range
	Cadence  time.Duration // 0 where there are too few readings to tell; there are no gaps then
	Missing  int64         // readings that the gaps would have had
	Time     time.Duration // of all gaps
	Gaps     []Gap         // by time
	More     bool          // these are only the MaxGaps longest
}

// Gap is a time without readings: from the reading before to the reading
// after, or to the end of the range on its sides.
type Gap struct {
	From, To trefoil.Instant
	Missing  int64 // readings at the cadence
}

// Gaps finds the gaps of every asked series. Where readings are further apart
// than Factor times the cadence, there is one. The cadence is the median of
// the distances between neighbouring readings, to a tenth of a percent: half of
// all readings may be missing before it is wrong. Nothing is missing before
// the first reading of a series. What is sent only when it changes has no
// cadence, and its gaps mean nothing.
func (h *History) Gaps(ctx context.Context, q GapQuery) ([]Gaps, error) {
	if q.Factor == 0 {
		q.Factor = DefaultFactor
	}
	switch {
	case !(q.Factor >= MinFactor && q.Factor <= MaxFactor):
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "factor %v: allowed are %v to %v", q.Factor, MinFactor, MaxFactor)
	case q.Cadence < 0:
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "cadence %v: it must be longer than 0", q.Cadence)
	}
	of := Query{Devices: Of(q.Device), Metrics: q.Metrics, From: q.From, To: q.To}
	if err := of.check(); err != nil {
		return nil, err
	}
	plans, err := h.plan(ctx, of)
	if err != nil {
		return nil, err
	}
	b, all := &budget{}, make([]Gaps, 0, len(plans))
	for _, p := range plans {
		g, err := h.gapsOf(ctx, q, p.series.Metric, b)
		if err != nil && trefoil.CodeOf(err) == trefoil.CodeInternal && ctx.Err() == nil {
			return nil, fmt.Errorf("gaps of %s of device %s: %w", p.series.Metric, q.Device, err)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

func (h *History) gapsOf(ctx context.Context, q GapQuery, metric string, b *budget) (Gaps, error) {
	now := q.To
	if q.Now != 0 {
		now = min(q.Now, q.To)
	}
	c := &intervals{}
	r := store.ReadRequest{Device: q.Device, Metric: metric, From: firstInstant, To: q.From, Reverse: true}
	x, ok, err := edge(ctx, h.store, r)
	if err != nil {
		return Gaps{}, err
	}
	if ok {
		c.add(x.Time)
	}
	before := c.n
	r = store.ReadRequest{Device: q.Device, Metric: metric, From: q.From, To: q.To}
	err = h.store.Read(ctx, r, func(block store.Block) error {
		for i := range block.Samples {
			c.add(block.Samples[i].Time)
		}
		return b.scan(len(block.Samples))
	})
	if err != nil {
		return Gaps{}, err
	}
	g := Gaps{Metric: metric, Readings: c.n - before, Cadence: q.Cadence}
	if g.Cadence == 0 {
		g.Cadence = c.median()
	}
	r.From, r.To = q.To, -firstInstant
	if x, ok, err = edge(ctx, h.store, r); err != nil {
		return Gaps{}, err
	}
	switch {
	case ok && c.n > 0:
		c.long(gap{c.last, x.Time})
	case c.n > 0:
		c.long(gap{c.last, now})
	}
	c.gaps(q, &g)
	return g, nil
}

// gap is a distance between neighbouring readings.
type gap struct{ from, to trefoil.Instant }

func (g gap) length() trefoil.Instant { return g.to - g.from }

// intervals gathers the distances between readings: their distribution, and
// the longest of them.
type intervals struct {
	n       int // readings
	last    trefoil.Instant
	bins    map[int]bin
	longest gapHeap
	left    trefoil.Instant // the longest that was let go
}

// bin holds distances that differ by less than a tenth of a percent.
type bin struct {
	n   int
	sum trefoil.Instant
}

func (c *intervals) add(t trefoil.Instant) {
	if c.n++; c.n > 1 {
		d := t - c.last
		if c.bins == nil {
			c.bins = make(map[int]bin)
		}
		k := binOf(d)
		b := c.bins[k]
		c.bins[k] = bin{b.n + 1, b.sum + d}
		c.long(gap{c.last, t})
	}
	c.last = t
}

// binOf numbers distances by their first eleven bits.
func binOf(d trefoil.Instant) int {
	const precise = 11
	shift := max(bits.Len64(uint64(d))-precise, 0)
	return shift<<precise | int(d>>shift)
}

// long keeps the distance if it is among the longest.
func (c *intervals) long(g gap) {
	switch {
	case len(c.longest) < MaxGaps:
		heap.Push(&c.longest, g)
	case g.length() > c.longest[0].length():
		c.left = max(c.left, c.longest[0].length())
		c.longest[0] = g
		heap.Fix(&c.longest, 0)
	default:
		c.left = max(c.left, g.length())
	}
}

// median is 0 for fewer than three distances.
func (c *intervals) median() time.Duration {
	distances := c.n - 1
	if distances < 3 {
		return 0
	}
	keys := make([]int, 0, len(c.bins))
	for k := range c.bins {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	seen := 0
	for _, k := range keys {
		b := c.bins[k]
		if seen += b.n; 2*seen >= distances {
			return micros(b.sum / trefoil.Instant(b.n))
		}
	}
	return 0
}

// gaps picks the gaps among the longest distances.
func (c *intervals) gaps(q GapQuery, out *Gaps) {
	out.Gaps = []Gap{}
	cadence := trefoil.Instant(out.Cadence.Microseconds())
	if cadence <= 0 {
		return
	}
	limit := trefoil.Instant(q.Factor * float64(cadence))
	out.More = c.left > limit
	slices.SortFunc(c.longest, func(a, b gap) int { return int(a.from - b.from) })
	for _, d := range c.longest {
		from, to := max(d.from, q.From), min(d.to, q.To)
		if d.length() <= limit || from >= to {
			continue
		}
		g := Gap{From: from, To: to, Missing: int64((to - from - 1) / cadence)}
		out.Gaps = append(out.Gaps, g)
		out.Missing += g.Missing
		out.Time += to.Sub(from)
	}
}

// gapHeap has the shortest of the longest distances first.
type gapHeap []gap

func (h gapHeap) Len() int           { return len(h) }
func (h gapHeap) Less(i, j int) bool { return h[i].length() < h[j].length() }
func (h gapHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *gapHeap) Push(x any)        { *h = append(*h, x.(gap)) }
func (h *gapHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
