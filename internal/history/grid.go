package history

import (
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// grid divides time into buckets.
type grid interface {
	// bucket gives the bucket [start, end) that holds t.
	bucket(t trefoil.Instant) (start, end trefoil.Instant)

	// resolution gives a length of whose multiples since the Unix epoch all
	// beginnings of buckets are in the range.
	resolution(from, to trefoil.Instant) time.Duration
}

const (
	microHour = trefoil.Instant(time.Hour / time.Microsecond)
	microDay  = 24 * microHour
	firstWeek = -3 * microDay // Monday, 29 December 1969
)

// newGrid makes the grid of a step in a time zone, nil for UTC:
//
//   - In UTC fixed lengths begin at multiples since the Unix epoch.
//   - In other zones a fixed length must divide a day. It begins at its
//     multiples on the clock on the wall. Where clocks change, buckets of more
//     than an hour are longer or shorter, and those of at most an hour keep
//     their length: a repeated hour has buckets of its own.
//   - Days begin when a day begins in the zone, weeks on Mondays, months on
//     the first. Steps of several days, weeks or months are counted from the
//     first day, the first Monday before, and the first month of 1970.
func newGrid(s Step, zone *time.Location) (grid, error) {
	utc := zone == nil || zone == time.UTC || zone.String() == "UTC"
	if utc {
		zone = time.UTC
	}
	width := trefoil.Instant(s.fixed.Microseconds())
	switch {
	case s.months > 0:
		return &wallGrid{zone: zone, months: s.months}, nil
	case s.days > 0:
		g := &wallGrid{zone: zone, width: trefoil.Instant(s.days) * microDay}
		if s.days%7 == 0 {
			g.anchor = firstWeek
		}
		if utc {
			return fixedGrid{width: g.width, anchor: g.anchor}, nil
		}
		return g, nil
	case utc:
		return fixedGrid{width: width}, nil
	case microDay%width != 0:
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "step %v with a time zone: allowed are lengths that divide a day, such as 5m, 1h, 6h, and calendar steps such as 1d, 1w, 1mo", s)
	case width <= microHour:
		return &periodGrid{zone: zone, width: width}, nil
	default:
		return &wallGrid{zone: zone, width: width}, nil
	}
}

// fixedGrid has buckets of one length.
type fixedGrid struct{ width, anchor trefoil.Instant }

func (g fixedGrid) bucket(t trefoil.Instant) (start, end trefoil.Instant) {
	start = floor(t-g.anchor, g.width) + g.anchor
	return start, start + g.width
}

func (g fixedGrid) resolution(_, _ trefoil.Instant) time.Duration {
	return micros(gcd(g.width, g.anchor))
}

// periodGrid has buckets of one length that begin at multiples of it on the
// clock on the wall, anew whenever the clock is changed.
type periodGrid struct {
	zone  *time.Location
	width trefoil.Instant
}

func (g *periodGrid) bucket(t trefoil.Instant) (start, end trefoil.Instant) {
	p := periodAt(g.zone, t)
	aligned := floor(t+p.offset, g.width) - p.offset
	return max(aligned, p.start), min(aligned+g.width, p.end)
}

func (g *periodGrid) resolution(from, to trefoil.Instant) time.Duration {
	return zoneResolution(g.zone, g.width, from, to)
}

// wallGrid has buckets that begin at times of the clock on the wall, each
// where the clock first shows that time or a later one.
type wallGrid struct {
	zone          *time.Location
	months        int             // or else
	width, anchor trefoil.Instant // on the wall
}

func (g *wallGrid) bucket(t trefoil.Instant) (start, end trefoil.Instant) {
	k := g.index(t + periodAt(g.zone, t).offset)
	start, end = g.begin(k), g.begin(k+1)
	// After a clock was set back the wall shows a time before a beginning
	// that has been; and where it was set forward a bucket may be empty.
	for end <= t {
		k++
		start, end = end, g.begin(k+1)
	}
	return start, end
}

func (g *wallGrid) resolution(from, to trefoil.Instant) time.Duration {
	unit := gcd(g.width, g.anchor)
	if g.months > 0 {
		unit = microDay
	}
	return zoneResolution(g.zone, unit, from, to)
}

// index is the number of the step that a time on the wall lies in.
func (g *wallGrid) index(wall trefoil.Instant) int64 {
	if g.months == 0 {
		return int64(floor(wall-g.anchor, g.width) / g.width)
	}
	t := wall.Time()
	month := int64(t.Year()-1970)*12 + int64(t.Month()) - 1
	return int64(floor(trefoil.Instant(month), trefoil.Instant(g.months))) / int64(g.months)
}

// begin is the beginning of step k: the first moment at which the clock on
// the wall shows its time or a later one.
func (g *wallGrid) begin(k int64) trefoil.Instant {
	wall := trefoil.Instant(k)*g.width + g.anchor
	if g.months > 0 {
		wall = trefoil.InstantOf(time.Date(1970, time.Month(1+k*int64(g.months)), 1, 0, 0, 0, 0, time.UTC))
	}
	const furthest = 26 * microHour // no zone is so far from UTC
	for p := periodAt(g.zone, wall-furthest); ; p = periodAt(g.zone, p.end) {
		if t := max(p.start, wall-p.offset); t < p.end {
			return t
		}
	}
}

// period is a time during which clocks of a zone are not changed.
type period struct{ start, end, offset trefoil.Instant }

// periodAt gives the period of t. Changes of a zone that leave the clocks as
// they are do not end it.
func periodAt(zone *time.Location, t trefoil.Instant) period {
	start, end, offset := boundsAt(zone, t)
	for start != math.MinInt64 {
		before, _, o := boundsAt(zone, start-1)
		if o != offset {
			break
		}
		start = before
	}
	for end != math.MaxInt64 {
		_, after, o := boundsAt(zone, end)
		if o != offset {
			break
		}
		end = after
	}
	return period{start, end, offset}
}

func boundsAt(zone *time.Location, t trefoil.Instant) (start, end, offset trefoil.Instant) {
	local := t.Time().In(zone)
	_, seconds := local.Zone()
	first, last := local.ZoneBounds()
	start, end = math.MinInt64, math.MaxInt64
	if !first.IsZero() {
		start = trefoil.InstantOf(first)
	}
	if !last.IsZero() {
		end = trefoil.InstantOf(last)
	}
	return start, end, trefoil.Instant(seconds) * 1_000_000
}

// zoneResolution is the largest length that all beginnings of buckets of the
// unit on the wall are multiples of.
func zoneResolution(zone *time.Location, unit, from, to trefoil.Instant) time.Duration {
	for p := periodAt(zone, from-2*microDay); ; p = periodAt(zone, p.end) {
		unit = gcd(unit, p.offset)
		if p.end > to {
			return micros(unit)
		}
		unit = gcd(unit, p.end)
	}
}

func gcd(a, b trefoil.Instant) trefoil.Instant {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

func micros(i trefoil.Instant) time.Duration { return time.Duration(i) * time.Microsecond }

func floor(t, width trefoil.Instant) trefoil.Instant {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}
