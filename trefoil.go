// Package trefoil is the language of the product: what a device, a reading, a
// message and a drop are, in plain types that every other package speaks. It
// imports the standard library only and does no input or output.
//
// A [Device] publishes a [Message]; the message carries readings; every
// [Reading] belongs to the series (device, metric); a commit makes a batch of
// messages durable and has a growing number, [Seq]. What was received and not
// stored is a [Drop] with its reason.
package trefoil

import (
	"strconv"
	"time"
)

// Seq numbers commits. It grows by one or more with every commit of a store
// and never repeats, also over restarts. Zero means "before the first commit".
type Seq uint64

// Instant is a point in time in microseconds since 1970-01-01 UTC.
type Instant int64

// InstantOf rounds t down to the microsecond.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMicro()) }

// Time gives i as a time in UTC.
func (i Instant) Time() time.Time { return time.UnixMicro(int64(i)).UTC() }

// Add gives the instant d later; d is cut to the microsecond.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Microseconds()) }

// Sub gives the duration from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i-j) * time.Microsecond }

// AppendMillis appends i as Unix milliseconds, the unit of times in JSON
// series: "1700000000000", or with a fraction where the microseconds are not
// a whole number of milliseconds: "1700000000000.125".
func (i Instant) AppendMillis(b []byte) []byte {
	ms, us := int64(i)/1000, int64(i)%1000
	if us < 0 {
		ms, us = ms-1, us+1000
	}
	if ms < 0 && us > 0 { // -0.25 ms is not -1.75 ms
		return strconv.AppendFloat(b, float64(i)/1000, 'f', -1, 64)
	}
	b = strconv.AppendInt(b, ms, 10)
	if us == 0 {
		return b
	}
	b = append(b, '.', byte('0'+us/100))
	if us%100 != 0 {
		b = append(b, byte('0'+us/10%10))
	}
	if us%10 != 0 {
		b = append(b, byte('0'+us%10))
	}
	return b
}

// MarshalJSON writes Unix milliseconds, see [Instant.AppendMillis].
func (i Instant) MarshalJSON() ([]byte, error) { return i.AppendMillis(nil), nil }
