package live

import (
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// filter is a set of metrics. Viewers who ask for the same metrics share one
// filter, and so the rows that it makes. A nil filter lets everything pass.
type filter struct {
	name  string
	keys  map[string]struct{} // metric names as they stand in JSON, with quotes
	users int
}

func newFilter(name string, metrics []string) *filter {
	f := &filter{name: name, keys: make(map[string]struct{}, len(metrics))}
	for _, m := range metrics {
		f.keys[string(trefoil.TextValue(m).AppendJSON(nil))] = struct{}{}
	}
	return f
}

func (f *filter) wants(key []byte) bool {
	if f == nil {
		return true
	}
	_, ok := f.keys[string(key)]
	return ok
}

// of gives the part of r that f lets pass: r itself where that is all of it,
// nil where it is nothing.
func (f *filter) of(r *row) *row {
	if f == nil || r.kind != isReadings {
		return r
	}
	kept := 0
	r.fields(func(x field) bool {
		if f.wants(x.key()) {
			kept++
		}
		return true
	})
	switch kept {
	case 0:
		return nil
	case r.readings:
		return r
	}
	part := *r
	part.readings = kept
	part.json = append(make([]byte, 0, len(r.json)), r.json[:r.values]...)
	r.fields(func(x field) bool {
		if f.wants(x.key()) {
			if len(part.json) > r.values {
				part.json = append(part.json, ',')
			}
			part.json = append(part.json, x.text...)
		}
		return true
	})
	part.json = append(part.json, '}', '}')
	return &part
}

// filter gives the shared filter for these metrics, nil for none. Every call
// must be matched by a call of release.
func (x *index) filter(metrics []string) *filter {
	if len(metrics) == 0 {
		return nil
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(metrics)))
	name := strings.Join(sorted, "\x00") // no metric has a control character
	f := x.filters[name]
	if f == nil {
		f = newFilter(name, sorted)
		x.filters[name] = f
	}
	f.users++
	return f
}

func (x *index) release(f *filter) {
	if f == nil {
		return
	}
	if f.users--; f.users == 0 {
		delete(x.filters, f.name)
	}
}
