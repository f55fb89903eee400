package history

import (
	"cmp"
	"math"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// bucket gathers the readings of one bucket, of one series or, after merge,
// of several.
type bucket struct {
	start trefoil.Instant

	count         int
	min, max, sum float64
	first, last   store.Sample

	values []float64 // of numbers and booleans, for percentiles; sorted by value

	increase float64         // of a counter
	over     trefoil.Instant // the time in which it increased
	rates    float64         // of the series that were merged into this one
	rated    bool

	area  float64         // values times the microseconds for which they held
	known trefoil.Instant // microseconds for which a number held
	held  map[trefoil.Value]trefoil.Instant
}

func (b *bucket) sample(x store.Sample) {
	f := x.Value.Float()
	b.block(&store.Block{Count: 1, Min: f, Max: f, Sum: f, First: x, Last: x})
}

// block adds readings that are all later than those before.
func (b *bucket) block(s *store.Block) {
	if b.count == 0 {
		b.min, b.max, b.first = s.Min, s.Max, s.First
	}
	b.count += s.Count
	b.min, b.max = min(b.min, s.Min), max(b.max, s.Max)
	b.sum += s.Sum
	b.last = s.Last
}

// hold notes that the value held so long. More than MaxStates different texts
// are an error.
func (b *bucket) hold(v trefoil.Value, d trefoil.Instant) error {
	if v.Kind() != trefoil.Text {
		b.area += v.Float() * float64(d)
		b.known += d
	}
	return b.note(v, d)
}

// note counts the time of a state.
func (b *bucket) note(v trefoil.Value, d trefoil.Instant) error {
	if v.Kind() == trefoil.Number {
		return nil
	}
	if b.held == nil {
		b.held = make(map[trefoil.Value]trefoil.Instant)
	}
	b.held[v] += d
	if len(b.held) > MaxStates {
		return trefoil.Errorf(trefoil.CodeTooMany, "a bucket has more than %d different states; states is for texts with few values, ask for a shorter step", MaxStates)
	}
	return nil
}

// end closes the bucket of a single series.
func (b *bucket) end() {
	if b.over > 0 {
		b.rates, b.rated = b.increase/micros(b.over).Seconds(), true
	}
}

// merge adds what another series has in the same bucket; both are ended.
func (b *bucket) merge(o *bucket) error {
	switch {
	case b.count == 0:
		b.min, b.max, b.first, b.last = o.min, o.max, o.first, o.last
	case o.count > 0:
		b.min, b.max = min(b.min, o.min), max(b.max, o.max)
		if o.first.Time < b.first.Time {
			b.first = o.first
		}
		if o.last.Time > b.last.Time {
			b.last = o.last
		}
	}
	b.count += o.count
	b.sum += o.sum
	b.values = append(b.values, o.values...)
	b.rates, b.rated = b.rates+o.rates, b.rated || o.rated
	b.area, b.known = b.area+o.area, b.known+o.known
	for v, d := range o.held {
		if err := b.note(v, d); err != nil {
			return err
		}
	}
	return nil
}

// value gives an aggregate, or the zero Value where it means nothing.
func (b *bucket) value(a Aggregate) trefoil.Value {
	switch a {
	case Count:
		return trefoil.NumberValue(float64(b.count))
	case Rate:
		return finiteIf(b.rated, b.rates)
	case TWA:
		return finiteIf(b.known > 0, b.area/float64(b.known))
	case P50:
		return b.percentile(0.50)
	case P95:
		return b.percentile(0.95)
	}
	switch {
	case b.count == 0:
		return trefoil.Value{}
	case a == First:
		return b.first.Value
	case a == Last:
		return b.last.Value
	case b.first.Value.Kind() == trefoil.Text || b.last.Value.Kind() == trefoil.Text:
		return trefoil.Value{}
	case a == Avg:
		return finiteIf(true, b.sum/float64(b.count))
	case a == Min:
		return trefoil.NumberValue(b.min)
	case a == Max:
		return trefoil.NumberValue(b.max)
	default:
		return finiteIf(true, b.sum)
	}
}

// percentile interpolates between the two values that are nearest to the
// share p of all.
func (b *bucket) percentile(p float64) trefoil.Value {
	if len(b.values) == 0 {
		return trefoil.Value{}
	}
	if !slices.IsSorted(b.values) {
		slices.Sort(b.values)
	}
	rank := p * float64(len(b.values)-1)
	low := int(rank)
	high := min(low+1, len(b.values)-1)
	share := rank - float64(low)
	return finiteIf(true, b.values[low]*(1-share)+b.values[high]*share)
}

// states gives the durations, the longest first.
func (b *bucket) states() []State {
	out := make([]State, 0, len(b.held))
	for v, d := range b.held {
		out = append(out, State{Value: v, For: micros(d)})
	}
	slices.SortFunc(out, func(x, y State) int {
		return cmp.Or(cmp.Compare(y.For, x.For), cmp.Compare(x.Value.Float(), y.Value.Float()), cmp.Compare(x.Value.Text(), y.Value.Text()))
	})
	return out
}

// finiteIf gives no value where there is none, or where a sum of huge numbers
// has no finite result.
func finiteIf(ok bool, f float64) trefoil.Value {
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return trefoil.Value{}
	}
	return trefoil.NumberValue(f)
}
