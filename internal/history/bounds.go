package history

import (
	"slices"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Bounds of one query. What is above gets an error with code too_many, or
// invalid where no data is needed to see it; the message names the bound.
const (
	MaxMetrics  = 100        // series in an answer about one device
	MaxSeries   = 10_000     // devices times metrics
	MaxReadings = 200_000    // single readings in one answer, unless it comes in parts
	MaxBuckets  = 20_000     // buckets of one series
	MaxCells    = 500_000    // values of aggregates in one answer
	MaxPoints   = 20_000     // of Query.Points
	MaxScanned  = 20_000_000 // readings that are looked at for one answer
	MaxKept     = 2_000_000  // readings that are kept at a time for exact percentiles
	MaxStates   = 100        // different values of a text in one bucket
	MinStep     = time.Second
	MaxStep     = 100 * 366 * 24 * time.Hour
)

// check refuses what cannot be right, before any data is read.
func (q Query) check() error {
	length := q.Step.Length()
	switch {
	case q.From >= q.To:
		return trefoil.Errorf(trefoil.CodeInvalid, "from (%s) must be before to (%s)", clock(q.From), clock(q.To))
	case length < 0 || !q.Step.IsZero() && length < MinStep || length > MaxStep:
		return trefoil.Errorf(trefoil.CodeInvalid, "step %v: allowed are %v to 100 years", q.Step, MinStep)
	case q.Points != 0 && (q.Points < 2 || q.Points > MaxPoints):
		return trefoil.Errorf(trefoil.CodeInvalid, "points %d: allowed are 2 to %d", q.Points, MaxPoints)
	case q.Points != 0 && !q.Step.IsZero():
		return trefoil.Errorf(trefoil.CodeInvalid, "step and points exclude each other: step gives aggregates, points single readings")
	case q.Step.IsZero() && len(q.Aggregates) > 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "agg needs step, the width of the buckets that it aggregates")
	case q.Step.IsZero() && q.Fill != FillNone:
		return trefoil.Errorf(trefoil.CodeInvalid, "fill needs step: single readings have no gaps to fill")
	case q.Step.IsZero() && q.Grouped:
		return trefoil.Errorf(trefoil.CodeInvalid, "groups need step: only aggregates can be put together")
	case q.Limit < 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "limit %d: it must not be negative", q.Limit)
	}
	if !slices.Contains(Fills(), q.Fill) {
		return unknownFill(string(q.Fill))
	}
	return q.checkAggregates()
}

func (q Query) checkAggregates() error {
	for i, a := range q.Aggregates {
		if !slices.Contains(Aggregates(), a) {
			return unknownAggregate(string(a))
		}
		if slices.Contains(q.Aggregates[:i], a) {
			return trefoil.Errorf(trefoil.CodeInvalid, "agg names %s twice", a)
		}
	}
	return nil
}

func clock(t trefoil.Instant) string { return t.Time().Format(time.RFC3339Nano) }

// budget is what one query has used of its bounds.
type budget struct{ scanned, readings, cells, kept int }

func (b *budget) scan(n int) error {
	if b.scanned += n; b.scanned > MaxScanned {
		return trefoil.Errorf(trefoil.CodeTooMany, "the query would look at more than %d readings; ask for a shorter range or fewer metrics", MaxScanned)
	}
	return nil
}

func (b *budget) reading(inParts bool) error {
	if inParts {
		return b.scan(1)
	}
	if b.readings++; b.readings > MaxReadings {
		return trefoil.Errorf(trefoil.CodeTooMany, "the range has more than %d readings; ask for a shorter range, a step, or points", MaxReadings)
	}
	return nil
}

func (b *budget) bucket(columns int) error {
	if b.cells += columns; b.cells > MaxCells {
		return trefoil.Errorf(trefoil.CodeTooMany, "the answer would have more than %d values; ask for a shorter range, a longer step, or fewer metrics", MaxCells)
	}
	return nil
}

// keep counts readings that are kept for percentiles; n is negative when they
// are let go.
func (b *budget) keep(n int) error {
	if b.kept += n; b.kept > MaxKept {
		return trefoil.Errorf(trefoil.CodeTooMany, "percentiles are exact and keep all readings of a bucket; at most %d are allowed, ask for a shorter step or fewer devices", MaxKept)
	}
	return nil
}
