package history

import (
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Aggregate names what is computed over the readings of a bucket.
type Aggregate string

// The aggregates. Booleans count as 0 and 1, so that their average is the
// share of true. What is computed with numbers means nothing for texts.
const (
	Avg   Aggregate = "avg"
	Min   Aggregate = "min"
	Max   Aggregate = "max"
	Sum   Aggregate = "sum"
	Count Aggregate = "count" // of readings, whatever their kind
	First Aggregate = "first" // value of the earliest reading
	Last  Aggregate = "last"  // value of the newest reading

	// P50 and P95 are exact percentiles of the readings of the bucket, with
	// linear interpolation between the two nearest: the percentile_cont of SQL.
	P50 Aggregate = "p50"
	P95 Aggregate = "p95"

	// Rate is the increase of a counter per second: from the last reading
	// before the bucket to the last one in it. A counter that falls began
	// again at zero.
	Rate Aggregate = "rate"

	// TWA is the time-weighted average: each value holds until the next one,
	// the last one before the bucket included, and counts as long as it holds.
	TWA Aggregate = "twa"

	// States is the time that each value of booleans and texts held, the last
	// one before the bucket included; see [Column].States.
	States Aggregate = "states"
)

// Aggregates lists all aggregates.
func Aggregates() []Aggregate {
	return []Aggregate{Avg, Min, Max, Sum, Count, First, Last, P50, P95, Rate, TWA, States}
}

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
	return trefoil.Errorf(trefoil.CodeInvalid, "unknown aggregate %q; allowed are %s", name, joined(Aggregates()))
}

func joined[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, ", ")
}

// State is how long one value held in a bucket.
type State struct {
	Value trefoil.Value
	For   time.Duration
}

// needs says what must be gathered for the aggregates of a query.
type needs struct{ values, rate, hold bool }

func needsOf(aggregates []Aggregate) (n needs) {
	for _, a := range aggregates {
		switch a {
		case P50, P95:
			n.values = true
		case Rate:
			n.rate = true
		case TWA, States:
			n.hold = true
		}
	}
	return n
}

// samples reports whether summaries of blocks do not do.
func (n needs) samples() bool { return n.values || n.rate || n.hold }

// before reports whether the last reading before the range matters.
func (n needs) before() bool { return n.rate || n.hold }
