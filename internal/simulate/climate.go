package simulate

import (
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// climate is a room sensor: a combined temperature and humidity element, an
// infrared CO₂ cell and a lithium battery.
func climate() *kind {
	cadence := 10 * time.Second
	return &kind{
		prefix: "climate", cadence: cadence, mqtt: packet.V5, share: 40, calm: 25 * time.Minute,
		measure: measureClimate,
		profile: describe(Profile{
			Name: "indoor-climate", Label: "Indoor climate",
			Description: "Battery-powered room sensor: temperature, humidity, CO₂",
			Metrics: map[string]Metric{
				"temperature": number("Temperature", "°C", -10, 50, 2),
				"humidity":    number("Humidity", "%", 0, 100, 1),
				"co2":         number("CO₂", "ppm", 400, 5000, 0),
				"battery":     number("Battery", "%", 0, 100, 0),
			},
		}, cadence),
		places: []place{
			{"Lobby", "roanoke", trefoil.Tags{"floor": "0", "room": "lobby"}},
			{"Assembly hall", "roanoke", trefoil.Tags{"floor": "0", "room": "hall"}},
			{"Meeting room Dogwood", "roanoke", trefoil.Tags{"floor": "1", "room": "dogwood"}},
			{"Open office east", "roanoke", trefoil.Tags{"floor": "2", "room": "east"}},
			{"Laboratory", "lyon", trefoil.Tags{"floor": "0", "room": "lab"}},
			{"Meeting room Saône", "lyon", trefoil.Tags{"floor": "1", "room": "saone"}},
			{"Canteen", "lyon", trefoil.Tags{"floor": "0", "room": "canteen"}},
			{"Server room", "osaka", trefoil.Tags{"floor": "3", "room": "server"}},
			{"Show room", "osaka", trefoil.Tags{"floor": "0", "room": "show"}},
			{"Open office west", "osaka", trefoil.Tags{"floor": "2", "room": "west"}},
		},
	}
}

// Channels of the noise. Each drift takes three.
const (
	climateWarmth channel = iota * 4
	climatePeople
	climateMoisture
	climateSensor
)

func measureClimate(s *sensor) {
	people := s.occupancy()
	temperature := 20.4 + 1.6*s.unit + 1.3*s.daily(15.5) + 0.9*people +
		0.6*s.noise.drift(climateWarmth, s.seconds, 5400)
	// The same water in warmer air is a lower relative humidity, about 2.5
	// percentage points per kelvin near 21 °C and 45 %.
	humidity := 46 - 2.5*(temperature-21.5) + 5*s.noise.drift(climateMoisture, s.seconds, 6*3600) + 2*people
	s.number("temperature", temperature+0.03*s.noise.white(climateSensor, s.seconds))
	s.number("humidity", humidity+0.3*s.noise.white(climateSensor+1, s.seconds))
	s.number("co2", 425+20*s.unit+900*people+8*s.noise.white(climateSensor+2, s.seconds))
	s.number("battery", s.battery(400, 12))
}

// occupancy is how full a room is, 0 to 1: it fills in the morning, empties
// at noon and in the evening, and stays almost empty at the weekend. Air and
// walls are slow, so it has no steps.
func (s *sensor) occupancy() float64 {
	h := s.hour()
	shift := 0.7 * (s.unit - 0.5)
	present := ease((h-7.2-shift)/2.2) * (1 - ease((h-16.4-shift)/2.6))
	lunch := 0.45 * ease((h-11.6-shift)/0.7) * (1 - ease((h-12.7-shift)/0.8))
	share := 0.55 + 0.45*s.noise.drift(climatePeople, s.seconds, 2400)
	weekend := 1.0
	if !s.weekday() {
		weekend = 0.08
	}
	return (present - min(lunch, present)) * share * weekend
}
