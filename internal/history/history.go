// Package history answers questions about the past of devices: single
// readings, downsampled readings, aggregates over buckets of time, and where
// readings are missing. It decides which form of the stored data answers a
// question, and bounds what one question may cost.
package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
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

// Query is a question about devices.
type Query struct {
	Devices []Member
	Metrics []string // none means all, by name

	// Grouped puts the readings of all devices of a group together, as if one
	// device had sent them. It needs a step. Without it each device has series
	// of its own.
	Grouped bool

	// From and To are the half-open range [From, To).
	From, To trefoil.Instant

	// Now is where the value of the last reading ends to hold, if it is before
	// To; 0 means To.
	Now trefoil.Instant

	// Step is the width of the buckets of an aggregated answer; the zero Step
	// asks for single readings. Zone says when days begin; nil means UTC.
	Step       Step
	Zone       *time.Location
	Aggregates []Aggregate // with Step; none means DefaultAggregates
	Fill       Fill        // with Step

	// Points asks for about so many readings of each series, the extremes of
	// numbers among them; 0 asks for all. Not together with Step.
	Points int

	// Limit ends each series after so many readings or buckets, see
	// [Series].More; 0 means no limit but the bounds.
	Limit int

	// Part lets series of single readings come in parts of so many, for whom
	// MaxReadings is no bound then; 0 means in one piece.
	Part int
}

// Member is one of the devices of a query, and the group that it belongs to.
type Member struct {
	Device trefoil.DeviceID
	Group  string
}

// Of is the member for a question about one device.
func Of(id trefoil.DeviceID) []Member { return []Member{{Device: id}} }

// Series is the answer for one metric of a device or a group, in ascending
// order of time. A series without readings in the range has empty columns.
type Series struct {
	Device  trefoil.DeviceID // "" for a group
	Group   string
	Devices int // of the group that have the metric
	Metric  string

	T       []trefoil.Instant // of the readings, or the beginnings of buckets
	V       []trefoil.Value   // single readings; nil with a step
	Columns []Column          // with a step, in the order of Query.Aggregates
	More    bool              // Limit ended the series
}

// Column holds one aggregate of every bucket. The zero Value stands where the
// aggregate means nothing, such as the average of texts; it is null in JSON.
// The aggregate States has its values in States instead.
type Column struct {
	Aggregate Aggregate
	V         []trefoil.Value
	States    [][]State // the longest first
}

// Stream answers q: it calls emit with one series after the other as they are
// computed, in the order of devices or groups and of metrics. A group comes
// where its first member is. An error of emit ends it and is returned.
//
// A metric that no device of the query has gives an error with code not_found
// that names those that there are; a device without it is left out.
func (h *History) Stream(ctx context.Context, q Query, emit func(Series) error) error {
	if err := q.check(); err != nil {
		return err
	}
	plans, err := h.plan(ctx, q)
	if err != nil {
		return err
	}
	if len(q.Aggregates) == 0 {
		q.Aggregates = DefaultAggregates()
	}
	b := &budget{}
	for _, p := range plans {
		if err := h.answer(ctx, q, p, b, emit); err != nil {
			if trefoil.CodeOf(err) == trefoil.CodeInternal && ctx.Err() == nil {
				return fmt.Errorf("history of %s of %s: %w", p.series.Metric, joined(p.devices), err)
			}
			return err
		}
	}
	return nil
}

// Query is Stream for answers that are wanted whole.
func (h *History) Query(ctx context.Context, q Query) ([]Series, error) {
	var all []Series
	err := h.Stream(ctx, q, func(s Series) error {
		all = append(all, s)
		return nil
	})
	return all, err
}

func (h *History) answer(ctx context.Context, q Query, p plan, b *budget, emit func(Series) error) error {
	s, err := p.series, error(nil)
	switch {
	case !q.Step.IsZero():
		s, err = h.buckets(ctx, q, p, b)
	case q.Points > 0:
		s, err = h.points(ctx, q, s, b)
	default:
		return h.readings(ctx, q, s, b, emit)
	}
	if err != nil {
		return err
	}
	return emit(s)
}

// plan is one series of an answer, and the devices that it is made of.
type plan struct {
	series  Series // without readings
	devices []trefoil.DeviceID
}

// plan finds out which series there will be.
func (h *History) plan(ctx context.Context, q Query) ([]plan, error) {
	have := make([][]string, len(q.Devices))
	all := make(map[string]bool)
	for i, m := range q.Devices {
		names, err := h.store.Metrics(ctx, m.Device)
		if err != nil {
			return nil, fmt.Errorf("metrics of device %s: %w", m.Device, err)
		}
		have[i] = names
		for _, n := range names {
			all[n] = true
		}
	}
	want := q.Metrics
	if len(want) == 0 {
		want = slices.Sorted(maps.Keys(all))
	}
	for _, name := range want {
		if !all[name] {
			return nil, q.unknownMetric(name, slices.Sorted(maps.Keys(all)))
		}
	}
	if len(want) > MaxMetrics && len(q.Devices) == 1 {
		return nil, trefoil.Errorf(trefoil.CodeTooMany, "%d metrics; one query gives at most %d, name those that you need", len(want), MaxMetrics)
	}
	return q.plans(have, want)
}

// plans puts the devices that have each of the wanted metrics together.
func (q Query) plans(have [][]string, want []string) ([]plan, error) {
	var plans []plan
	first := make(map[string]int) // of the plans of a group
	series := 0
	for i, m := range q.Devices {
		at, known := first[m.Group]
		if !known || !q.Grouped {
			at = len(plans)
			first[m.Group] = at
			for _, name := range want {
				s := Series{Device: m.Device, Group: m.Group, Metric: name}
				if q.Grouped {
					s.Device = ""
				}
				plans = append(plans, plan{series: s})
			}
		}
		for k, name := range want {
			if _, ok := slices.BinarySearch(have[i], name); !ok {
				continue
			}
			p := &plans[at+k]
			p.devices = append(p.devices, m.Device)
			p.series.Devices++
			if series++; series > MaxSeries {
				return nil, trefoil.Errorf(trefoil.CodeTooMany, "the query reads more than %d series (devices times metrics); ask for fewer devices or metrics", MaxSeries)
			}
		}
	}
	return slices.DeleteFunc(plans, func(p plan) bool { return len(p.devices) == 0 }), nil
}

func (q Query) unknownMetric(name string, have []string) error {
	who := fmt.Sprintf("none of the %d devices has a metric", len(q.Devices))
	if len(q.Devices) == 1 {
		who = fmt.Sprintf("device %s has no metric", q.Devices[0].Device)
	}
	return trefoil.Errorf(trefoil.CodeNotFound, "%s %q; %s", who, name, listed(have))
}

func listed(names []string) string {
	const most = 20
	switch {
	case len(names) == 0:
		return "it has no readings yet"
	case len(names) > most:
		return fmt.Sprintf("there are %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	default:
		return "there are " + strings.Join(names, ", ")
	}
}
