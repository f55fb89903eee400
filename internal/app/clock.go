package app

import (
	"sync/atomic"
	"time"
)

// arrivals is the clock that gives messages their time of arrival. No two of
// its times fall into the same microsecond: a device that sends no times may
// have several messages on the way, and of two readings of one series with
// the same time only the later would be kept.
type arrivals struct {
	clock func() time.Time
	last  atomic.Int64 // microseconds since 1970
}

// stepBack is how far the clock may fall behind what was given before that
// counts as somebody having set it back; then the new time is right.
const stepBack = time.Second

// now gives the time, at least a microsecond after the one given before.
func (a *arrivals) now() time.Time {
	for {
		t, last := a.clock(), a.last.Load()
		if behind := last - t.UnixMicro(); behind >= 0 && behind < stepBack.Microseconds() {
			t = t.Add(time.Duration(behind+1) * time.Microsecond)
		}
		if a.last.CompareAndSwap(last, t.UnixMicro()) {
			return t
		}
	}
}
