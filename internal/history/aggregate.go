package history

import (
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Aggregate names what is computed over the readings of a bucket.
type Aggregate string

// The aggregates. Booleans count as 0 and 1, so that their average is the
// share of true. Average, minimum, maximum and sum mean nothing where the
// first or the last reading of a bucket is a text.
const (
	Avg   Aggregate = "avg"
	Min   Aggregate = "min"
	Max   Aggregate = "max"
	Sum   Aggregate = "sum"
	Count Aggregate = "count" // of readings, whatever their kind
	First Aggregate = "first" // value of the earliest reading
	Last  Aggregate = "last"  // value of the newest reading
)

// Aggregates lists all aggregates.
func Aggregates() []Aggregate { return []Aggregate{Avg, Min, Max, Sum, Count, First, Last} }

// DefaultAggregates are those of a query that names none.
func DefaultAggregates() []Aggregate { return []Aggregate{Avg, Min, Max, Count} }

// ParseAggregates reads names, each value one or several with commas between.
// No name gives none.
func ParseAggregates(values []string) ([]Aggregate, error) {
	var out []Aggregate
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			a := Aggregate(strings.TrimSpace(name))
			if !slices.Contains(Aggregates(), a) {
				return nil, unknownAggregate(name)
			}
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

func unknownAggregate(name string) error {
	var names []string
	for _, a := range Aggregates() {
		names = append(names, string(a))
	}
	return trefoil.Errorf(trefoil.CodeInvalid, "unknown aggregate %q; allowed are %s", name, strings.Join(names, ", "))
}

// tally gathers the readings of one bucket.
type tally struct {
	count         int
	min, max, sum float64
	first, last   trefoil.Value
}

func (t *tally) sample(v trefoil.Value) {
	f := v.Float()
	t.block(&store.Block{Count: 1, Min: f, Max: f, Sum: f, First: store.Sample{Value: v}, Last: store.Sample{Value: v}})
}

// block adds readings that are all later than those before.
func (t *tally) block(b *store.Block) {
	if t.count == 0 {
		*t = tally{min: b.Min, max: b.Max, first: b.First.Value}
	}
	t.count += b.Count
	t.min, t.max = min(t.min, b.Min), max(t.max, b.Max)
	t.sum += b.Sum
	t.last = b.Last.Value
}

func (t *tally) value(a Aggregate) trefoil.Value {
	switch a {
	case Count:
		return trefoil.NumberValue(float64(t.count))
	case First:
		return t.first
	case Last:
		return t.last
	}
	if t.first.Kind() == trefoil.Text || t.last.Kind() == trefoil.Text {
		return trefoil.Value{}
	}
	switch a {
	case Avg:
		return finite(t.sum / float64(t.count))
	case Min:
		return trefoil.NumberValue(t.min)
	case Max:
		return trefoil.NumberValue(t.max)
	default:
		return finite(t.sum)
	}
}

// finite gives no value where a sum of huge numbers has no finite result.
func finite(f float64) trefoil.Value {
	if v := trefoil.NumberValue(f); v.Valid() {
		return v
	}
	return trefoil.Value{}
}
