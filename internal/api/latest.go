package api

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// Latest knows the newest reading of every metric.
type Latest interface {
	Latest(ctx context.Context, device trefoil.DeviceID) ([]trefoil.Reading, error)
}

// point is a time and a value.
type point struct {
	T trefoil.Instant `json:"t"`
	V trefoil.Value   `json:"v"`
}

func (s *server) latestOf(ctx context.Context, id trefoil.DeviceID) (map[string]point, error) {
	readings, err := s.Latest.Latest(ctx, id)
	if err != nil {
		return nil, err
	}
	points := make(map[string]point, len(readings))
	for _, r := range readings {
		points[r.Metric] = point{T: r.Time, V: r.Value}
	}
	return points, nil
}

type latestOutput struct {
	Body map[string]point
}

func (s *server) latest(ctx context.Context, in *devicePath) (*latestOutput, error) {
	d, err := s.Devices.Find(in.ID)
	if err != nil {
		return nil, err
	}
	points, err := s.latestOf(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	return &latestOutput{Body: points}, nil
}

type deviceMetricDoc struct {
	Metric   string           `json:"metric"`
	Label    string           `json:"label,omitempty"`
	Unit     string           `json:"unit,omitempty"`
	Kind     string           `json:"kind" enum:"number,boolean,text"`
	Min      *float64         `json:"min,omitempty" doc:"Smallest value to expect"`
	Max      *float64         `json:"max,omitempty" doc:"Largest value to expect"`
	Decimals *int             `json:"decimals,omitempty" doc:"Digits after the point to show"`
	Cadence  string           `json:"cadence,omitempty" doc:"How often a reading is expected"`
	T        *trefoil.Instant `json:"t,omitempty" doc:"Time of the latest reading; left out before the first one"`
	V        *trefoil.Value   `json:"v,omitempty" doc:"Latest value"`
}

type metricsOutput struct {
	Body deviceMetricsDoc
}

type deviceMetricsDoc struct {
	Items []deviceMetricDoc `json:"items" nullable:"false" doc:"In ascending order of metric"`
}

// metrics gives what was stored and what the profile knows.
func (s *server) metrics(ctx context.Context, in *devicePath) (*metricsOutput, error) {
	d, err := s.Devices.Find(in.ID)
	if err != nil {
		return nil, err
	}
	readings, err := s.Latest.Latest(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	all := make(map[string]deviceMetricDoc)
	for name, m := range s.profileOf(d).Metrics {
		all[name] = deviceMetricDoc{
			Metric: name, Label: m.Label, Unit: m.Unit, Kind: cmp.Or(m.Kind, kindName(trefoil.Number)),
			Min: m.Min, Max: m.Max, Decimals: m.Decimals, Cadence: m.Cadence,
		}
	}
	for _, r := range readings {
		m := all[r.Metric]
		m.Metric, m.Kind, m.T, m.V = r.Metric, kindName(r.Value.Kind()), &r.Time, &r.Value
		all[r.Metric] = m
	}
	out := &metricsOutput{}
	out.Body.Items = slices.AppendSeq(make([]deviceMetricDoc, 0, len(all)), maps.Values(all))
	slices.SortFunc(out.Body.Items, func(a, b deviceMetricDoc) int { return cmp.Compare(a.Metric, b.Metric) })
	return out, nil
}

// profileOf gives the profile of the device, or an empty one.
func (s *server) profileOf(d trefoil.Device) registry.Profile {
	p, err := s.Profiles.Profile(d.Profile)
	if err != nil {
		return registry.Profile{}
	}
	return p
}

func kindName(k trefoil.Kind) string {
	switch k {
	case trefoil.Boolean:
		return "boolean"
	case trefoil.Text:
		return "text"
	default:
		return "number"
	}
}
