// Package simulate is a virtual fleet: devices that measure, connect by MQTT
// and lose their connection now and then as real ones do.
//
// What a device measures is a pure function of (seed, device, time), see
// [Device.At]: two runs with the same seed agree, a day that lies behind can
// be sent as readily as the present, and nothing is kept in memory for it.
// [Fleet] does the talking. It knows MQTT and the topics of Trefoil, but
// neither the server nor its database.
package simulate

import (
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Profile describes a kind of device, in the form that the REST API takes.
type Profile struct {
	Name        string            `json:"name"`
	Label       string            `json:"label"`
	Description string            `json:"description"`
	Metrics     map[string]Metric `json:"metrics"`
}

// Metric describes a metric. Min, Max and Decimals are nil for booleans and
// texts.
type Metric struct {
	Label    string   `json:"label"`
	Unit     string   `json:"unit,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	Decimals *int     `json:"decimals,omitempty"`
	Cadence  string   `json:"cadence,omitempty"`
	Kind     string   `json:"kind"`
}

// kind is a kind of virtual device.
type kind struct {
	profile Profile
	prefix  string // of the device ids
	mqtt    packet.Version
	cadence time.Duration
	share   int           // of the fleet, in percent
	calm    time.Duration // mean time between two lost connections
	places  []place
	measure func(s *sensor)
}

// place is where a device of a kind is installed.
type place struct {
	name, site string
	tags       trefoil.Tags
}

// site is a town. People and machines there follow the local day.
type site struct {
	clock               time.Duration // ahead of UTC
	latitude, longitude float64
}

func siteOf(name string) site {
	switch name {
	case "roanoke":
		return site{-5 * time.Hour, 37.2710, -79.9414}
	case "lyon":
		return site{time.Hour, 45.7640, 4.8357}
	default: // osaka
		return site{9 * time.Hour, 34.6937, 135.5023}
	}
}

// link is the metric that says how the connection is: the will sets it to
// "lost", the first message of a connection to "up".
const link = "link"

func kinds() []*kind { return []*kind{climate(), pump(), tracker(), meter()} }

func number(label, unit string, low, high float64, decimals int) Metric {
	return Metric{Label: label, Unit: unit, Min: &low, Max: &high, Decimals: &decimals, Kind: "number"}
}

// describe completes a profile with what all kinds have.
func describe(p Profile, cadence time.Duration) Profile {
	p.Metrics[link] = Metric{Label: "Connection", Kind: "text"}
	for name, m := range p.Metrics {
		if name != link {
			m.Cadence = cadence.String()
			p.Metrics[name] = m
		}
	}
	return p
}

// sensor collects what one device measures at one time.
type sensor struct {
	noise   noise
	unit    float64 // 0 to 1, fixed for a device: what sets it apart from its kind
	seconds float64 // since 1970, UTC
	local   float64 // the same on the wall of its site
	site    site
	at      trefoil.Instant
	profile *Profile
	out     []trefoil.Reading
}

// number adds a reading at the sensor's resolution, within its range.
func (s *sensor) number(metric string, v float64) {
	m := s.profile.Metrics[metric]
	scale := math.Pow10(*m.Decimals)
	v = math.Round(min(max(v, *m.Min), *m.Max)*scale) / scale
	s.add(metric, trefoil.NumberValue(v+0)) // no -0
}

func (s *sensor) boolean(metric string, v bool) { s.add(metric, trefoil.BooleanValue(v)) }
func (s *sensor) text(metric, v string)         { s.add(metric, trefoil.TextValue(v)) }

func (s *sensor) add(metric string, v trefoil.Value) {
	s.out = append(s.out, trefoil.Reading{Metric: metric, Time: s.at, Value: v})
}

const day = 86400.0

// daily is a cosine over the local day that is 1 at the hour and -1 half a
// day later.
func (s *sensor) daily(hour float64) float64 {
	return math.Cos(2 * math.Pi * (s.local - hour*3600) / day)
}

// hour is the time of the local day, 0 to 24.
func (s *sensor) hour() float64 { return math.Mod(s.local, day) / 3600 }

// weekday reports whether the local day is Monday to Friday; 1970-01-01 was a
// Thursday.
func (s *sensor) weekday() bool {
	d := (int64(math.Floor(s.local/day)) + 3) % 7
	return d < 5
}

// battery falls from full to low within so many days and is then replaced.
func (s *sensor) battery(days, low float64) float64 {
	_, worn := math.Modf(s.seconds/(days*day) + s.unit)
	return 100 - (100-low)*worn
}
