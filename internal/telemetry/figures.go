package telemetry

import (
	"slices"
	"sync"
	"time"
)

// Figures are what the server page shows, counted since the start. Rates are
// over the time since the call before, see [Rates].
type Figures struct {
	Received, Stored, Dropped int64 // messages
	Readings                  int64
	CommitP50, CommitP99      time.Duration // of the last commits, 0 before the first
}

// Figures gives the figures of now.
func (m *Metrics) Figures() Figures {
	f := Figures{
		Stored: m.total.stored.Load(), Dropped: m.total.dropped.Load(), Readings: m.total.readings.Load(),
	}
	f.Received = f.Stored + f.Dropped
	f.CommitP50, f.CommitP99 = m.latency.quantiles()
	return f
}

// window keeps the latest durations.
type window struct {
	mu   sync.Mutex
	ring [512]time.Duration
	n    int // durations ever added
}

func (w *window) add(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring[w.n%len(w.ring)] = d
	w.n++
}

func (w *window) quantiles() (p50, p99 time.Duration) {
	w.mu.Lock()
	sorted := slices.Clone(w.ring[:min(w.n, len(w.ring))])
	w.mu.Unlock()
	if len(sorted) == 0 {
		return 0, 0
	}
	slices.Sort(sorted)
	at := func(p float64) time.Duration { return sorted[int(p*float64(len(sorted)-1))] }
	return at(0.5), at(0.99)
}

// Rates turns growing counts into rates. One goroutine calls Sample once a
// second; Of may be called by anybody.
type Rates struct {
	mu    sync.Mutex
	last  Figures
	at    time.Time
	rates Rate
}

// Rate is a pair of rates per second.
type Rate struct{ Messages, Readings float64 }

// Sample notes the counts of now.
func (r *Rates) Sample(now time.Time, f Figures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := now.Sub(r.at).Seconds(); !r.at.IsZero() && s > 0 {
		r.rates = Rate{
			Messages: float64(f.Received-r.last.Received) / s,
			Readings: float64(f.Readings-r.last.Readings) / s,
		}
	}
	r.last, r.at = f, now
}

// Of gives the rates between the last two samples.
func (r *Rates) Of() Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rates
}
