// Package history answers questions about the past of a device: single
// readings, downsampled readings, or aggregates over buckets of time. It
// decides which form of the stored data answers a question, and bounds what
// one question may cost.
package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Bounds of one query. What is above gets an error with code too_many, or
// invalid where no data is needed to see it; the message names the bound.
const (
	MaxMetrics  = 100        // series in one answer
	MaxReadings = 200_000    // single readings in one answer
	MaxBuckets  = 20_000     // buckets of one series
	MaxCells    = 500_000    // values of aggregates in one answer
	MaxPoints   = 20_000     // of Query.Points
	MaxScanned  = 20_000_000 // readings that are looked at for one answer
	MinStep     = time.Second
	MaxStep     = 100 * 366 * 24 * time.Hour
)

// Store is what a history needs of a store.
type Store interface {
	Metrics(ctx context.Context, device trefoil.DeviceID) ([]string, error)
	Read(ctx context.Context, r store.ReadRequest, visit func(store.Block) error) error
}

// History answers queries. It is safe for concurrent use.
type History struct{ store Store }

// New makes a history of what is in the store.
func New(s Store) *History { return &History{store: s} }

// Query is a question about one device.
type Query struct {
	Device  trefoil.DeviceID
	Metrics []string // none means all, by name

	// From and To are the half-open range [From, To).
	From, To trefoil.Instant

	// Step is the width of the buckets of an aggregated answer, which begin at
	// multiples of Step since the Unix epoch; 0 asks for single readings.
	Step       time.Duration
	Aggregates []Aggregate // with Step; none means DefaultAggregates

	// Points asks for about so many readings of each series, the extremes of
	// numbers among them; 0 asks for all. Not together with Step.
	Points int

	// Limit ends each series after so many readings or buckets, see
	// [Series].More; 0 means no limit but the bounds.
	Limit int
}

// Answer is the answer to a query; From, To and Step are those of the query.
type Answer struct {
	From, To trefoil.Instant
	Step     time.Duration
	Series   []Series // in the order of Query.Metrics
}

// Series is the answer for one metric, in ascending order of time. A series
// without readings in the range has empty columns.
type Series struct {
	Metric  string
	T       []trefoil.Instant // of the readings, or the beginnings of the buckets that have readings
	V       []trefoil.Value   // single readings; nil with a step
	Columns []Column          // with a step, in the order of Query.Aggregates
	More    bool              // Limit ended the series
}

// Column holds one aggregate of every bucket. The zero Value stands where the
// aggregate means nothing, such as the average of texts; it is null in JSON.
type Column struct {
	Aggregate Aggregate
	V         []trefoil.Value
}

// Query answers q. Metrics that the device does not have give an error with
// code not_found that names those that it has.
func (h *History) Query(ctx context.Context, q Query) (Answer, error) {
	if err := q.check(); err != nil {
		return Answer{}, err
	}
	metrics, err := h.metrics(ctx, q)
	if err != nil {
		return Answer{}, err
	}
	if len(q.Aggregates) == 0 {
		q.Aggregates = DefaultAggregates()
	}
	a := Answer{From: q.From, To: q.To, Step: q.Step, Series: make([]Series, 0, len(metrics))}
	b := &budget{}
	for _, metric := range metrics {
		s, err := h.series(ctx, q, metric, b)
		if err != nil {
			return Answer{}, err
		}
		a.Series = append(a.Series, s)
	}
	return a, nil
}

func (h *History) series(ctx context.Context, q Query, metric string, b *budget) (s Series, err error) {
	switch {
	case q.Step > 0:
		s, err = h.buckets(ctx, q, metric, b)
	case q.Points > 0:
		s, err = h.points(ctx, q, metric, b)
	default:
		s, err = h.readings(ctx, q, metric, b)
	}
	if err != nil && trefoil.CodeOf(err) == trefoil.CodeInternal && ctx.Err() == nil {
		return Series{}, fmt.Errorf("history of %s of device %s: %w", metric, q.Device, err)
	}
	s.Metric = metric
	return s, err
}

// metrics gives the metrics of the answer and checks that they exist.
func (h *History) metrics(ctx context.Context, q Query) ([]string, error) {
	have, err := h.store.Metrics(ctx, q.Device)
	if err != nil {
		return nil, fmt.Errorf("metrics of device %s: %w", q.Device, err)
	}
	for _, name := range q.Metrics {
		if !slices.Contains(have, name) {
			return nil, trefoil.Errorf(trefoil.CodeNotFound, "device %s has no metric %q; %s", q.Device, name, listed(have))
		}
	}
	want := q.Metrics
	if len(want) == 0 {
		want = have
	}
	if len(want) > MaxMetrics {
		return nil, trefoil.Errorf(trefoil.CodeTooMany, "%d metrics; one query gives at most %d, name those that you need", len(want), MaxMetrics)
	}
	return want, nil
}

func listed(names []string) string {
	const most = 20
	switch {
	case len(names) == 0:
		return "it has no readings yet"
	case len(names) > most:
		return fmt.Sprintf("it has %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	default:
		return "it has " + strings.Join(names, ", ")
	}
}

// check refuses what cannot be right, before any data is read.
func (q Query) check() error {
	switch {
	case q.From >= q.To:
		return trefoil.Errorf(trefoil.CodeInvalid, "from (%s) must be before to (%s)", clock(q.From), clock(q.To))
	case q.Step < 0 || q.Step > 0 && q.Step < MinStep || q.Step > MaxStep:
		return trefoil.Errorf(trefoil.CodeInvalid, "step %v: allowed are %v to 100 years", q.Step, MinStep)
	case q.Points != 0 && (q.Points < 2 || q.Points > MaxPoints):
		return trefoil.Errorf(trefoil.CodeInvalid, "points %d: allowed are 2 to %d", q.Points, MaxPoints)
	case q.Points != 0 && q.Step != 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "step and points exclude each other: step gives aggregates, points single readings")
	case q.Step == 0 && len(q.Aggregates) > 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "agg needs step, the width of the buckets that it aggregates")
	case q.Limit < 0:
		return trefoil.Errorf(trefoil.CodeInvalid, "limit %d: it must not be negative", q.Limit)
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
type budget struct{ scanned, readings, cells int }

func (b *budget) scan(n int) error {
	if b.scanned += n; b.scanned > MaxScanned {
		return trefoil.Errorf(trefoil.CodeTooMany, "the query would look at more than %d readings; ask for a shorter range or fewer metrics", MaxScanned)
	}
	return nil
}

func (b *budget) reading() error {
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
