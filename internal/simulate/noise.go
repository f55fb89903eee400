package simulate

import "math"

// noise is a source of random numbers without state: every value is a hash of
// (seed, channel, place on the time axis). Channels are independent.
type noise struct{ seed uint64 }

// channel names a use of noise within one device.
type channel uint64

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// cell gives a number in [0, 1) for the n-th cell of the channel.
func (n noise) cell(c channel, i int64) float64 {
	return float64(mix(mix(n.seed^uint64(c)<<48)+uint64(i))>>11) / (1 << 53)
}

// smooth is a curve within [-1, 1] without jumps or corners that turns about
// once per period.
func (n noise) smooth(c channel, seconds, period float64) float64 {
	whole, u := math.Modf(seconds / period)
	i := int64(whole)
	from, to := n.cell(c, i), n.cell(c, i+1)
	return 2*(from+(to-from)*ease(u)) - 1
}

// drift is smooth with finer detail, as temperatures and flows wander: half
// of it turns once per period, the rest faster. Within [-1, 1].
func (n noise) drift(c channel, seconds, period float64) float64 {
	return 0.55*n.smooth(c, seconds, period) +
		0.30*n.smooth(c+1, seconds, period/2.7) +
		0.15*n.smooth(c+2, seconds, period/8.3)
}

// white is the noise of a sensor: independent from one millisecond to the
// next, bell-shaped, within [-1, 1], standard deviation 1/3.
func (n noise) white(c channel, seconds float64) float64 {
	ms := int64(math.Round(seconds * 1000))
	return (n.cell(c, 3*ms)+n.cell(c, 3*ms+1)+n.cell(c, 3*ms+2))*2/3 - 1
}

// ease goes from 0 to 1 with level ends (smoothstep); u is clamped.
func ease(u float64) float64 {
	u = min(max(u, 0), 1)
	return u * u * (3 - 2*u)
}
