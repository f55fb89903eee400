package mqtt

import (
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// publishWill publishes a will as its client would have, retained or not as it
// said [MQTT-3.1.2-14] [MQTT-3.1.2-15]: it passed the
// authoriser at CONNECT, and the handler gets it. c is in whose order it
// comes: behind all that the connection published.
func (s *Server) publishWill(c *conn, client *Client, will *Message) {
	m := *will
	m.Created = s.now() // it is published now, and its expiry begins
	if m.Retain && len(m.Payload) > 0 && !s.retained.room(&m, &s.limits) {
		m.Retain = false
		s.drop(Drop{Session: client.Session, Inbound: true, Reason: DropRetained, Topic: m.Topic, QoS: m.QoS, Payload: m.Payload})
	}
	in := s.ownInbound(c, &m)
	in.Client, in.Will = client, true
	c.push(in)
	s.prepare(in)
	s.handOver(in)
	c.wake()
}

// ownInbound makes an Inbound of a message that is in memory already.
func (s *Server) ownInbound(c *conn, m *Message) *Inbound {
	in := s.newInbound(c, kindOwn)
	in.message, in.Topic, in.QoS, in.Retain = m, m.Topic, m.QoS, m.Retain
	in.Payload, in.Properties = m.Payload, &m.Properties
	return in
}

// Publish routes a message of the server's own; the authoriser is not asked
// and the handler not called. m must not be changed afterwards; a zero
// m.Created is set to now. done, which may be nil, is called exactly once: with
// nil when every stored session that gets the message has it in the store
// (and the retained message is there), or with the error of the store;
// possibly before Publish returns. A message that no client could be sent,
// such as one with a wildcard in its topic, is an error that is a
// [*packet.Error]. Own messages keep their order.
func (s *Server) Publish(m *Message, done func(error)) {
	if m.Created.IsZero() {
		m.Created = s.now()
	}
	if err := valid(m); err != nil {
		if done != nil {
			done(err)
		}
		return
	}
	c := &s.self
	s.ownMu.Lock()
	in := s.ownInbound(c, m)
	in.notify = done
	c.push(in)
	s.prepare(in)
	s.ownMu.Unlock()
	if len(in.Changes) == 0 {
		in.finish(0, "")
	} else {
		s.store.Commit(in.Changes, in.committed)
	}
	c.serveNow()
}

// valid tests what would put clients out of step.
func valid(m *Message) error {
	p := packet.Publish{Topic: bytesOf(m.Topic), Payload: m.Payload, QoS: m.QoS, Properties: m.Properties}
	if m.QoS > 0 {
		p.PacketID = 1 // each client gets another one
	}
	return p.Validate(packet.V5)
}

// expire publishes wills and ends sessions whose time has come.
func (s *Server) expire(now time.Time) {
	for _, ses := range s.dates.passed(now) {
		s.expireSession(ses, now)
	}
}

func (s *Server) expireSession(ses *session, now time.Time) {
	life := s.lives.of(ses.id)
	life.Lock()
	defer life.Unlock()
	if ses.over(now) {
		if s.session(ses.id) == ses {
			s.commit(s.endSession(ses, nil))
		}
		return
	}
	ses.mu.Lock()
	will := ses.will
	if ses.conn != nil || ses.gone || ses.willAt.IsZero() || now.Before(ses.willAt) {
		will = nil
	}
	var changes []Change
	if will != nil {
		ses.will, ses.willAt = nil, time.Time{}
		changes = append(changes, ses.save())
	}
	if ses.conn == nil && !ses.gone {
		s.dates.set(ses.due(), ses)
	}
	user := ses.user
	ses.mu.Unlock()
	if will != nil {
		s.publishWill(&s.self, &Client{Session: ses.id, User: user}, will)
	}
	s.commit(changes)
}
