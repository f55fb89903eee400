package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Options say what a [Fleet] is made of.
type Options struct {
	// Dial opens a connection to the MQTT port of the server.
	Dial    func(ctx context.Context) (net.Conn, error)
	Members []Member
	// Ramp is the time over which the first connections are spread.
	Ramp time.Duration
	// Flaky scales how often connections are lost: 0 never, 1 as the kinds of
	// devices do, 10 ten times as often.
	Flaky float64
	Log   *slog.Logger
}

// Member is a device with the token that the server gave for it.
type Member struct {
	Device Device
	Token  string
}

// Fleet runs virtual devices against a server. Each takes one goroutine and
// one connection.
type Fleet struct {
	options Options
	members []*member
	stats   counters
	buffers sync.Pool // of *[]byte, for packets
	scratch sync.Pool // of *scratch
}

// scratch is the memory that one message is made in.
type scratch struct {
	readings []trefoil.Reading
	payload  []byte
}

// New makes a fleet that does nothing yet.
func New(o Options) *Fleet {
	f := &Fleet{options: o, stats: newCounters()}
	f.buffers.New = func() any { return new([]byte) }
	f.scratch.New = func() any { return new(scratch) }
	for i := range o.Members {
		d := &o.Members[i].Device
		f.members = append(f.members, &member{fleet: f, device: d, token: o.Members[i].Token})
	}
	return f
}

// Run connects the devices and lets them live until ctx ends; then they say
// goodbye, and Run returns when the last has done so. Call it once.
func (f *Fleet) Run(ctx context.Context) {
	var all sync.WaitGroup
	start := time.Now()
	for i, m := range f.members {
		delay := f.options.Ramp * time.Duration(i) / time.Duration(len(f.members))
		m.next = m.schedule(start.Add(delay))
		all.Go(func() {
			if wait(ctx, delay) == nil {
				m.run(ctx)
			}
		})
	}
	all.Wait()
}

// schedule gives the device's first time at or after t. Devices of one
// cadence have different times, or all would publish in the same moment.
func (m *member) schedule(t time.Time) time.Time {
	every := m.device.Every
	phase := time.Duration(noise{m.device.seed}.cell(unitChannel, 1) * float64(every)).Truncate(time.Millisecond)
	s := t.Truncate(every).Add(phase)
	if s.Before(t) {
		s = s.Add(every)
	}
	return s
}

// backfillers is how many devices send their history at the same time.
const backfillers = 8

// Backfill sends what the devices measured from one time to another in steps,
// as a device does that was offline for so long: over MQTT, many records in a
// message, each with its time. It returns nil when all of it is acknowledged.
// progress, if any, is called for every finished device, from several
// goroutines. Call it before [Fleet.Run].
func (f *Fleet) Backfill(ctx context.Context, from, to time.Time, step time.Duration, progress func(done, total int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *member)
	var workers sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(backfillers, len(f.members)) {
		workers.Go(func() {
			for m := range queue {
				if err := m.backfill(ctx, from, to, step); err != nil {
					cancel(fmt.Errorf("history of %s: %w", m.device.ID, err))
					continue
				}
				mu.Lock()
				done++
				if progress != nil {
					progress(done, len(f.members))
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range f.members {
		queue <- m
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

func (m *member) backfill(ctx context.Context, from, to time.Time, step time.Duration) error {
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	m.next = from.Truncate(step)
	for m.next.Before(to) {
		if len(s.pending) >= s.window {
			if err := s.read(ctx, time.Now().Add(answerIn), s.handle); err != nil {
				_ = s.cut()
				return err
			}
			if _, err := s.tend(time.Now()); err != nil {
				_ = s.cut()
				return err
			}
			continue
		}
		n := min(int(to.Sub(m.next)/step)+1, perMessage)
		if err := m.send(s, n, step); err != nil {
			_ = s.cut()
			return err
		}
	}
	if err := s.drain(ctx); err != nil {
		_ = s.cut()
		return err
	}
	return errors.Join(s.refusal, s.goodbye())
}
