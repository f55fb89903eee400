package sqlite

import (
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/series"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// serie is one series in memory: its number, its newest reading and its head.
type serie struct {
	id     int64
	metric string
	latest store.Sample // Value of kind 0 before the first reading
	head   series.Head
	bytes  int64 // estimate of the memory of head
	stored int64 // readings in chunks
}

// readingBytes is the memory that a number in a head takes: 16 bytes and a
// share of the room that growing slices keep.
const readingBytes = 20

func (s *serie) append(t trefoil.Instant, v trefoil.Value) (grown int64) {
	s.head.Append(t, v)
	if s.latest.Value.Kind() == 0 || t >= s.latest.Time {
		s.setLatest(t, v)
	}
	grown = memory(v)
	s.bytes += grown
	return grown
}

func memory(v trefoil.Value) int64 {
	if v.Kind() == trefoil.Text {
		return readingBytes + int64(16+len(v.Text()))
	}
	return readingBytes
}

func (s *serie) setLatest(t trefoil.Instant, v trefoil.Value) {
	if v.Kind() == trefoil.Text && v.Text() != s.latest.Value.Text() {
		v = trefoil.TextValue(strings.Clone(v.Text()))
	}
	s.latest = store.Sample{Time: t, Value: v}
}

// device holds the series of one device in the order in which they were made.
// It is never changed; a device that gets a series is replaced. The nil
// *device has no series.
type device struct {
	series   []*serie
	byMetric map[string]*serie // nil while there are few
}

// fewSeries is the number of series up to which looking at each is quicker
// than a map.
const fewSeries = 16

func newDevice(list []*serie) *device {
	d := &device{series: list}
	if len(list) > fewSeries {
		d.byMetric = make(map[string]*serie, len(list))
		for _, s := range list {
			d.byMetric[s.metric] = s
		}
	}
	return d
}

// with gives a device that has the series of d and the added ones.
func (d *device) with(added ...*serie) *device {
	return newDevice(slices.Concat(d.list(), added))
}

func (d *device) list() []*serie {
	if d == nil {
		return nil
	}
	return d.series
}

// find gives the series of a metric and its place, or nil and hint. A message
// mostly names its metrics in the order of the one before, so the place after
// the previous one is a good hint.
func (d *device) find(metric string, hint int) (*serie, int) {
	if d == nil {
		return nil, hint
	}
	if hint < len(d.series) && d.series[hint].metric == metric {
		return d.series[hint], hint
	}
	if d.byMetric != nil {
		return d.byMetric[metric], hint
	}
	for i, s := range d.series {
		if s.metric == metric {
			return s, i
		}
	}
	return nil, hint
}
