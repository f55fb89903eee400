package mqtt

import (
	"sync"
	"time"
)

// bucket is a token bucket that holds one second's worth. It is not for
// concurrent use.
type bucket struct {
	rate   float64 // per second; 0 or less: no limit
	tokens float64
	at     time.Time
}

func newBucket(rate int, now time.Time) *bucket {
	return &bucket{rate: float64(rate), tokens: float64(rate), at: now}
}

func (b *bucket) refill(now time.Time) {
	b.tokens = min(b.rate, b.tokens+b.rate*now.Sub(b.at).Seconds())
	b.at = now
}

// take spends n if they are there. More than a second's worth passes when the
// bucket is full, so that one large message can.
func (b *bucket) take(n int, now time.Time) bool {
	if b.rate <= 0 {
		return true
	}
	b.refill(now)
	if b.tokens < min(float64(n), b.rate) {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// owe spends n in any case, and gives the time until they would be there.
func (b *bucket) owe(n int, now time.Time) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	b.refill(now)
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}

// speech bounds the lines that clients can make the server log.
type speech struct {
	mu     sync.Mutex
	bucket *bucket
}

// linesPerSecond of the log that clients can cause.
const linesPerSecond = 5

func (s *speech) allow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bucket == nil {
		s.bucket = newBucket(linesPerSecond, now)
	}
	return s.bucket.take(1, now)
}

// addresses counts connections and failed logins per address. An address
// without either is not in it.
type addresses struct {
	mu    sync.Mutex
	m     map[string]*addressState
	swept time.Time
}

type addressState struct {
	connections int
	failures    int
	failedAt    time.Time
}

// enter counts a connection, if there is room for it.
func (a *addresses) enter(address string, limit int) bool {
	if address == "" {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state(address)
	if over(s.connections+1, limit) {
		return false
	}
	s.connections++
	return true
}

func (a *addresses) state(address string) *addressState {
	s := a.m[address]
	if s == nil {
		s = &addressState{}
		a.m[address] = s
	}
	return s
}

func (a *addresses) leave(address string) {
	if address == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state(address)
	s.connections--
	a.tidy(address, s)
}

// forgetFailures is how long a failed login counts.
const forgetFailures = time.Minute

func (a *addresses) tidy(address string, s *addressState) {
	if s.connections <= 0 && s.failures == 0 {
		delete(a.m, address)
	}
}

// failed notes a refused login and says how long to keep the client waiting.
func (a *addresses) failed(address string, now time.Time, delay time.Duration) time.Duration {
	if delay <= 0 || address == "" {
		return max(0, delay)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state(address)
	if now.Sub(s.failedAt) > forgetFailures {
		s.failures = 0
	}
	wait := delay << min(s.failures, 3)
	s.failures++
	s.failedAt = now
	return wait
}

func (a *addresses) succeeded(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.m[address]; s != nil {
		s.failures = 0
	}
}

// sweep forgets old failures, now and then.
func (a *addresses) sweep(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.swept) < forgetFailures {
		return
	}
	a.swept = now
	for address, s := range a.m {
		if s.failures > 0 && now.Sub(s.failedAt) > forgetFailures {
			s.failures = 0
			a.tidy(address, s)
		}
	}
}
