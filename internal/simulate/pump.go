package simulate

import (
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// pump is a process pump with a controller: it runs in cycles, ramps up and
// down, and trips now and then.
func pump() *kind {
	cadence := time.Second
	return &kind{
		prefix: "pump", cadence: cadence, mqtt: packet.V5, share: 20, calm: 40 * time.Minute,
		measure: measurePump,
		profile: describe(Profile{
			Name: "pump", Label: "Process pump",
			Description: "Centrifugal pump with controller: flow, pressure, power and bearing vibration every second",
			Metrics: map[string]Metric{
				"flow":      number("Flow", "m³/h", 0, 60, 1),
				"pressure":  number("Pressure", "bar", 0, 10, 2),
				"power":     number("Power", "kW", 0, 15, 2),
				"vibration": number("Vibration", "mm/s", 0, 20, 2),
				"running":   {Label: "Running", Kind: "boolean"},
				"state":     {Label: "State", Kind: "text"},
			},
		}, cadence),
		places: []place{
			{"Cooling water pump 1", "roanoke", trefoil.Tags{"line": "a", "hall": "1"}},
			{"Cooling water pump 2", "roanoke", trefoil.Tags{"line": "a", "hall": "1"}},
			{"Feed pump", "roanoke", trefoil.Tags{"line": "b", "hall": "2"}},
			{"Circulation pump", "lyon", trefoil.Tags{"line": "c", "hall": "1"}},
			{"Drain pump", "osaka", trefoil.Tags{"line": "d", "hall": "1"}},
		},
	}
}

const (
	pumpCycle channel = iota * 4
	pumpFlow
	pumpBearing
	pumpSensor
)

// rampSeconds is how long a pump takes to come to speed and to stop.
const rampSeconds = 6

func measurePump(s *sensor) {
	state, speed, inrush := s.pumpCycle()
	hiss := func(i channel) float64 { return s.noise.white(pumpSensor+i, s.seconds) }
	flow := speed * (28 + 14*s.unit + 2.5*s.noise.drift(pumpFlow, s.seconds, 240))
	// Affinity laws: pressure follows the square of the speed, power its cube.
	pressure := 1.2 + speed*speed*(3.4+s.unit-0.02*(flow-30))
	power := 0.06 + speed*speed*speed*(2.1+0.075*flow) + 4.5*inrush
	wear := 1.0 + 1.6*math.Mod(s.seconds/(9*day)+s.unit, 1)
	vibration := 0.12 + speed*wear*(1.3+0.4*s.noise.drift(pumpBearing, s.seconds, 90))
	if speed > 0 {
		flow += 0.25 * hiss(0)
		power += 0.05 * hiss(2)
	}
	s.number("flow", flow)
	s.number("pressure", pressure+0.02*hiss(1))
	s.number("power", power)
	s.number("vibration", vibration+0.06*hiss(3))
	s.boolean("running", state == "starting" || state == "running")
	s.text("state", state)
}

// pumpCycle gives state, speed (0 to 1) and inrush (0 to 1). A cycle lasts 8
// to 16 minutes, by device, of which the pump runs 35 to 85 %; one cycle in
// sixty ends early with a fault that lasts until the next begins.
func (s *sensor) pumpCycle() (state string, speed, inrush float64) {
	length := 480 + 480*s.unit
	whole, fraction := math.Modf(s.seconds / length)
	cycle, at := int64(whole), fraction*length
	stop := length * (0.35 + 0.5*s.noise.cell(pumpCycle, cycle))
	trips := s.noise.cell(pumpCycle+1, cycle) < 1.0/60
	if trips {
		stop *= 0.4
	}
	speed = ease(at/rampSeconds) * (1 - ease((at-stop)/rampSeconds))
	switch {
	case at < rampSeconds:
		return "starting", speed, math.Exp(-at/1.5) * ease(at)
	case at < stop:
		return "running", speed, 0
	case trips:
		return "fault", speed, 0
	case at < stop+rampSeconds:
		return "stopping", speed, 0
	default:
		return "idle", 0, 0
	}
}
