package mqtt

import (
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// tick is how exact the janitors are. One goroutine looks at all connections:
// that costs an atomic load for each, where a timer for each would cost memory
// and a lock at every packet.
const tick = 250 * time.Millisecond

// lingering is how long a connection that was stopped may take to write the
// rest.
const lingering = 2 * time.Second

// watchConnections keeps the time of connections: deadlines of CONNECT, keep
// alive, stuck sockets. Nothing in it waits.
func (s *Server) watchConnections() {
	s.every(tick, func(now time.Time) {
		for _, c := range s.connections() {
			c.check(now)
		}
		s.addresses.sweep(now)
	})
}

// watchSessions keeps the time of sessions: their expiry and delayed wills;
// and that of retained messages; and reports on $SYS. The handler of a will may make it wait.
func (s *Server) watchSessions() {
	s.every(tick, func(now time.Time) {
		s.expire(s.now())
		s.expireRetained(s.now())
		s.publishSys(now)
	})
}

// every calls f until the server is closed.
func (s *Server) every(d time.Duration, f func(now time.Time)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			f(time.Now())
		}
	}
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// check ends a connection whose time is over.
func (c *conn) check(now time.Time) {
	c.mu.Lock()
	open, ended, closed := c.open, c.ended, c.closed
	stalled := !c.stalled.IsZero() && now.Sub(c.stalled) > c.srv.limits.WriteTimeout
	lingered := ended && c.end.Cause != CauseShutdown && now.Sub(c.endedAt) > lingering
	c.mu.Unlock()
	switch {
	case closed:
	case lingered:
		c.abort(End{})
	case stalled:
		c.abort(End{Cause: CauseSlow, Text: "the client did not read for " + c.srv.limits.WriteTimeout.String()})
	case ended:
	case !open:
		if now.Sub(c.accepted) > c.srv.limits.ConnectTimeout { // section 3.1.4 asks for a reasonable time
			c.abort(End{Cause: CauseProtocol, Text: "no CONNECT in time"})
		}
	case c.silent(now): // [MQTT-3.1.2-22]
		c.stop(End{Cause: CauseKeepAlive, Reason: packet.KeepAliveTimeout, Text: "nothing came for 1.5 times the keep alive"})
	}
}

// silent reports whether the keep alive is broken. While the reader is held
// by the handler, it is not the client that is silent.
func (c *conn) silent(now time.Time) bool {
	return c.silence > 0 && !c.busy.Load() && now.UnixNano()-c.lastRead.Load() > int64(c.silence)
}
