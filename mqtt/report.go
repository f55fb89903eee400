package mqtt

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// The functions here count what happened and tell the observer.

// tell calls the observer. A fault in it must not end the server: it is
// called from goroutines that serve many connections.
func (s *Server) tell(observer func()) {
	defer func() {
		if v := recover(); v != nil {
			s.count.panics.Add(1)
			s.log.Error("mqtt: panic in an observer", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	observer()
}

func (s *Server) connected(c *conn, present bool) {
	s.count.connected.Add(1)
	s.mu.Lock()
	s.opened++
	s.mu.Unlock()
	if f := s.cfg.Observer.Connected; f != nil {
		s.tell(func() { f(c.client, present) })
	}
}

func (s *Server) disconnected(c *conn, e End) {
	s.count.disconnected.Add(1)
	if e.Cause == CauseKeepAlive {
		s.count.keepAliveLost.Add(1)
	}
	s.mu.Lock()
	s.opened--
	s.mu.Unlock()
	if f := s.cfg.Observer.Disconnected; f != nil {
		s.tell(func() { f(c.client, e) })
	}
}

func (s *Server) refused(r Refused) {
	s.count.refused.Add(1)
	if f := s.cfg.Observer.Refused; f != nil {
		s.tell(func() { f(r) })
	}
}

func (s *Server) drop(d Drop) {
	if !d.Inbound {
		s.count.dropped.Add(uint64(max(1, d.Count)))
	}
	if f := s.cfg.Observer.Dropped; f != nil {
		s.tell(func() { f(d) })
	}
}

func (s *Server) delivered(c *conn, m *Message, reason packet.ReasonCode) {
	if f := s.cfg.Observer.Delivered; f != nil && m != nil {
		s.tell(func() { f(c.client, m, reason) })
	}
}

// protocolFault is a client that broke the protocol, before or after CONNECT.
func (s *Server) protocolFault(c *conn, fault *packet.Error) {
	s.count.protocolFault.Add(1)
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if !open {
		s.refused(Refused{RemoteAddr: c.net.RemoteAddr(), Reason: fault.Reason, Text: fault.What})
		return
	}
	if !s.speaks.allow(time.Now()) { // the counter has it
		return
	}
	s.log.Warn("mqtt: a client broke the protocol", "session", c.client.Session.String(), "reason", fault.Reason.String(), "error", fault.What)
}

// maxLoggedPacket bounds what a panic writes to the log.
const maxLoggedPacket = 1024

func (s *Server) panicked(c *conn, value any, stack, body []byte) {
	s.count.panics.Add(1)
	shown := body[:min(len(body), maxLoggedPacket)]
	if c.session == nil { // CONNECT, which holds a password
		shown = nil
	}
	s.log.Error("mqtt: panic in a connection", "value", fmt.Sprint(value), "remote", fmt.Sprint(c.net.RemoteAddr()),
		"packet", fmt.Sprintf("%x", shown), "stack", string(stack))
	if f := s.cfg.Observer.Panic; f != nil {
		f(c.client, value, stack, shown)
	}
}
