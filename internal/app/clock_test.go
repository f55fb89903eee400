package app

import (
	"testing"
	"time"
)

func TestNoTwoMessagesArriveInTheSameMicrosecond(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	a := &arrivals{clock: func() time.Time { return at }}
	last := a.now()
	for range 1000 {
		got := a.now()
		if got.UnixMicro() <= last.UnixMicro() {
			t.Fatalf("got %v after %v, want a later microsecond", got, last)
		}
		last = got
	}
	if ahead := last.Sub(at); ahead > 2*time.Millisecond {
		t.Errorf("the clock is %v ahead after 1000 messages, want about a millisecond", ahead)
	}
}

func TestArrivalsFollowAClockThatWasSetBack(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	a := &arrivals{clock: func() time.Time { return at }}
	a.now()
	at = at.Add(-time.Hour)
	if got := a.now(); !got.Equal(at) {
		t.Errorf("got %v, want the time %v to which the clock was set", got, at)
	}
}
