package mqtt

import "github.com/trefoil-iot/trefoil/mqtt/packet"

// handleAck takes a PUBACK, PUBREC, PUBREL or PUBCOMP.
func (c *conn) handleAck(t packet.Type, body []byte) error {
	var a packet.Ack
	if err := a.Decode(c.version, t, body); err != nil {
		return err
	}
	switch t {
	case packet.PUBREL:
		return c.handlePubrel(&a)
	case packet.PUBREC:
		if !a.Reason.IsError() {
			return c.handlePubrec(&a)
		}
	}
	c.acknowledge(&a)
	return nil
}

// acknowledge takes a message out of the queue: the client has it, or refused
// it, and in both cases it is not sent again, nor to another member of a shared
// subscription. An answer to nothing is ignored. [MQTT-4.4.0-2] [MQTT-4.8.2-6]
func (c *conn) acknowledge(a *packet.Ack) {
	s := c.session
	s.mu.Lock()
	e := s.queue.byPacketID(a.PacketID)
	if e == nil || !e.endedBy(a.Type) {
		s.mu.Unlock()
		return
	}
	seq, m := e.seq, e.msg
	s.queue.remove(e)
	s.queue.trim()
	s.inflight--
	s.mu.Unlock()
	if s.stored {
		c.in.settled = append(c.in.settled, Change{Kind: Dequeue, Session: s.id, Seq: seq})
	}
	if a.Type != packet.PUBCOMP {
		c.srv.delivered(c, m, a.Reason)
	}
}

// endedBy reports whether a packet of type t is the last one of e's exchange.
func (e *entry) endedBy(t packet.Type) bool {
	switch t {
	case packet.PUBACK:
		return e.state == entryInflight && e.qos == 1
	case packet.PUBREC: // with an error
		return e.state == entryInflight && e.qos == 2
	default:
		return e.state == entryReleased
	}
}

// handlePubrec answers with PUBREL, when the store knows that the client has
// the message: after that it must not be sent again. [MQTT-4.3.3-4]
// [MQTT-4.3.3-5] [MQTT-4.3.3-6]
func (c *conn) handlePubrec(a *packet.Ack) error {
	s := c.session
	s.mu.Lock()
	e := s.queue.byPacketID(a.PacketID)
	known := e != nil && e.qos == 2 && (e.state == entryInflight || e.state == entryRelease || e.state == entryReleased)
	first := known && e.state == entryInflight
	var m *Message
	in := c.srv.newInbound(c, kindPubrec)
	in.packetID = a.PacketID
	if known {
		in.seq, m = e.seq, e.msg
	}
	if first {
		e.state, e.msg = entryRelease, nil
	}
	s.mu.Unlock()
	if !c.push(in) {
		in.free()
		return errStop
	}
	switch {
	case !known:
		in.finish(packet.PacketIdentifierNotFound, "")
		return nil
	case first:
		c.srv.delivered(c, m, a.Reason)
	}
	if !first || !s.stored {
		in.finish(packet.Success, "")
		return nil
	}
	in.Changes = append(in.Changes, Change{Kind: Release, Session: s.id, Seq: in.seq})
	in.forward()
	return nil
}

// completePubrec lets PUBREL go.
func (s *Server) completePubrec(in *Inbound) {
	if in.reason == packet.PacketIdentifierNotFound {
		return
	}
	session := in.conn.session
	session.mu.Lock()
	if e := session.queue.find(in.seq); e != nil && e.state == entryRelease {
		switch {
		case !in.reason.IsError():
			e.state = entryReleased
		case session.conn == in.conn:
			e.state = entryInflight
		default:
			e.state, e.sent = entryReady, true
		}
	}
	session.mu.Unlock()
	if in.reason.IsError() {
		in.conn.stop(End{Cause: CauseInternal, Reason: packet.UnspecifiedError, Text: in.text})
	}
}

// handlePubrel ends the exchange of a QoS 2 message that the client sent.
// PUBCOMP waits until the store has forgotten the identifier: the client may
// use it again then. Whether the message has expired does not matter here.
// [MQTT-4.3.3-11] [MQTT-4.3.3-12] [MQTT-4.3.3-13]
func (c *conn) handlePubrel(a *packet.Ack) error {
	s := c.session
	in := c.srv.newInbound(c, kindPubrel)
	in.packetID, in.counted = a.PacketID, true
	if !c.push(in) {
		in.free()
		return errStop
	}
	switch {
	case !s.knows(a.PacketID):
		in.counted = false
		in.finish(packet.PacketIdentifierNotFound, "")
	case !s.stored:
		in.finish(packet.Success, "")
	default:
		in.Changes = append(in.Changes, Change{Kind: RemoveReceived, Session: s.id, PacketID: a.PacketID})
		in.forward()
	}
	return nil
}

func (s *Server) completePubrel(in *Inbound) {
	switch in.reason {
	case packet.Success:
		in.conn.session.forget(in.packetID)
	case packet.PacketIdentifierNotFound:
	default:
		in.conn.stop(End{Cause: CauseInternal, Reason: packet.UnspecifiedError, Text: in.text})
	}
}
