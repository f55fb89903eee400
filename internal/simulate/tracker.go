package simulate

import (
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// tracker is a refrigerated van: it drives a round, stops to deliver, and its
// box warms while the door is open.
func tracker() *kind {
	cadence := 3 * time.Second
	return &kind{
		prefix: "van", cadence: cadence, mqtt: packet.V5, share: 20, calm: 4 * time.Minute,
		measure: measureTracker,
		profile: describe(Profile{
			Name: "cold-chain", Label: "Cold-chain tracker",
			Description: "Tracker in a refrigerated van: box temperature, door, position; often out of coverage",
			Metrics: map[string]Metric{
				"temperature": number("Box temperature", "°C", -40, 30, 1),
				"door":        {Label: "Door", Kind: "text"},
				"latitude":    number("Latitude", "°", -90, 90, 5),
				"longitude":   number("Longitude", "°", -180, 180, 5),
				"speed":       number("Speed", "km/h", 0, 160, 1),
				"battery":     number("Battery", "%", 0, 100, 0),
			},
		}, cadence),
		places: []place{
			{"Van 11 dairy", "roanoke", trefoil.Tags{"fleet": "north", "load": "dairy"}},
			{"Van 12 vaccines", "roanoke", trefoil.Tags{"fleet": "north", "load": "vaccines"}},
			{"Van 21 fish", "lyon", trefoil.Tags{"fleet": "south", "load": "fish"}},
			{"Van 22 dairy", "lyon", trefoil.Tags{"fleet": "south", "load": "dairy"}},
			{"Van 31 fish", "osaka", trefoil.Tags{"fleet": "east", "load": "fish"}},
		},
	}
}

const (
	trackerCompressor channel = iota * 4
	trackerPosition
	trackerSensor
)

// A round: nine legs of five minutes and three of stops in between, one hour
// in all. Legs end at zero speed, as at traffic lights.
const (
	legSeconds  = 300.0
	roundLegs   = 12
	doorSeconds = 110.0 // of a stop
)

// round is where each leg ends, in km east and north of the depot. Equal
// neighbours are stops.
var round = [roundLegs][2]float64{
	{1.9, 0.8},
	{4.1, 2.6},
	{4.1, 2.6},
	{5.2, 5.0},
	{3.0, 6.4},
	{3.0, 6.4},
	{0.2, 6.0},
	{-2.4, 4.5},
	{-2.4, 4.5},
	{-3.0, 1.7},
	{-1.4, 0.4},
	{0, 0},
}

func measureTracker(s *sensor) {
	leg, u := s.leg()
	from, to := round[(leg+roundLegs-1)%roundLegs], round[leg]
	east, north := to[0]-from[0], to[1]-from[1]
	speed := math.Hypot(east, north) * 6 * u * (1 - u) / (legSeconds / 3600)
	// About 4 m of wandering fix; a degree of latitude has 111.2 km.
	north = from[1] + north*ease(u) + 0.004*s.noise.smooth(trackerPosition, s.seconds, 40)
	east = from[0] + east*ease(u) + 0.004*s.noise.smooth(trackerPosition+1, s.seconds, 40)
	isStop := from == to
	door := "closed"
	if isStop && u*legSeconds < doorSeconds {
		door = "open"
	}
	s.number("temperature", s.boxTemperature(leg, u))
	s.text("door", door)
	s.number("latitude", s.site.latitude+north/111.2)
	s.number("longitude", s.site.longitude+east/(111.2*math.Cos(s.site.latitude*math.Pi/180)))
	s.number("speed", speed*(1+0.01*s.noise.white(trackerSensor, s.seconds)))
	s.number("battery", 84+14*s.daily(17))
}

// leg gives the leg of the round and the share of it that is done.
func (s *sensor) leg() (int, float64) {
	whole, u := math.Modf(s.seconds/legSeconds + s.unit*roundLegs)
	return int(int64(whole) % roundLegs), u
}

// boxTemperature is the compressor's sawtooth around the set point, plus what
// the open doors of the last hour let in: warm air enters while a door is
// open and is cooled away with a time constant of eight minutes.
func (s *sensor) boxTemperature(leg int, u float64) float64 {
	const cooling, warming = 480.0, 240.0
	setPoint := math.Round(-21 + 24*s.unit)
	warm := 0.0
	for back := range roundLegs {
		stop := (leg + roundLegs - back) % roundLegs
		if round[stop] != round[(stop+roundLegs-1)%roundLegs] {
			continue
		}
		since := (float64(back) + u) * legSeconds
		rise := 9 * (1 - math.Exp(-min(since, doorSeconds)/warming))
		warm += rise * math.Exp(-max(since-doorSeconds, 0)/cooling)
	}
	_, phase := math.Modf(s.seconds/700 + s.unit)
	sawtooth := 0.8 * (2*math.Abs(2*phase-1) - 1)
	return setPoint + warm + sawtooth + 0.3*s.noise.drift(trackerCompressor, s.seconds, 900) +
		0.08*s.noise.white(trackerSensor+1, s.seconds)
}
