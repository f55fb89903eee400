package simulate

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Stats is what a fleet did so far.
type Stats struct {
	Devices    int   // of the fleet
	Connected  int   // now
	Reconnects int64 // connections after the first one of a device
	Losses     int64 // connections that ended, by themselves or by the server
	Failed     int64 // attempts that did not lead to a connection
	Sent       int64 // messages
	Acked      int64 // messages that the server confirmed as stored
	Refused    int64 // messages that the server refused
	Readings   int64 // in the messages that were sent
	Forgotten  int64 // records lost because a device was away for too long

	// From a publish to its PUBACK.
	LatencyP50, LatencyP99, LatencyMax time.Duration
}

// counters are written by all devices.
type counters struct {
	connected, reconnects, losses, failed, sent, acked, refused, readings, forgotten atomic.Int64

	mu      sync.Mutex
	latency *hdrhistogram.Histogram // in µs
}

func newCounters() counters {
	return counters{latency: hdrhistogram.New(1, answerIn.Microseconds(), 2)}
}

func (c *counters) acknowledged(p pending, reason packet.ReasonCode) {
	if reason.IsError() {
		c.refused.Add(1)
	} else {
		c.acked.Add(1)
	}
	took := min(max(time.Since(p.sent).Microseconds(), 1), answerIn.Microseconds())
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.latency.RecordValue(took) // took is within the bounds
}

// Stats gives what the fleet did so far.
func (f *Fleet) Stats() Stats {
	c := &f.stats
	s := Stats{
		Devices: len(f.members), Connected: int(c.connected.Load()),
		Reconnects: c.reconnects.Load(), Losses: c.losses.Load(), Failed: c.failed.Load(),
		Sent: c.sent.Load(), Acked: c.acked.Load(), Refused: c.refused.Load(),
		Readings: c.readings.Load(), Forgotten: c.forgotten.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	micros := func(q float64) time.Duration {
		return time.Duration(c.latency.ValueAtQuantile(q)) * time.Microsecond
	}
	s.LatencyP50, s.LatencyP99 = micros(50), micros(99)
	s.LatencyMax = time.Duration(c.latency.Max()) * time.Microsecond
	return s
}
