package simulate

import (
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// meter is a three-phase energy meter of a building. Its counter is the
// integral of its power, so both tell the same story.
func meter() *kind {
	cadence := 2 * time.Second
	return &kind{
		prefix: "meter", cadence: cadence, mqtt: packet.V311, share: 20, calm: 60 * time.Minute,
		measure: measureMeter,
		profile: describe(Profile{
			Name: "energy-meter", Label: "Energy meter",
			Description: "Three-phase meter: power, voltages, power factor and the energy counter",
			Metrics: map[string]Metric{
				"power":        number("Power", "kW", 0, 100, 2),
				"energy":       number("Energy", "kWh", 0, 1e8, 1),
				"power_factor": number("Power factor", "", 0, 1, 2),
				"voltage.l1":   number("Voltage L1", "V", 190, 260, 1),
				"voltage.l2":   number("Voltage L2", "V", 190, 260, 1),
				"voltage.l3":   number("Voltage L3", "V", 190, 260, 1),
			},
		}, cadence),
		places: []place{
			{"Main meter Roanoke", "roanoke", trefoil.Tags{"floor": "0", "panel": "main"}},
			{"Paint shop meter", "roanoke", trefoil.Tags{"floor": "0", "panel": "paint"}},
			{"Main meter Lyon", "lyon", trefoil.Tags{"floor": "0", "panel": "main"}},
			{"Cold store meter", "lyon", trefoil.Tags{"floor": "0", "panel": "cold"}},
			{"Main meter Osaka", "osaka", trefoil.Tags{"floor": "1", "panel": "main"}},
		},
	}
}

const (
	meterGrid channel = iota * 4
	meterSensor
	meterPhase // of three, so the last
)

func measureMeter(s *sensor) {
	power, energy := s.load()
	grid := 230 + 2.2*s.noise.drift(meterGrid, s.seconds, 3600) - 1.5*s.daily(18)
	s.number("power", power*(1+0.004*s.noise.white(meterSensor, s.seconds)))
	s.number("energy", energy)
	s.number("power_factor", 0.84+0.1*power/(power+8)+0.01*s.noise.white(meterSensor+1, s.seconds))
	for i, metric := range [...]string{"voltage.l1", "voltage.l2", "voltage.l3"} {
		sag := 0.06 * power * (0.8 + 0.2*float64(i))
		own := 0.7 * s.noise.drift(meterPhase+4*channel(i), s.seconds, 600)
		s.number(metric, grid+own-sag+0.15*s.noise.white(meterSensor+2, s.seconds+float64(i)))
	}
}

// counterStart is when the counters were zero, 2024-01-01 UTC.
const counterStart = 1704067200

// load gives the power in kW and its integral since [counterStart] in kWh.
// Every part has a closed integral, which is what makes the counter a pure
// function of time: a base, a daily cosine, compressors that switch, and a
// slow swing.
func (s *sensor) load() (power, energy float64) {
	size := 0.6 + s.unit
	hours := (s.seconds - counterStart) / 3600
	add := func(kW, kWh float64) { power, energy = power+kW*size, energy+kWh*size }

	add(7, 7*hours)
	w := 2 * math.Pi / 24 // per hour
	local := (s.local-counterStart)/3600 - 14
	add(4*math.Cos(w*local), 4*math.Sin(w*local)/w)
	swing := 2 * math.Pi / 0.73
	add(0.8*math.Cos(swing*hours), 0.8*math.Sin(swing*hours)/swing)
	for _, c := range [...]struct{ kW, minutes, duty float64 }{{3.1, 17, 0.4}, {1.4, 7.3, 0.55}, {5.2, 43, 0.2}} {
		period := c.minutes / 60
		whole, u := math.Modf(hours/period + s.unit)
		on := 0.0
		if u < c.duty {
			on = c.kW
		}
		add(on, c.kW*period*(whole*c.duty+min(u, c.duty)-min(s.unit, c.duty)))
	}
	return power, energy
}
