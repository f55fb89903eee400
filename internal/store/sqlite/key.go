package sqlite

import (
	"time"

	"github.com/trefoil-iot/trefoil"
)

// The id of a chunk holds, from the highest bit down, the number of the
// series, the hour and the part of the hour from which on the chunk is
// responsible. So the table is ordered by series and time without an index,
// and a large chunk fills its pages, which the pages of an index would not.
//
// A chunk is responsible for all times from its own beginning to that of the
// next chunk of its slot, or to the end of the slot. A slot is one hour, or as
// many hours as the column hours says. The first chunk of a slot begins with
// the slot.
const (
	hourBits  = 24
	partBits  = 12
	maxSeries = 1<<27 - 1

	firstHour = -1 << (hourBits - 1) // in hours since 1970
)

const (
	hour = trefoil.Instant(time.Hour / time.Microsecond)
	day  = 24 * hour
)

// Times that can be stored: those of the years 1100 to 2900, for which ids
// have room.
var (
	minTime = trefoil.InstantOf(time.Date(1100, 1, 1, 0, 0, 0, 0, time.UTC))
	maxTime = trefoil.InstantOf(time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC))
)

// floor rounds t down to a multiple of width.
func floor(t, width trefoil.Instant) trefoil.Instant {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}

// chunkID gives the id of a chunk of the series that begins at t.
func chunkID(series int64, t trefoil.Instant) int64 {
	start := floor(t, hour)
	part := int64(t-start) << partBits / int64(hour)
	return series<<(hourBits+partBits) | (int64(start/hour)-firstHour)<<partBits | part
}

// chunkHour gives the hour in which the chunk begins.
func chunkHour(id int64) trefoil.Instant {
	return (trefoil.Instant(id>>partBits&(1<<hourBits-1)) + firstHour) * hour
}

// slotEnd gives the end of the slot of a chunk.
func slotEnd(id, hours int64) trefoil.Instant {
	width := trefoil.Instant(hours) * hour
	return floor(chunkHour(id), width) + width
}
