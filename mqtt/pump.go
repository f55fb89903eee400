package mqtt

import (
	"time"
	"unsafe"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// outgoing is a message for one subscriber.
type outgoing struct {
	topic      string
	payload    []byte
	properties *packet.PublishProperties
	created    time.Time
	qos        byte
	dup        bool
	retain     bool
	ids        []uint32
	packetID   uint16
}

// encode appends a PUBLISH to what waits to be written; c.mu is held. It
// reports whether the client takes packets of that size. DUP says whether
// this message was on the wire to this client before, and nothing else.
// [MQTT-3.1.2-24] [MQTT-3.3.1-3] [MQTT-3.3.2-3]
func (c *conn) encode(o *outgoing) bool {
	p := packet.Publish{
		Dup: o.dup, QoS: o.qos, Retain: o.retain, PacketID: o.packetID,
		Topic: bytesOf(o.topic), Payload: o.payload, SubscriptionIDs: o.ids,
	}
	if c.version >= packet.V5 {
		p.Properties = *o.properties
		if p.Properties.MessageExpiry != nil { // [MQTT-3.3.2-6]
			left := remaining(*p.Properties.MessageExpiry, c.srv.now().Sub(o.created))
			p.Properties.MessageExpiry = &left
		}
	} else {
		p.SubscriptionIDs = nil
	}
	if !c.shorten(&p, o.topic) { // [MQTT-3.1.2-25]
		return false
	}
	c.buffered()
	c.out = p.Append(c.out, c.version)
	c.messagesOut.Add(1)
	c.srv.count.messagesOut.Add(1)
	return true
}

// bytesOf gives the bytes of s, which nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// remaining gives what is left of an expiry, in seconds, and at least one: a
// message that is sent has not expired.
func remaining(expiry uint32, waited time.Duration) uint32 {
	if s := int64(waited / time.Second); s > 0 && s < int64(expiry) {
		return expiry - uint32(s)
	} else if s >= int64(expiry) && expiry > 0 {
		return 1
	}
	return expiry
}

// aliasWorth is the length of a topic from which an alias saves bytes.
const aliasWorth = 6

// shorten lets an alias stand for the topic. It reports whether the client
// takes p as it is then. [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
func (c *conn) shorten(p *packet.Publish, topic string) bool {
	if c.aliasMax == 0 || len(topic) < aliasWorth {
		return c.takes(p)
	}
	if alias, ok := c.aliases[topic]; ok {
		p.Topic, p.TopicAlias = nil, alias
		return c.takes(p)
	}
	if len(c.aliases) >= int(c.aliasMax) {
		return c.takes(p)
	}
	p.TopicAlias = uint16(len(c.aliases) + 1)
	if !c.takes(p) { // to name an alias takes room too
		p.TopicAlias = 0
		return c.takes(p)
	}
	if c.aliases == nil { // they end with the connection [MQTT-3.3.2-7]
		c.aliases = map[string]uint16{}
	}
	c.aliases[topic] = p.TopicAlias
	return true
}

// takes reports whether p is within what the client, and the protocol, takes.
func (c *conn) takes(p *packet.Publish) bool {
	n := p.Size(c.version)
	return n <= packet.MaxRemainingLength && (c.maxPacket == 0 || uint64(n) <= uint64(c.maxPacket))
}

// pump encodes messages of the queue while the client's window and the buffer
// have room. Only who serves c calls it.
func (s *session) pump(c *conn) {
	s.expand(c)
	s.mu.Lock()
	if s.conn != c || s.nextSend >= s.nextSeq && len(s.replay.messages) == 0 {
		s.mu.Unlock()
		return
	}
	c.mu.Lock()
	var changes, reserved []Change
	mark := uint64(0)
	if c.open && !c.ended {
		c.more = false
		reserved = s.replayRetained(c)
		changes, mark = s.pumpQueue(c)
	}
	c.mu.Unlock()
	s.queue.trim()
	wanted := s.wanted(c)
	drops := s.takeDrops()
	s.mu.Unlock()
	s.reportDrops(drops)
	s.srv.commit(changes)
	s.srv.commitMark(s, mark)
	s.srv.commitReserved(s, reserved)
	if len(wanted) > 0 {
		s.srv.work.Go(func() { s.load(wanted) })
	}
}

// pumpQueue encodes what may be sent now. A stored message is sent only when
// the store knows of it, so that it has DUP the next time also if the server
// is killed now; mark is the message up to which the store has to be told, or
// 0. [MQTT-3.3.1-1]
func (s *session) pumpQueue(c *conn) (changes []Change, mark uint64) {
	now := s.srv.now()
	for i := s.queue.from(s.nextSend); i < len(s.queue.all); i++ {
		e := &s.queue.all[i]
		if e.state != entryGone && !s.mayPass(c, e) {
			break
		}
		switch {
		case e.state == entryGone:
		case e.state == entryReleased:
			s.inflight++
			rel := packet.Ack{Type: packet.PUBREL, PacketID: packetID(e.seq)}
			c.buffered()
			c.out = rel.Append(c.out, c.version)
		case e.msg.expired(now) && !e.sent: // [MQTT-4.3.3-7]: never after it was sent
			changes = s.discard(changes, e, DropExpired)
		case s.stored && !e.marked:
			return changes, s.markFrom(i, c.window-s.inflight)
		default:
			if !s.sendEntry(c, e) {
				changes = s.discard(changes, e, DropTooLarge)
			}
		}
		s.nextSend = e.seq + 1
	}
	return changes, 0
}

// markFrom gives the message up to which the store is to be told that it is
// sent, which is as many as the window has room for; 0 while it is being told.
func (s *session) markFrom(i, room int) (mark uint64) {
	if s.marking {
		return 0
	}
	for ; i < len(s.queue.all) && room > 0; i++ {
		if e := &s.queue.all[i]; e.state == entryReady {
			mark = e.seq
			room--
		}
	}
	s.marking = mark > 0
	return mark
}

// marked notes that the store knows, or failed to learn, that messages up to
// seq are sent.
func (s *session) marked(seq uint64, ok bool) {
	s.mu.Lock()
	s.marking = false
	for i := s.queue.head; ok && i < len(s.queue.all) && s.queue.all[i].seq <= seq; i++ {
		s.queue.all[i].marked = true
	}
	c := s.conn
	s.mu.Unlock()
	switch {
	case c == nil:
	case ok:
		c.wake()
	default: // what waits must not wait for the next message
		s.srv.work.Go(func() {
			waitFor(s.srv.ctx, loadRetry)
			c.wake()
		})
	}
}

// mayPass reports whether e can be sent now. What is behind it waits with it,
// since messages leave in their order.
func (s *session) mayPass(c *conn, e *entry) bool {
	switch {
	case e.state == entryPending || e.state == entryRelease:
		return false
	case s.inflight >= c.window || s.queue.spans(e.seq): // [MQTT-4.9.0-2]; all else goes on [MQTT-3.3.4-10]
		return false
	case len(c.out) >= s.srv.limits.OutboundBytes:
		c.more = true
		return false
	default:
		return e.state == entryReleased || e.msg != nil
	}
}

// discard drops e instead of sending it.
func (s *session) discard(changes []Change, e *entry, why DropReason) []Change {
	if s.stored {
		changes = append(changes, Change{Kind: Dequeue, Session: s.id, Seq: e.seq})
	}
	s.dropEntry(e, why)
	return changes
}

func (s *session) sendEntry(c *conn, e *entry) bool {
	o := outgoing{
		topic: e.msg.Topic, payload: e.msg.Payload, properties: &e.msg.Properties, created: e.msg.Created,
		qos: e.qos, dup: e.sent, retain: e.retain, ids: e.ids, packetID: packetID(e.seq),
	}
	if !c.encode(&o) {
		return false
	}
	s.queue.held--
	e.state = entryInflight
	s.inflight++
	return true
}
