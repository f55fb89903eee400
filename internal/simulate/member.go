package simulate

import (
	"context"
	"math"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Bounds of what a device does after a lost connection.
const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
	maxBacklog   = 600 // records that a device keeps while it is offline
	perMessage   = 120 // records of one message when many wait
)

// member is a device of a fleet. It remembers only up to which time its
// readings are acknowledged: whatever lies behind can be measured again.
type member struct {
	fleet    *Fleet
	device   *Device
	token    string
	next     time.Time // of the first record that is not sent
	sessions int64     // so far
	grumbled bool      // a refused message was logged
}

// run lives the life of the device until ctx ends: connect, publish, lose the
// connection, wait, come back.
func (m *member) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		s, err := m.open(ctx)
		pause := time.Duration(0)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			m.fleet.stats.failed.Add(1)
			m.fleet.options.Log.Debug("cannot connect", "device", m.device.ID, "error", err)
			pause = m.backoff(failures)
			failures++
		default:
			failures = 0
			pause = m.connected(ctx, s)
		}
		if wait(ctx, pause) != nil {
			return
		}
	}
}

// connected lives one connection and gives the time to stay away afterwards.
func (m *member) connected(ctx context.Context, s *session) time.Duration {
	m.fleet.stats.connected.Add(1)
	defer m.fleet.stats.connected.Add(-1)
	if m.sessions > 0 {
		m.fleet.stats.reconnects.Add(1)
	}
	m.sessions++
	end := time.Now().Add(m.lifetime())
	err := m.talk(ctx, s, end)
	switch {
	case ctx.Err() != nil:
		m.leave(s)
		return 0
	case err == nil:
		m.lose(ctx, s)
	default:
		m.fleet.options.Log.Debug("connection ended", "device", m.device.ID, "error", err)
		_ = s.cut()
	}
	m.rewind(s)
	m.fleet.stats.losses.Add(1)
	return m.outage(err)
}

// talk publishes until the end of the connection: nil when its time is over.
func (m *member) talk(ctx context.Context, s *session, end time.Time) error {
	if err := s.publish("/"+link, []byte(`"up"`), m.next, 0); err != nil {
		return err
	}
	for {
		now := time.Now()
		if !now.Before(end) {
			return nil
		}
		if err := m.report(s, now); err != nil {
			return err
		}
		due, err := s.tend(now)
		if err != nil {
			return err
		}
		due = earlier(due, end)
		if len(s.pending) < s.window { // otherwise an ack comes first
			due = earlier(due, m.next)
		}
		if err := s.read(ctx, due, s.handle); err != nil {
			return err
		}
	}
}

// report sends every record that is due, several in one message after an
// outage, as far as the window allows.
func (m *member) report(s *session, now time.Time) error {
	every := m.device.Every
	if oldest := now.Add(-maxBacklog * every); m.next.Before(oldest) {
		skip := oldest.Sub(m.next) / every
		m.next = m.next.Add(skip * every)
		m.fleet.stats.forgotten.Add(int64(skip))
	}
	for !m.next.After(now) && len(s.pending) < s.window {
		n := min(int(now.Sub(m.next)/every)+1, perMessage)
		if err := m.send(s, n, every); err != nil {
			return err
		}
	}
	return nil
}

// send publishes the next n records, which are step apart.
func (m *member) send(s *session, n int, step time.Duration) error {
	scratch := m.fleet.scratch.Get().(*scratch)
	defer m.fleet.scratch.Put(scratch)
	b := scratch.payload[:0]
	if n > 1 {
		b = append(b, '[')
	}
	first := m.next
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		scratch.readings = m.device.At(m.next, scratch.readings[:0])
		b = appendRecord(b, scratch.readings)
		m.next = m.next.Add(step)
	}
	if n > 1 {
		b = append(b, ']')
	}
	scratch.payload = b
	m.fleet.stats.readings.Add(int64(n * len(scratch.readings)))
	return s.publish("", b, first, n)
}

// rewind takes back what has no ack, so that it is sent again. It may be
// stored already: the same device and time make it the same reading.
func (m *member) rewind(s *session) {
	for _, p := range s.pending {
		if p.records > 0 {
			m.next = earlier(m.next, p.first)
		}
	}
}

// leave switches the device off: what is on its way gets its ack, for a
// moment, and the server a goodbye.
func (m *member) leave(s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.drain(ctx); err != nil {
		m.fleet.options.Log.Debug("left without all acks", "device", m.device.ID, "error", err)
	}
	_ = s.goodbye() // the server may be gone already
}

// lose ends the connection as networks do: mostly the socket closes, one time
// in four nothing is heard any more until the server's keepalive ends it.
func (m *member) lose(ctx context.Context, s *session) {
	defer s.cut()
	if m.random(outageChannel+1) >= 0.25 {
		return
	}
	deadline := time.Now().Add(2 * keepAlive)
	ignore := func(packet.Header, []byte) error { return nil }
	for time.Now().Before(deadline) {
		if s.read(ctx, deadline, ignore) != nil {
			return
		}
	}
}

// lifetime is how long this connection holds: exponentially distributed
// around the mean of the kind, as failures without memory are.
func (m *member) lifetime() time.Duration {
	if m.fleet.options.Flaky <= 0 {
		return 1000 * time.Hour
	}
	calm := float64(m.device.kind.calm) / m.fleet.options.Flaky
	d := time.Duration(-calm * math.Log(1-m.random(lifeChannel)))
	return min(max(d, 5*time.Second), 1000*time.Hour)
}

// outage is how long the device stays away: some seconds up to most of a
// minute when it went by itself, a backoff when the server ended it.
func (m *member) outage(ended error) time.Duration {
	if ended != nil {
		return m.backoff(0)
	}
	return 3*time.Second + time.Duration(m.random(outageChannel)*float64(40*time.Second))
}

// backoff grows from half a second to half a minute; the random share keeps a
// fleet from coming back in one moment.
func (m *member) backoff(failures int) time.Duration {
	d := min(firstBackoff<<min(failures, 10), lastBackoff)
	return d/2 + time.Duration(m.random(lifeChannel+channel(10+failures))*float64(d/2))
}

// random gives the same number in [0, 1) for the same device, session and use.
func (m *member) random(c channel) float64 {
	return noise{m.device.seed}.cell(c, m.sessions)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
