package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Logins: ten at once, then one every three seconds, for each address and for
// each account. Successful ones do not count.
const (
	loginEvery = 3 * time.Second
	loginBurst = 10
)

// maxLimited bounds the memory of a [limiter].
const maxLimited = 4096

// limiter keeps a token bucket per key.
type limiter struct {
	every rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	rate *rate.Limiter
	used time.Time
}

func newLimiter(every time.Duration, burst int) *limiter {
	return &limiter{every: rate.Every(every), burst: burst, buckets: make(map[string]*bucket)}
}

// take takes one attempt of key. A wait above zero means that there is none
// and when there is one again. Otherwise giveBack returns the attempt.
func (l *limiter) take(key string, now time.Time) (wait time.Duration, giveBack func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{rate: rate.NewLimiter(l.every, l.burst)}
		l.buckets[key] = b
	}
	b.used = now
	r := b.rate.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, nil
	}
	return 0, func() { r.CancelAt(now) }
}

// makeRoom drops full buckets, which say nothing, and the one that was not
// used for the longest time if there are none.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxLimited {
		return
	}
	oldest := ""
	for key, b := range l.buckets {
		switch {
		case b.rate.TokensAt(now) >= float64(l.burst):
			delete(l.buckets, key)
		case oldest == "" || b.used.Before(l.buckets[oldest].used):
			oldest = key
		}
	}
	if len(l.buckets) >= maxLimited {
		delete(l.buckets, oldest)
	}
}
