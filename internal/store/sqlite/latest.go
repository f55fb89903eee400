package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
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
