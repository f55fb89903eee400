package broker

import (
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
)

// Rates are means per second over the last seconds.
type Rates struct{ MessagesIn, MessagesOut, BytesIn, BytesOut float64 }

// SampleEvery is how often [Broker.Sample] wants to be called.
const SampleEvery = 5 * time.Second

// meter turns growing counts into rates.
type meter struct {
	mu   sync.Mutex
	last mqtt.Stats
	at   time.Time
	now  Rates
}

// Sample notes the counts of now.
func (b *Broker) Sample(now time.Time) { b.meter.sample(now, b.Stats()) }

// Rates gives the rates between the last two samples.
func (b *Broker) Rates() Rates {
	b.meter.mu.Lock()
	defer b.meter.mu.Unlock()
	return b.meter.now
}

func (m *meter) sample(now time.Time, s mqtt.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seconds := now.Sub(m.at).Seconds(); !m.at.IsZero() && seconds > 0 {
		rate := func(now, before uint64) float64 { return float64(now-before) / seconds }
		m.now = Rates{
			MessagesIn: rate(s.MessagesIn, m.last.MessagesIn), MessagesOut: rate(s.MessagesOut, m.last.MessagesOut),
			BytesIn: rate(s.BytesIn, m.last.BytesIn), BytesOut: rate(s.BytesOut, m.last.BytesOut),
		}
	}
	m.last, m.at = s, now
}
